"""`practice`: a recipe that runs in a shop of one's own, with providers that only pretend."""

import json
from dataclasses import asdict
from pathlib import Path
from shlex import quote

import click

from echelonx.commands.output import as_json, note
from echelonx.demo.practice import Practice, Progress
from echelonx.demo.workspace import Workspace, clean
from echelonx.stopping import Stop

DIRECTORY = Path("echelonx-practice")
LOOK_SECONDS = 0.5
FIRST_SECONDS = 60.0
SEED = 7
"""With this one every first message arrives: the simulators' accidents come later."""


@click.command()
@click.argument("recipe", default="nurture")
@click.option("--dir", "directory", type=click.Path(path_type=Path), default=DIRECTORY,
              show_default=True, help="Where everything is kept.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), help="The web server's port; 0 any.")
@click.option("--no-serve", is_flag=True, help="End when the first messages have arrived.")
@click.option("--clean", "cleaning", is_flag=True, help="Remove the directory and end.")
@as_json
def practice(
    recipe: str, directory: Path, port: int | None, no_serve: bool, cleaning: bool, as_json: bool
) -> int:
    """Run a ready-made journey for six invented customers; nothing leaves this machine.

    \b
    echelonx practice                 # the Nurture sequence
    echelonx practice upsell
    echelonx recipe list
    """
    if cleaning:
        clean(directory)
        note(f"removed {directory}")
        return 0
    stop = Stop()
    workspace = Workspace(directory)
    workspace.choose(seed=SEED, port=port)
    settings = workspace.settings(None, None)
    workspace.write_environment(settings)
    with Practice(workspace, settings) as shop:
        journey = shop.start(recipe)
        note(f"“{journey.name}” runs in {directory}: the first messages are on their way")
        left = FIRST_SECONDS
        while left > 0 and not _landed(shop.progress()) and not stop.wait(LOOK_SECONDS):
            left -= LOOK_SECONDS
        found = shop.progress()
        click.echo(json.dumps(asdict(found)) if as_json else _said(found))
        note(
            f"    -> . {workspace.environment_file}; echelonx journey people {quote(journey.name)}"
        )
        if not (no_serve or as_json):
            note("The journey goes on for as long as this runs. Ctrl+C stops; run it again.")
            while not stop.wait(3600.0):
                pass
    return 0 if stop.wait(0) or _landed(found) else 1


def _landed(found: Progress) -> bool:
    """Say whether everybody's first message has arrived."""
    return found.people > 0 and found.delivered >= found.people


def _said(found: Progress) -> str:
    return (
        f"{found.people} people are in “{found.journey}”; "
        f"{found.delivered} of {found.messages} messages have arrived"
    )
