"""`simulator`: providers on this machine that speak the real protocols and only pretend to send."""

import click

from channels.simulators.__main__ import main


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulator(arguments: tuple[str, ...]) -> int:
    """Run SendGrid, Twilio, FCM and SMTP on loopback, until Ctrl+C or SIGTERM.

    One process, which leaves standard input alone: it may run in the background (`&`).
    """
    try:
        return main(arguments, program="echelonx simulator", reads_stdin=False)
    except SystemExit as ended:  # of --help, and of what argparse cannot read
        return int(ended.code or 0)
