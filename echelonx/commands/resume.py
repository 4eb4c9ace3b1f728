"""`resume`: why nothing is sent since a database was restored or copied, and sending again."""

from typing import Any

import click

from core.db import read, write
from echelonx.commands.output import answer, as_json, facts, note
from echelonx.commands.workspace import opened
from echelonx.holding import COMMAND, Hold, current_hold, end_hold
from echelonx.home import home
from echelonx.logbook import Logbook, Note
from echelonx.wiring import Services
from scheduling.instance import name_of

CLI = "cli"


@click.command()
@click.option("--yes", is_flag=True, help="Send again, from where the database is now.")
@as_json
def resume(yes: bool, as_json: bool) -> int:
    """Say why nothing is sent since a restore; with --yes, send again.

    What may have been sent already is `unknown` and stays so; campaigns that were paused stay
    paused. Stop the original of a copy first: both would send what comes.

    \b
    echelonx resume
    echelonx resume --yes
    """
    with opened() as services:
        with read(services.sessions) as session:
            hold = current_hold(session)
        if hold is None:
            answer({"held": False}, "nothing is held", as_json=as_json)
            return 0
        lifted = yes and lift(services)
    answer({"held": not lifted, **_facts(hold)}, lambda: facts(_facts(hold)), as_json=as_json)
    note("it sends again" if lifted else f"to send again: {COMMAND} --yes")
    return 0


def lift(services: Services) -> bool:
    """End the hold and note the new epoch outside; False if somebody else ended it."""
    logbook = Logbook(services.settings.data_dir)
    with write(services.sessions) as session:
        name, here = name_of(session), home(session)
        outside = logbook.read(name, here) if name else None
        epoch = end_hold(session, services.clock, actor=CLI, note=outside)
    if name is not None and epoch is not None:
        logbook.write(name, here, Note(epoch, services.clock.now()))
    return epoch is not None


def _facts(hold: Hold) -> dict[str, Any]:
    return {
        "since": hold.since,
        "reason": hold.reason,
        "messages now unknown": hold.detail.get("unknown"),
        "starts missed": hold.detail.get("missed"),
        "of schedules": hold.detail.get("schedules"),
        "campaigns paused": hold.detail.get("paused"),
        "their ids": hold.detail.get("campaigns"),
    }
