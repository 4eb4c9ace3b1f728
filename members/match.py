"""Matching: whether one member, held in memory, is meant by a condition.

members/facts.py loads what is known of a member; members/why.py says why.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from core.condition.ast import (
    ATTRIBUTES,
    BARE,
    EXTERNAL,
    FIELDS,
    TOTAL,
    And,
    Compare,
    Condition,
    Consented,
    Did,
    Everyone,
    HasTag,
    InSegment,
    Kind,
    Leaf,
    Lot,
    Measure,
    Messaged,
    Not,
    Op,
    Or,
    Reachable,
)
from core.condition.check import property_kind
from members.comparison import window
from members.did import holds_for
from members.lot import is_drawn
from members.messages import Message, is_such
from members.window import days_of, midnight


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of a member."""

    name: str
    occurred_at: datetime
    amount: Decimal | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """What is known of a member; `attributes.city` and the like stand in `attributes`."""

    fields: Mapping[str, Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    external: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The ids another system has for the member, by the system's name."""
    tags: frozenset[str] = frozenset()
    consents: frozenset[tuple[str, str]] = frozenset()
    """(channel, topic) of every yes."""
    reachable: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()
    events: tuple[Happened, ...] = ()
    messages: tuple[Message, ...] = ()
    """What was sent to the member."""
    id: int = 0
    """Our id: what lots are drawn by."""


def matches(condition: Condition, member: MemberFacts, now: datetime) -> bool:
    """Say whether the condition means this member at `now`."""
    match condition:
        case And(items=items):
            return all(matches(item, member, now) for item in items)
        case Or(items=items):
            return any(matches(item, member, now) for item in items)
        case Not(item=item):
            return not matches(item, member, now)
        case Compare():
            return _compared(condition, member, now)
        case Did():
            return _did(condition, member, now)
        case Messaged():
            return any(is_such(message, condition, now) for message in member.messages)
        case _:
            return _belongs(condition, member)


def _compared(compare: Compare, member: MemberFacts, now: datetime) -> bool:
    held, kind = held_by(member, compare.field)
    if compare.field.startswith(EXTERNAL) and compare.op not in BARE and held is not None:
        # Of several ids one that is so will do; `!=` is true where none equals.
        each = member.external[compare.field.removeprefix(EXTERNAL)]
        found = [holds(one, compare, kind, now) for one in each]
        return all(found) if compare.op is Op.NE else any(found)
    return holds(held, compare, kind, now)


def _belongs(leaf: Leaf, member: MemberFacts) -> bool:
    match leaf:
        case Everyone():
            return True
        case HasTag(tag=tag):
            return tag in member.tags
        case Consented(channel=channel, topic=topic):
            return (channel, topic) in member.consents
        case Reachable(channel=channel):
            return channel in member.reachable
        case InSegment(name=name):
            return name in member.segments
        case Lot():
            return is_drawn(leaf, member.id)
        case _:
            raise AssertionError(leaf)


def such_events(asked: Did, member: MemberFacts, now: datetime) -> list[Happened]:
    """Return the events of a member that a condition asks about."""
    days = None if asked.days is None else days_of(asked.days, now)
    return [
        event
        for event in member.events
        if event.name == asked.event
        and (days is None or _day(event) in days)
        and all(_is_so(event, test, now) for test in asked.where)
    ]


def _is_so(event: Happened, test: Compare, now: datetime) -> bool:
    held = event.amount if test.field == TOTAL else event.properties.get(test.field)
    return holds(held, test, property_kind(test.field), now)


def _day(event: Happened) -> date:
    return event.occurred_at.astimezone(UTC).date()


def measured(asked: Did, events: list[Happened]) -> int | Decimal | datetime | None:
    """Return how many, for how much, or when: what a condition compares; None for no time."""
    match asked.measure:
        case Measure.COUNT:
            return len(events)
        case Measure.SUM:
            return sum((event.amount or Decimal(0) for event in events), Decimal(0))
        case Measure.FIRST:
            return min((event.occurred_at for event in events), default=None)
        case Measure.LAST:
            return max((event.occurred_at for event in events), default=None)


def _did(asked: Did, member: MemberFacts, now: datetime) -> bool:
    found = measured(asked, such_events(asked, member, now))
    value: Any = asked.value
    match found:
        case None:
            return False
        case datetime() if asked.op is Op.IN_LAST:
            return found.astimezone(UTC).date() in days_of(value, now)
        case datetime():
            return holds(found, Compare("", asked.op, value), Kind.INSTANT, now)
        case _:
            return holds_for(Decimal(found), asked.op, value)


def held_by(member: MemberFacts, name: str) -> tuple[Any, Kind]:
    """Return what a member has in a field or attribute, and of what kind it is.

    Of several ids in another system all, with commas between them.
    """
    if name.startswith(ATTRIBUTES):
        return member.attributes.get(name.removeprefix(ATTRIBUTES)), Kind.ANY
    if name.startswith(EXTERNAL):
        ids = member.external.get(name.removeprefix(EXTERNAL), frozenset())
        return ", ".join(sorted(ids)) or None, Kind.TEXT
    return member.fields.get(name), FIELDS[name]


def holds(held: Any, compare: Compare, kind: Kind, now: datetime) -> bool:
    """Say whether a comparison is true of what is held; None is held by who has nothing."""
    if compare.op is Op.IS_SET:
        return held is not None
    if compare.op is Op.IS_NOT_SET:
        return held is None
    if compare.op is Op.NE:
        return held is None or not _equal(held, compare.value, kind)
    if held is None:
        return False
    if compare.op is Op.IN and isinstance(compare.value, tuple):
        return any(_equal(held, value, kind) for value in compare.value)
    return _ordered(held, compare, kind, now)


def _equal(held: Any, value: Any, kind: Kind) -> bool:
    if kind is Kind.ANY and _type(held) is not _type(value):
        return False
    return bool(_exact(held) == _exact(value))


def _type(value: Any) -> type:
    if isinstance(value, bool):
        return bool
    if isinstance(value, str):
        return str
    return float if isinstance(value, int | float | Decimal) else type(value)


def _exact(value: Any) -> Any:
    """Return a number as the decimal it is written as, so that 0.1 equals the money 0.1000."""
    return Decimal(str(value)) if _type(value) is float else value


def _ordered(held: Any, compare: Compare, kind: Kind, now: datetime) -> bool:
    if kind is Kind.ANY and _type(held) is not _type(compare.value):
        return False
    held, value = _exact(held), _exact(compare.value)
    simple: dict[Op, Callable[[], bool]] = {
        Op.EQ: lambda: bool(held == value),
        Op.LT: lambda: bool(held < value),
        Op.LE: lambda: bool(held <= value),
        Op.GT: lambda: bool(held > value),
        Op.GE: lambda: bool(held >= value),
        Op.CONTAINS: lambda: value in held,
        Op.STARTS_WITH: lambda: held.startswith(value),
        Op.BEFORE: lambda: _before(held, value, kind),
        Op.AFTER: lambda: _after(held, value, kind),
        Op.IN_LAST: lambda: _within(held, window(int(value), now, kind)),
    }
    return simple[compare.op]()


def _before(held: Any, day: date, kind: Kind) -> bool:
    return bool(held < (midnight(day) if kind is Kind.INSTANT else day))


def _after(held: Any, day: date, kind: Kind) -> bool:
    return bool((held.astimezone(UTC).date() if kind is Kind.INSTANT else held) > day)


def _within(held: Any, edges: tuple[Any, Any]) -> bool:
    return bool(edges[0] <= held <= edges[1])
