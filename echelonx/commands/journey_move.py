"""`journey move`: those inside go over to another version, after a look at who stands nowhere."""

from dataclasses import asdict
from typing import Any

import click
from sqlalchemy.orm import Session

from campaigns.journeys.journey import Journey, JourneyVersion
from campaigns.journeys.moving import Choices, Preview, Stand, preview
from campaigns.journeys.moving import move as move_people
from core.db import read, write
from core.errors import ConflictError, InvalidError
from echelonx.cli import REFUSED
from echelonx.commands.journey_file import named
from echelonx.commands.output import answer, as_json, table
from echelonx.commands.workspace import chosen, client_option, opened


@click.command()
@click.argument("name")
@click.option(
    "--version", "--to", "number", type=click.IntRange(1), help="To which; what members enter now."
)
@click.option("--choose", "choices", multiple=True, help="OLD=NEW, or OLD= to end there; repeat.")
@click.option("--yes", is_flag=True, help="Move them; without it, only look.")
@client_option
@as_json
def move(
    name: str,
    number: int | None,
    choices: tuple[str, ...],
    yes: bool,
    client_id: int | None,
    as_json: bool,
) -> int:
    """Show who would be moved to a version, and with --yes move them. Nobody is re-run.

    Where the version has no such step, say with --choose where they go. Exit code 3 says that
    somebody has nowhere to go, also of a look.

    \b
    echelonx journey move Welcome
    echelonx journey move Welcome --version 4 --choose wait-1d=wait-2d --choose old= --yes
    """
    wanted = dict(map(_choice, choices))
    with opened() as services:
        if not yes:
            with read(services.sessions) as session:
                client = chosen(session, client_id)
                found = named(session, client.id, name)
                seen = preview(
                    session, client_id=client.id, journey_id=found.id,
                    to_version=number or _present(session, found),
                )  # fmt: skip
            answer(asdict(seen), lambda: _shown(seen, wanted), as_json=as_json)
            return REFUSED if _lost(seen, wanted) else 0
        with write(services.sessions) as session:
            client = chosen(session, client_id)
            found = named(session, client.id, name)
            to = number or _present(session, found)
            done = move_people(
                session, services.clock, client_id=client.id, journey_id=found.id,
                to_version=to, choices=wanted, by="cli",
            )  # fmt: skip
        services.bell.ring()
    values: dict[str, Any] = {"to": to} | asdict(done)
    shown = f"{done.moved:,} moved to version {to}, {done.ended:,} ended"
    answer(values, shown, as_json=as_json)
    return 0


def _choice(text: str) -> tuple[str, str | None]:
    old, equals, new = text.partition("=")
    if not old or not equals:
        raise InvalidError(
            f"“{text}” is no choice", field="choose", remedy="write OLD=NEW, or OLD= to end there"
        )
    return old, new or None


def _present(session: Session, found: Journey) -> int:
    if found.version_id is None:
        raise ConflictError(
            f"“{found.name}” has no version", field="name", remedy="publish it first"
        )
    return session.get_one(JourneyVersion, found.version_id).number


def _lost(seen: Preview, wanted: Choices) -> list[Stand]:
    """Return where people stand who have nowhere to go, and for whom nobody has chosen."""
    return [stand for stand in seen.stranded if stand.step not in wanted]


def _shown(seen: Preview, wanted: Choices) -> str:
    if not seen.people:
        return f"nobody is inside who is not on version {seen.to}"
    rows = [(one.version, one.step, one.people, _goes(one, wanted)) for one in seen.stands]
    shown = table(("version", "step", "people", f"step in version {seen.to}"), rows)
    lost = _lost(seen, wanted)
    if lost:
        people, step = sum(stand.people for stand in lost), lost[0].step
        return (
            f"{shown}\n\n{people:,} of {seen.people:,} have nowhere to go\n"
            f"    -> --choose {step}=STEP for another step, --choose {step}= to end there"
        )
    return f"{shown}\n\n{seen.people:,} would be moved; add --yes"


def _goes(stand: Stand, wanted: Choices) -> str:
    if stand.step in wanted:
        return wanted[stand.step] or "ends here"
    return stand.to or "nowhere"
