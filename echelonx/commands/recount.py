"""`recount`: make the counts of messages add up to the log again."""

import click
from sqlalchemy import select

from accounts.client import Client
from communications.drift import correct, days_of, drift, is_watched
from core.db import read, write
from core.errors import ConflictError
from echelonx.commands.output import answer, as_json, table
from echelonx.commands.workspace import client_option, opened
from echelonx.wiring import Services

COLUMNS = ("client", "day", "rows")


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what differs.")
@client_option
@as_json
def recount(dry_run: bool, client_id: int | None, as_json: bool) -> int:
    """Make the counts of messages add up to the log, a client's day at a time.

    Everything may run meanwhile, and the counts are exact at the end
    (communications/drift.py). It is needed on PostgreSQL alone, after what goes
    past triggers: TRUNCATE, a restore of data alone, a copy with triggers off.
    Doing it again changes nothing. Exit code 1: a dry run found something.

    \b
    echelonx recount --dry-run
    echelonx recount
    """
    with opened() as services:
        found = _recounted(services, client_id, dry_run=dry_run)
    verb = "to correct" if dry_run else "corrected"
    text = f"{len(found)} days {verb}"
    if found:
        text = f"{table(COLUMNS, [[row[name] for name in COLUMNS] for row in found])}\n{text}"
    answer({"done": not dry_run, "days": found}, text, as_json=as_json)
    return 1 if dry_run and found else 0


def _recounted(
    services: Services, client_id: int | None, *, dry_run: bool
) -> list[dict[str, object]]:
    """Return the days that differ, and of how many rows; unless `dry_run`, they do no longer."""
    with read(services.sessions) as session:
        if not is_watched(session):
            raise ConflictError(
                "triggers that count messages are missing or off: a recount would not last",
                remedy="ALTER TABLE communications ENABLE TRIGGER USER, then again",
            )
        named = () if client_id is None else (Client.id == client_id,)
        ids = session.scalars(select(Client.id).where(*named).order_by(Client.id)).all()
        days = [(one, day) for one in ids for day in days_of(session, one)]
    found: list[dict[str, object]] = []
    for one, day in days:
        with (read if dry_run else write)(services.sessions) as session:
            rows = (drift if dry_run else correct)(session, one, day)
        if rows:
            found.append({"client": one, "day": day.isoformat(), "rows": rows})
    return found
