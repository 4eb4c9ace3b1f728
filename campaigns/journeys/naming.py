"""Naming: which journeys name a segment, template or journey, in a version that still counts."""

from collections.abc import Callable, Iterator, Set

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from campaigns.journeys.ast import Call, OnSegment, Send
from campaigns.journeys.ast import Journey as Ast
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus
from campaigns.journeys.journey import Journey, JourneyStatus, JourneyVersion
from campaigns.journeys.json import from_json
from campaigns.journeys.program import each_condition, each_step
from channels.channel import Channel
from members.dependence import names_in


def segments_in(journey: Ast) -> set[str]:
    """Return the names of the segments that a journey's triggers and conditions name."""
    names = {one.segment for one in journey.triggers if isinstance(one, OnSegment)}
    return names.union(*(names_in(condition) for _, condition in each_condition(journey)))


def templates_in(journey: Ast) -> list[tuple[Channel, str]]:
    """Return what a journey's sends say, in their order: channel and name of each template."""
    return [
        (option.channel, content.template)
        for step in each_step(journey.steps)
        if isinstance(step, Send)
        for option in step.options
        for content in option.contents
    ]


def journeys_naming(session: Session, client_id: int, names: Set[str]) -> list[Journey]:
    """Return the journeys that name one of these segments, by id."""
    return _naming(session, client_id, lambda one: not names.isdisjoint(segments_in(one)))


def journeys_saying(session: Session, client_id: int, name: str) -> list[Journey]:
    """Return the journeys that send the template of this name, by id."""
    return _naming(session, client_id, lambda one: name in {told for _, told in templates_in(one)})


def _naming(session: Session, client_id: int, does: Callable[[Ast], bool]) -> list[Journey]:
    found = {stored.id: stored for stored, one in _in_use(session, client_id) if does(one)}
    return [found[id] for id in sorted(found)]


def callers(session: Session, called: Journey) -> list[str]:
    """Return the names of the other journeys that call this one."""
    found = {
        stored.name
        for stored, journey in _in_use(session, called.client_id)
        if stored.id != called.id and called.name in calls_in(journey)
    }
    return sorted(found)


def circle(session: Session, client_id: int, journey: Ast) -> list[str]:
    """Return the names of journeys that call each other in a circle with this one; empty if none.

    Members would go round without end.
    """
    called = {stored.name: calls_in(ast) for stored, ast in _in_use(session, client_id)}
    called[journey.name] = calls_in(journey)
    ways = [[journey.name]]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for name in sorted(called.get(way[-1], set())):
            if name == journey.name:
                return [*way, name]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []


def calls_in(journey: Ast) -> set[str]:
    """Return the names of the journeys that it calls."""
    return {step.journey for step in each_step(journey.steps) if isinstance(step, Call)}


def _in_use(session: Session, client_id: int) -> Iterator[tuple[Journey, Ast]]:
    """Yield journeys with each version that members enter or are inside of."""
    inside = exists().where(
        Enrolment.version_id == JourneyVersion.id,
        Enrolment.status.in_([EnrolmentStatus.ACTIVE, EnrolmentStatus.STUCK]),
    )
    query = (
        select(Journey, JourneyVersion.ast)
        .join(JourneyVersion, JourneyVersion.journey_id == Journey.id)
        .where(
            Journey.client_id == client_id,
            Journey.status != JourneyStatus.ARCHIVED,
            or_(JourneyVersion.id == Journey.version_id, inside),
        )
        .order_by(Journey.id, JourneyVersion.id)
    )
    for stored, ast in session.execute(query):
        yield stored, from_json(ast)
