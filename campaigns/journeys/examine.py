"""Examine: whether a journey can run at this client, before it is published.

What the text alone shows is found by check.py; here it is held against what the client has.
"""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from campaigns.errors import Finding
from campaigns.journeys.ast import Journey, OnSegment
from campaigns.journeys.check import Level, findings
from campaigns.journeys.hear import segment_ids
from campaigns.journeys.journey import LIVE, journeys
from campaigns.journeys.journey import Journey as Stored
from campaigns.journeys.naming import callers, calls_in, circle
from campaigns.journeys.program import each_condition
from campaigns.journeys.wording import Wordings, wordings
from core.clock import Clock
from core.condition.check import ConditionError, nearest
from members.rule import compile_rule
from members.segment import refuse_references


def examine(
    session: Session,
    clock: Clock,
    client_id: int,
    journey: Journey,
    stored: Stored | None = None,
) -> tuple[Wordings, list[Finding]]:
    """Return what its sends would say, and all that keeps it from being published.

    `stored` is the journey whose draft it is, where there is one.
    """
    plan, missing = wordings(session, client_id, journey)
    problems = [
        *_errors(journey),
        *missing,
        *_segments(session, client_id, journey),
        *_conditions(session, clock, client_id, journey),
        *_calls(session, client_id, journey),
        *_circle(session, client_id, journey),
        *(_called(session, stored, journey.name) if stored else ()),
    ]
    return plan, problems


def _errors(journey: Journey) -> Iterator[Finding]:
    for one in findings(journey):
        if one.level is Level.ERROR:
            field = f"line {one.line}" if one.line else "journey"
            yield Finding(one.code, one.message, one.remedy, field)


def _segments(session: Session, client_id: int, journey: Journey) -> Iterator[Finding]:
    known = segment_ids(session, client_id)
    for trigger in journey.triggers:
        if isinstance(trigger, OnSegment) and trigger.segment not in known:
            said = f"there is no segment “{trigger.segment}”"
            yield Finding("no_segment", said, "make it, or name another", "triggers")


def _conditions(
    session: Session, clock: Clock, client_id: int, journey: Journey
) -> Iterator[Finding]:
    """Yield what conditions name that the client does not have."""
    for where, condition in each_condition(journey):
        try:
            refuse_references(condition)
            compile_rule(session, condition, client_id=client_id, now=clock.now())
        except ConditionError as error:
            yield Finding("condition", str(error), error.remedy or "name what there is", where)


def _calls(session: Session, client_id: int, journey: Journey) -> Iterator[Finding]:
    """Yield the journeys that are called and take nobody, as they were never published."""
    known = {one.name for one in journeys(session, client_id) if one.status in LIVE}
    for name in sorted(calls_in(journey) - known - {journey.name}):
        said = f"there is no published journey “{name}”"
        remedy = nearest(name, known) if known else "publish it first"
        yield Finding("no_journey", said, remedy, "steps")


def _called(session: Session, stored: Stored, name: str) -> Iterator[Finding]:
    """Yield who calls it by a name that it would no longer have."""
    if name != stored.name:
        for caller in callers(session, stored):
            yield Finding(
                "called",
                f"“{caller}” calls it “{stored.name}”",
                "keep the name, or let it call another first",
                "name",
            )


def _circle(session: Session, client_id: int, journey: Journey) -> Iterator[Finding]:
    names = circle(session, client_id, journey)
    if names:
        said = " → ".join(f"“{name}”" for name in names)
        yield Finding("circle", f"{said} call each other", "leave one call out", "steps")
