"""`journey`: campaigns of several steps: write, publish, watch, stop."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click
from sqlalchemy.orm import Session

from accounts.audit import record
from campaigns.journeys import publish as publishing
from campaigns.journeys.ask import ask, ask_segment
from campaigns.journeys.comparison import sentence
from campaigns.journeys.enrolment import EnrolmentStatus, Held
from campaigns.journeys.errors import JourneyError
from campaigns.journeys.journey import Journey, journeys
from campaigns.journeys.overview import Headcount, headcounts, version_numbers
from campaigns.journeys.people import Standing, Which, people_page
from campaigns.journeys.planning import difference
from campaigns.journeys.results import Results, StepResult, VersionResult
from campaigns.journeys.results import results as count_results
from core.clock import Clock
from core.db import read, write
from core.errors import InvalidError
from echelonx.commands.journey_file import check, fmt, named, plan, publish
from echelonx.commands.journey_move import move
from echelonx.commands.output import Group, answer, as_json, facts, table
from echelonx.commands.rehearse import simulate, test
from echelonx.commands.whom import members_called
from echelonx.commands.workspace import chosen, client_option, opened
from members.queries import segment_by_name

ADDS_UP = (
    "entered = inside + completed + goal + exited + stuck; came = left + waiting + stuck\n"
    "messages = sent + skipped + failed + unknown + queued"
)
Deed = Callable[..., Any]

name = click.argument("name")


@click.group(cls=Group)
def journey() -> None:
    """Write, publish, watch and stop journeys. NAME is a journey's name, or its id."""


for command in (check, fmt, plan, publish, move, simulate, test):
    journey.add_command(command)


@journey.command("list")
@client_option
@as_json
def list_(client_id: int | None, as_json: bool) -> None:
    """List journeys with how many are inside.

    \b
    echelonx journey list
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        found = journeys(session, client.id)
        counts = headcounts(session, [one.id for one in found])
        numbers = version_numbers(session, found)
        rows = [_line(one, counts[one.id], numbers[one.id]) for one in found]
    shown = table(list(rows[0]), [list(row.values()) for row in rows]) if rows else "(none)"
    answer({"journeys": rows}, shown, as_json=as_json)


@journey.command()
@name
@click.option("--text", "only_text", is_flag=True, help="Print the draft alone, for a file.")
@client_option
@as_json
def show(name: str, only_text: bool, client_id: int | None, as_json: bool) -> None:
    """Show a journey's draft, how many are inside, and what the draft would change.

    \b
    echelonx journey show Welcome
    echelonx journey show Welcome --text > welcome.journey
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        found = named(session, client.id, name)
        values = _alone(session, found)
        values |= {"draft_changes": _draft(session, found, values["version"])}
        text = found.draft
    shown = text.rstrip() if only_text else f"{facts(values)}\n\n{text.rstrip()}"
    answer(values | {"text": text}, shown, as_json=as_json)


@journey.command()
@name
@client_option
@as_json
def pause(name: str, client_id: int | None, as_json: bool) -> None:
    """Freeze everyone: nobody enters, and those inside stand still until `resume`."""
    _control("pause", publishing.pause, name, client_id, as_json=as_json)


@journey.command()
@name
@client_option
@as_json
def drain(name: str, client_id: int | None, as_json: bool) -> None:
    """Stop new entries only: those inside go on to their end."""
    _control("drain", publishing.drain, name, client_id, as_json=as_json)


@journey.command()
@name
@client_option
@as_json
def resume(name: str, client_id: int | None, as_json: bool) -> None:
    """Go on. What happened meanwhile lets nobody in."""
    _control("resume", publishing.resume, name, client_id, as_json=as_json)


@journey.command()
@name
@click.option("--yes", is_flag=True, help="Do not ask.")
@client_option
@as_json
def archive(name: str, yes: bool, client_id: int | None, as_json: bool) -> None:
    """End a journey: nobody enters, and those inside are taken out, for good."""
    if not yes:
        click.confirm(
            f"Take everybody who is inside out of “{name}”, for good?", abort=True, err=True
        )
    _control("archive", publishing.archive, name, client_id, as_json=as_json)


