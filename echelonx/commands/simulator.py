"""`simulator`: providers on this machine that speak the real protocols and only pretend to send."""

import sys
from subprocess import call

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulator(arguments: tuple[str, ...]) -> int:
    """Run SendGrid, Twilio, FCM and SMTP on loopback.

    Options are those of `python -m channels.simulators`.
    """
    return call([sys.executable, "-m", "channels.simulators", *arguments])  # noqa: S603  (ours)
