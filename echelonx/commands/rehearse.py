"""`journey simulate` and `journey test`: journeys on a virtual clock; nothing is sent."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from sqlalchemy.orm import Session

from campaigns.errors import JourneyNotFoundError
from campaigns.journeys.acts import invented, segment_of
from campaigns.journeys.ast import Journey, Step
from campaigns.journeys.journey import journey_named
from campaigns.journeys.program import Node, program
from campaigns.journeys.rehearsal import Cast, Happening, Rehearsal, members_of, rehearse
from campaigns.journeys.scenario import Scenario, parse_scenarios, play_scenarios
from campaigns.journeys.text import parse
from campaigns.journeys.way import way_said
from core.db import read
from echelonx.cli import PROBLEM
from echelonx.commands.output import answer, as_json, table
from echelonx.commands.workspace import chosen, client_option, opened
from members.queries import member_by_key, segment_by_name

SOMEBODY = {"first_name": "Ana", "email": "ana@example.com", "phone": "+12015550123"}


@click.command()
@click.argument("which")
@click.option("--member", "key", help="Play this member (by member_id).")
@click.option("--segment", "segment", help="Play the members of this segment, 1,000 at most.")
@click.option("--given", "given", multiple=True, help="Of somebody invented: 'tier \"elite\"'.")
@click.option("--what-if", "what_ifs", multiple=True, help="Such as '1d clicks \"gift\"'.")
@click.option("--event", "event", default="{}", help="JSON: what the event that lets in tells.")
@click.option("--start", type=click.DateTime(), help="When it begins, UTC; now, if not given.")
@click.option("--days", type=click.IntRange(1, 1830), default=365, show_default=True)
@client_option
@as_json
def simulate(
    which: str,
    key: str | None,
    segment: str | None,
    given: tuple[str, ...],
    what_ifs: tuple[str, ...],
    event: str,
    start: datetime | None,
    days: int,
    client_id: int | None,
    as_json: bool,
) -> None:
    """Play a journey (its name, or a file) and print the calendar of what would be sent.

    \b
    echelonx journey simulate Nurture --member C-10002
    echelonx journey simulate nurture.journey --what-if '1d clicks "gift"' --days 60
    echelonx journey simulate Nurture --segment "New leads" --json
    """
    script = "\n".join(
        ['scenario "simulated"', f"when event {event}"]
        + [f"given {one}" for one in given]
        + [f"after {one}" for one in what_ifs]
    )
    (scenario,) = parse_scenarios(script)
    with opened() as services:
        with read(services.sessions) as session:
            client = chosen(session, client_id)
            journey = text_of(session, client.id, which)
            cast = _cast(session, client.id, key, segment, scenario)
        played = rehearse(
            services.sessions,
            services.hasher,
            client_id=client.id,
            journey=journey,
            cast=cast,
            start=start.replace(tzinfo=UTC) if start else services.clock.now(),
            over=timedelta(days=days),
            event=scenario.event,
            what_ifs=scenario.what_ifs,
        )
    told = {"journey": journey.name, "entered": len(played.entered)} | asdict(played)
    answer(told | {"entered": played.entered}, lambda: _shown(played, journey), as_json=as_json)


@click.command()
@click.argument("which")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--start", type=click.DateTime(), help="When it begins, UTC; now, if not given.")
@client_option
@as_json
def test(
    which: str, file: Path, start: datetime | None, client_id: int | None, as_json: bool
) -> None:
    """Check a journey (its name, or a file) by the scenarios of a file; exit 1 where one fails.

    \b
    echelonx journey test nurture.journey nurture.scenarios
    """
    scenarios = parse_scenarios(file.read_text(encoding="utf-8"))
    with opened() as services:
        with read(services.sessions) as session:
            client = chosen(session, client_id)
            journey = text_of(session, client.id, which)
        verdicts = play_scenarios(
            services.sessions,
            services.hasher,
            client_id=client.id,
            journey=journey,
            scenarios=scenarios,
            start=start.replace(tzinfo=UTC) if start else services.clock.now(),
        )
    failed = [one for one in verdicts if not one.held]
    told = {
        "scenarios": [{"name": one.name, "problems": one.problems} for one in verdicts],
        "held": len(verdicts) - len(failed),
        "failed": len(failed),
    }
    lines = [
        "\n".join([f"{'ok  ' if one.held else 'FAIL'} {one.name}", *_indented(one.problems)])
        for one in verdicts
    ]
    lines.append(f"{len(verdicts) - len(failed)} of {len(verdicts)} scenarios hold")
    answer(told, "\n".join(lines), as_json=as_json)
    if failed:
        raise click.exceptions.Exit(PROBLEM)


def text_of(session: Session, client_id: int, which: str) -> Journey:
    """Return the journey of a file, or the draft of the one that has this name."""
    path = Path(which)
    if path.is_file():
        return parse(path.read_text(encoding="utf-8"))
    found = journey_named(session, client_id, which)
    if found is None:
        raise JourneyNotFoundError(
            f"there is neither a journey nor a file “{which}”",
            field="journey",
            remedy="`echelonx journey list` shows their names",
        )
    return parse(found.draft)


def _cast(
    session: Session, client_id: int, key: str | None, segment: str | None, scenario: Scenario
) -> Cast:
    if key is not None:
        return members_of(member_by_key(session, client_id, key).id)
    if segment is not None:
        return segment_of(segment_by_name(session, client_id, segment).id)
    return invented(SOMEBODY | scenario.fields, sorted(scenario.consents))


def _shown(played: Rehearsal, journey: Journey) -> str:
    if not played.entered:
        return "nobody enters: they do not match, or may not enter"
    many = len(played.entered) > 1
    if many:
        return _by_day(played)
    nodes = program(journey).nodes
    rows = [
        (
            (one.at - played.started_at).days,
            f"{one.at:%Y-%m-%d %H:%M}",
            one.step,
            _said(one, nodes),
        )
        for one in played.calendar
    ]
    ends = ", ".join(sorted(set(played.ends.values())))
    return f"{table(('day', 'when (UTC)', 'step', 'what'), rows)}\n\nends: {ends}"


def _by_day(played: Rehearsal) -> str:
    days = Counter(
        ((one.at - played.started_at).days, one.channel, one.template, one.status)
        for one in played.sends
    )
    rows = [(*what, count) for what, count in sorted(days.items(), key=lambda one: str(one[0]))]
    rows.sort(key=lambda row: int(row[0]))
    ends = ", ".join(f"{count} {end}" for end, count in Counter(played.ends.values()).items())
    columns = ("day", "channel", "template", "status", "people")
    return f"{table(columns, rows)}\n\n{len(played.entered)} entered; {ends}"


def _said(one: Happening, nodes: Mapping[str, Node[Step]]) -> str:
    if one.channel is not None:
        because = f": {one.reason}" if one.reason else ""
        return f"{one.status} {one.channel} “{one.template}”{because}"
    if not one.way:
        return f"is here: {one.why.get('held')}"
    because = one.why.get("because") or one.why.get("goal") or one.why.get("exit") or ""
    node = nodes.get(one.step)
    way = way_said(node.step, one.way) if node else one.way
    return way if way.startswith("if ") else f"{way} {because}".strip()


def _indented(problems: tuple[str, ...]) -> list[str]:
    return [f"     {problem}" for problem in problems]
