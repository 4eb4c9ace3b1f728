"""`retention`: how long data is kept, and the forgetting of what is older."""

from dataclasses import asdict
from typing import Any

import click

from accounts.client import clients
from core.db import read, write
from echelonx.commands.output import Group, answer, as_json, table
from echelonx.commands.workspace import client_option, opened
from echelonx.wiring import Services
from webhooks.retention import CLASSES, SLICE, forget, preview

COLUMNS = ("client", "name", "days", "before", "rows")


@click.group(cls=Group)
def retention() -> None:
    """How long each kind of data is kept."""


@retention.command()
@click.option("--dry-run", is_flag=True, help="Only count what would be forgotten.")
@client_option
@as_json
def run(dry_run: bool, client_id: int | None, as_json: bool) -> None:
    """Forget now what workers would forget in the coming night.

    \b
    echelonx retention run --dry-run
    """
    with opened() as services:
        with read(services.sessions) as session:
            chosen = [one for one in clients(session) if client_id in (None, one.id)]
            found = [
                {"client": one.id} | asdict(due)
                for one in chosen
                for due in preview(session, services.clock, one.id)
            ]
        if not dry_run:
            for one in chosen:
                _forget(services, one.id, one.settings)
    text = table(COLUMNS, [[row[name] for name in COLUMNS] for row in found])
    answer({"done": not dry_run, "classes": found}, text, as_json=as_json)


def _forget(services: Services, client_id: int, settings: dict[str, Any]) -> None:
    for name in CLASSES:
        rows = SLICE
        while rows >= SLICE:
            with write(services.sessions) as session:
                rows = forget(session, services.clock, client_id, name, settings=settings)