@journey.command()
@name
@click.option("--step", help="Only those at this step, by its key.")
@click.option("--status", type=click.Choice([one.value for one in EnrolmentStatus]))
@click.option("--held", type=click.Choice([one.value for one in Held]))
@click.option("--after", type=int, default=0, help="Only those behind this id.")
@click.option("-n", "limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@client_option
@as_json
def people(
    name: str,
    step: str | None,
    status: str | None,
    held: str | None,
    after: int,
    limit: int,
    client_id: int | None,
    as_json: bool,
) -> None:
    """Show who is inside: at which step, since when, and why they wait.

    \b
    echelonx journey people Welcome
    echelonx journey people Welcome --status stuck --json
    """
    which = Which(
        step=step,
        status=EnrolmentStatus(status) if status else None,
        held=Held(held) if held else None,
    )
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        found = people_page(
            session,
            services.clock,
            client_id=client.id,
            journey_id=named(session, client.id, name).id,
            which=which,
            after=after,
            limit=limit,
        )
    answer({"people": [asdict(one) for one in found]}, lambda: _standing(found), as_json=as_json)


@journey.command()
@name
@click.option("--version", "number", type=click.IntRange(1), help="Of this version only.")
@client_option
@as_json
def results(name: str, number: int | None, client_id: int | None, as_json: bool) -> None:
    """Count what became of everybody who entered, step by step: numbers that add up.

    \b
    echelonx journey results Welcome
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        found = count_results(
            session,
            services.clock,
            client_id=client.id,
            journey_id=named(session, client.id, name).id,
            version=number,
        )
    answer(asdict(found), lambda: _results(found), as_json=as_json)


@journey.command()
@name
@click.option(
    "--member", "members", multiple=True, help="A member_id, email or phone; repeat for several."
)
@click.option("--segment", help="The members of this segment, up to 10,000.")
@click.option("--key", default="", help="Each key is an entry of its own.")
@click.option("--event", default="{}", help="JSON that templates show as event.…")
@client_option
@as_json
def enrol(
    name: str,
    members: tuple[str, ...],
    segment: str | None,
    key: str,
    event: str,
    client_id: int | None,
    as_json: bool,
) -> None:
    """Let members into a journey that has the line `when asked`; twice is once.

    \b
    echelonx journey enrol Welcome --member C-10002 --member ana@example.com
    echelonx journey enrol Welcome --segment "New leads"
    """
    if bool(members) == (segment is not None):
        raise click.UsageError("give --member or --segment")
    told: dict[str, Any] = {"key": key, "event": _properties(event)}
    with opened() as services:
        with write(services.sessions) as session:
            client = chosen(session, client_id)
            told |= {"client_id": client.id, "journey_id": named(session, client.id, name).id}
            if segment is not None:
                meant = segment_by_name(session, client.id, segment)
                entered, asked = ask_segment(session, services.clock, segment=meant, **told)
            else:
                asked = {who.id for one in members for who in members_called(session, client, one)}
                entered = ask(session, services.clock, member_ids=sorted(asked), **told)
        services.bell.ring()
    values = {"entered": len(entered), "left_out": len(asked) - len(entered)}
    answer(values, facts(values), as_json=as_json)


# ---- behind them


def _control(deed: str, do: Deed, name: str, client_id: int | None, *, as_json: bool) -> None:
    with opened() as services:
        with write(services.sessions) as session:
            client = chosen(session, client_id)
            found = named(session, client.id, name)
            do(session, services.clock, client_id=client.id, journey_id=found.id)
            _audit(session, services.clock, found, deed)
            values = _alone(session, found)
        services.bell.ring()
    answer(values, facts(values), as_json=as_json)


def _audit(session: Session, clock: Clock, found: Journey, deed: str) -> None:
    record(
        session, clock, client_id=found.client_id, actor="cli", action=f"journey.{deed}",
        target=f"journey:{found.id}",
    )  # fmt: skip


def _alone(session: Session, found: Journey) -> dict[str, Any]:
    number = version_numbers(session, [found])[found.id]
    return _line(found, headcounts(session, [found.id])[found.id], number)


def _line(found: Journey, inside: Headcount, version: int | None) -> dict[str, Any]:
    return {
        "id": found.id,
        "name": found.name,
        "status": found.status.value,
        "version": version,
        "inside": inside.inside,
        "stuck": inside.stuck,
    }


def _draft(session: Session, found: Journey, version: int | None) -> str | None:
    """Say what the draft would change; None where nothing was published."""
    if version is None:
        return None
    try:
        told = difference(session, client_id=found.client_id, journey_id=found.id, older=version)
    except JourneyError as error:
        return error.sentence
    return sentence(told.changes)


def _properties(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidError("--event is no JSON object", field="event", remedy='{"total": 12}')
    return found


def _standing(people: list[Standing]) -> str:
    columns = ("id", "member_id", "version", "step", "since", "next_at", "because")
    rows = [
        (one.id, one.member, one.version, one.step, one.since, one.next_at, one.because)
        for one in people
    ]
    return table(columns, rows)


def _results(found: Results) -> str:
    parts = [facts(asdict(found.totals))]
    parts += [_version(one) for one in found.versions]
    return "\n\n".join([*parts, ADDS_UP])


def _version(one: VersionResult) -> str:
    columns = (f"version {one.version}", "came", "left", "waiting", "stuck", "lost", "messages",
               "sent", "skipped", "failed", "delivered", "clicked")  # fmt: skip
    return table(columns, [_step(step, columns[6:]) for step in one.steps])


def _step(step: StepResult, numbers: tuple[str, ...]) -> list[Any]:
    left = sum(step.left.values())
    told = [step.messages[name] or None for name in numbers]
    return [step.key, step.came, left, step.waiting, step.stuck, step.lost, *told]
