"""`journey check|fmt|plan|publish`: journeys as files, one each, that live in git."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from accounts.audit import record
from campaigns.errors import JourneyNotFoundError
from campaigns.journeys.check import Level
from campaigns.journeys.errors import JourneyError
from campaigns.journeys.faces import Faces, faces
from campaigns.journeys.journey import Journey, journey_named, journeys
from campaigns.journeys.journey import journey as journey_by_id
from campaigns.journeys.planning import Plan
from campaigns.journeys.planning import plan as plan_of
from campaigns.journeys.publish import create_journey, save_draft
from campaigns.journeys.publish import publish as publish_draft
from campaigns.journeys.text import parse
from core.condition.check import nearest
from core.condition.spelling import plural
from core.db import read, write
from core.errors import InvalidError
from echelonx.cli import PROBLEM, REFUSED
from echelonx.commands.output import answer, as_json
from echelonx.commands.workspace import chosen, client_option, opened

which = click.argument("which", metavar="FILE|NAME")
file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.command()
@file
@as_json
def check(file: Path, as_json: bool) -> int:
    """Say what is wrong with a journey's text, with lines. Needs no database.

    Exit code 1 says that it cannot be published so; warnings alone are 0.

    \b
    echelonx journey check welcome.journey
    """
    text = _read(file)
    try:
        found = faces(text)
    except JourneyError as error:
        mistake = {
            "level": "error", "message": str(error), "remedy": error.remedy,
            "line": error.line, "column": error.column,
        }  # fmt: skip
        shown = f"{_place(file, error.line)}error: {error}\n    -> {error.remedy}"
        answer({"file": str(file), "findings": [mistake]}, shown, as_json=as_json)
        return PROBLEM
    values: dict[str, Any] = {"file": str(file), "summary": found.summary}
    values |= {"findings": [asdict(one) for one in found.findings]}
    answer(values, lambda: _findings(file, found), as_json=as_json)
    return PROBLEM if any(one.level is Level.ERROR for one in found.findings) else 0


@click.command()
@file
@click.option("--write", "rewrite", is_flag=True, help="Rewrite the file instead of printing.")
@as_json
def fmt(file: Path, rewrite: bool, as_json: bool) -> None:
    """Write a journey in its one layout; comments stay with their steps. Needs no database.

    \b
    echelonx journey fmt welcome.journey --write
    """
    text = _read(file)
    formatted = faces(text).text
    if not rewrite:
        answer({"text": formatted}, formatted.rstrip("\n"), as_json=as_json)
        return
    changed = formatted != text
    if changed:
        file.write_text(formatted, "utf-8")
    told = f"{file} {'rewritten' if changed else 'stays as it is'}"
    answer({"file": str(file), "changed": changed}, told, as_json=as_json)


@click.command()
@which
@client_option
@as_json
def plan(which: str, client_id: int | None, as_json: bool) -> int:
    """Say what publishing a file, or the draft of that name, would change, and whom it touches.

    Exit code 3 says that something keeps it from being published.

    \b
    echelonx journey plan welcome.journey
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        text = _text(session, client.id, which)
        found = plan_of(session, services.clock, client_id=client.id, text=text)
    answer(_planned(found), lambda: _told(Path(which), found), as_json=as_json)
    return REFUSED if found.problems else 0


@click.command()
@which
@client_option
@as_json
def publish(which: str, client_id: int | None, as_json: bool) -> None:
    """Publish a file, or the draft of that name: a new journey, or a new version of it.

    Who is inside stays on their version. The same text again changes nothing. Exit code 3 says
    that something keeps it from being published.

    \b
    echelonx journey publish welcome.journey
    echelonx journey publish Nurture          # the draft, such as a recipe's
    """
    with opened() as services:
        with write(services.sessions) as session:
            client = chosen(session, client_id)
            text = _text(session, client.id, which)
            told = plan_of(session, services.clock, client_id=client.id, text=text)
            stored = journey_named(session, client.id, parse(text).name)
            where: dict[str, Any] = {"client_id": client.id}
            if stored is None:
                where["journey_id"] = create_journey(
                    session, services.clock, text=text, client_id=client.id
                ).id
            else:
                where["journey_id"] = stored.id
                save_draft(session, services.clock, text=text, **where)
            made = publish_draft(session, services.clock, **where)
            record(
                session, services.clock, client_id=client.id, actor="cli",
                action="journey.publish", target=f"journey:{made.journey_id}",
            )  # fmt: skip
            values = {"journey": where["journey_id"], "name": told.name, "version": made.number}
            values |= {"changes": [asdict(one) for one in told.changes], "inside": told.inside}
        services.bell.ring()
    stay = f"\n{_people(told.inside)} on their version" if told.inside else ""
    change = "new" if told.is_new else told.says
    shown = f"“{told.name}” is published, version {made.number}: {change}{stay}"
    answer(values, shown, as_json=as_json)


def named(session: Session, client_id: int, name: str) -> Journey:
    """Return the journey of this name, or with this id. Raises JourneyNotFoundError."""
    found = journey_named(session, client_id, name)
    if found is not None:
        return found
    if name.isascii() and name.isdigit() and len(name) < 19:
        return journey_by_id(session, client_id, int(name))
    known = [one.name for one in journeys(session, client_id)]
    remedy = nearest(name, known) if known else "echelonx journey publish FILE"
    raise JourneyNotFoundError(f"there is no journey “{name}”", field="name", remedy=remedy)


def _text(session: Session, client_id: int, which: str) -> str:
    """Return a file's text, or the draft of the journey of this name."""
    path = Path(which)
    return _read(path) if path.is_file() else named(session, client_id, which).draft


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise InvalidError(
            f"{file} is not UTF-8 text", field="file", remedy="save it as UTF-8"
        ) from None


def _place(file: Path, line: int | None) -> str:
    return f"{file}:{line}: " if line else f"{file}: "


def _findings(file: Path, found: Faces) -> str:
    lines = []
    for one in found.findings:
        lines += [f"{_place(file, one.line)}{one.level}: {one.message}", f"    -> {one.remedy}"]
    return "\n".join([*lines, found.summary])


def _planned(found: Plan) -> dict[str, Any]:
    return {
        "journey": found.journey_id,
        "name": found.name,
        "version": found.version,
        "changes": [asdict(one) for one in found.changes],
        "inside": found.inside,
        "stands": [asdict(one) for one in found.stands],
        "entrances": [asdict(one) for one in found.entrances],
        "problems": [asdict(one) for one in found.problems],
        "warnings": [asdict(one) for one in found.warnings],
    }


def _told(file: Path, found: Plan) -> str:
    if found.is_new:
        lines = [f"“{found.name}” is new"]
    else:
        lines = [f"“{found.name}”, version {found.version}"]
        lines += ["  takes people again"] if found.reopens else []
        lines += [f"  {one.text}" for one in found.changes] or ["  changes nothing"]
    if found.inside:
        lines.append(f"{_people(found.inside)} on their version until they are moved")
    for stand in found.stranded:
        lines.append(f"  {stand.people:,} at {stand.step} would have no step after a move")
    for entrance in found.entrances:
        members = plural(entrance.members, "member")
        lines.append(f"when {entrance.when}: lets in any of {members}")
    for one in found.warnings:
        lines += [f"{_place(file, one.line)}warning: {one.message}", f"    -> {one.remedy}"]
    for problem in found.problems:
        lines += [f"blocked: {problem.message}", f"    -> {problem.remedy}"]
    return "\n".join(lines)


def _people(count: int) -> str:
    return f"{count:,} inside stay{'s' if count == 1 else ''}"
