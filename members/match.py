"""Matching: whether one member, held in memory, is meant by a condition."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from core.condition.ast import (
    ATTRIBUTES,
    FIELDS,
    And,
    Compare,
    Condition,
    Consented,
    Everyone,
    HasTag,
    InSegment,
    Kind,
    Not,
    Op,
    Or,
    Reachable,
)
from members.comparison import midnight, window


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """What is known of a member; `attributes.city` and the like stand in `attributes`."""

    fields: Mapping[str, Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    consents: frozenset[tuple[str, str]] = frozenset()
    """(channel, topic) of every yes."""
    reachable: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()


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
            return _compare(condition, member, now)
        case _:
            return _belongs(condition, member)


def _belongs(
    condition: Everyone | HasTag | Consented | Reachable | InSegment, member: MemberFacts
) -> bool:
    match condition:
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


def _compare(compare: Compare, member: MemberFacts, now: datetime) -> bool:
    if compare.field.startswith(ATTRIBUTES):
        held = member.attributes.get(compare.field.removeprefix(ATTRIBUTES))
        kind = Kind.ANY
    else:
        held, kind = member.fields.get(compare.field), FIELDS[compare.field]
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
    return bool(held == value)


def _type(value: Any) -> type:
    if isinstance(value, bool):
        return bool
    return str if isinstance(value, str) else float


def _ordered(held: Any, compare: Compare, kind: Kind, now: datetime) -> bool:
    value: Any = compare.value
    if kind is Kind.ANY and _type(held) is not _type(value):
        return False
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
        Op.IN_LAST: lambda: _within(held, window(value, now, kind)),
    }
    return simple[compare.op]()


def _before(held: Any, day: date, kind: Kind) -> bool:
    return bool(held < (midnight(day) if kind is Kind.INSTANT else day))


def _after(held: Any, day: date, kind: Kind) -> bool:
    return bool((held.date() if kind is Kind.INSTANT else held) > day)


def _within(held: Any, edges: tuple[Any, Any]) -> bool:
    return bool(edges[0] <= held <= edges[1])
