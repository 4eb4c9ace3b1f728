"""`demo`: the main job, from a file of people to delivered messages, in seconds."""

import json
from pathlib import Path
from typing import Any

import click

from core.errors import InvalidError
from echelonx.commands.output import as_json, note
from echelonx.demo.demo import Demo, Outcome
from echelonx.demo.screen import Screen, standard
from echelonx.demo.story import CAMPAIGN
from echelonx.demo.workspace import Workspace, clean
from echelonx.stopping import INTERRUPTED, Stop

DIRECTORY = Path("echelonx-demo")
OPEN = 1
FOREVER = 3600.0


class BrokerWithoutServerError(InvalidError):
    """Several processes need a database that several may send from."""

    code = "settings"


@click.command()
@click.option("--dir", "directory", type=click.Path(path_type=Path), default=DIRECTORY,
              show_default=True, help="Where everything is kept.")  # fmt: skip
@click.option("--database", help="A PostgreSQL URL; SQLite in the directory without.")
@click.option("--broker", help="Redis or RabbitMQ: runs web, workers, scheduler as processes.")
@click.option("--seed", type=int, help="Makes the outcome the same each time.")
@click.option("--port", type=click.IntRange(0, 65535), help="The web server's port; 0 any.")
@click.option("--no-serve", is_flag=True, help="End when the messages have landed.")
@click.option("--clean", "cleaning", is_flag=True, help="Remove the directory and end.")
@as_json
def demo(directory: Path, cleaning: bool, as_json: bool, **given: Any) -> int:
    """Import 2,418 people, launch a campaign on three channels, watch it land.

    Providers are simulated on this machine, over their real protocols; nothing leaves it.
    Running it again sends nothing twice; one that was killed goes on where it stopped.

    \b
    echelonx demo
    echelonx demo --no-serve --json
    echelonx demo --database postgresql://… --broker redis://127.0.0.1/0
    """
    if cleaning:
        clean(directory)
        note(f"removed {directory}")
        return 0
    stop = Stop()
    screen = standard(as_json=as_json)
    workspace, settings = _prepared(directory, given)
    shown = "PostgreSQL" if given["database"] else "SQLite"
    screen.say(
        f"A demo in ./{directory} ({shown}, simulated providers; nothing leaves this machine)"
        if not directory.is_absolute()
        else f"A demo in {directory} ({shown}, simulated providers)"
    )
    screen.say("")
    with Demo(workspace, settings, screen) as playing:
        outcome, document = playing.play(stop.wait)
        serving = screen.lively and outcome.complete and not (given["no_serve"] or as_json)
        if as_json:
            click.echo(json.dumps(document))
        else:
            _told(screen, playing, document, serving=serving)
        code = _code(outcome)
        if serving:
            screen.say("Serving. Ctrl+C stops.")
            while not stop.wait(FOREVER):
                pass
    if serving:
        screen.say(f"No longer serving. {_serve(workspace)} does again.")
    return code


def _prepared(directory: Path, given: dict[str, Any]) -> tuple[Workspace, Any]:
    database, broker = given["database"], given["broker"]
    if broker and not (database or "").startswith("postgresql"):
        raise BrokerWithoutServerError(
            "several processes cannot send from one SQLite file",
            field="--broker",
            remedy="add --database postgresql://…",
        )
    workspace = Workspace(directory)
    workspace.choose(seed=given["seed"], port=given["port"])
    settings = workspace.settings(database, broker)
    workspace.write_environment(settings)
    return workspace, settings


def _serve(workspace: Workspace) -> str:
    return f". {workspace.environment_file}; echelonx run"


def _told(screen: Screen, playing: Demo, document: dict[str, Any], *, serving: bool) -> None:
    settings, workspace = playing.settings, playing.workspace
    env = workspace.environment_file
    url = f"{settings.public_url}/api/v1/openapi.json"
    screen.result(document["channels"])
    screen.box(
        f"Ready in {document['seconds']:.1f} s",
        {
            **({"Open": url} if serving else {"Serve": f"{_serve(workspace)}   (then {url})"}),
            "Key": playing.key,
            "Look": f'. {env}; echelonx campaign list; echelonx log tail   ("{CAMPAIGN}")',
            "Next": "echelonx demo (again: sends nothing)   echelonx demo --clean",
        },
    )


def _code(outcome: Outcome) -> int:
    if outcome.stopped:
        note("interrupted; run the same command again to go on where it stopped")
        return INTERRUPTED
    if outcome.complete:
        return 0
    now = outcome.figures
    note(
        f"still open: {now.queued:,} messages not sent, {now.waiting:,} webhooks not applied, "
        f"{outcome.owed:,} events not delivered"
    )
    note("    -> run it again: it goes on where it stopped; echelonx doctor says what is wrong")
    return OPEN
