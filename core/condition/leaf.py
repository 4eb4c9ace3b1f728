"""Leaves: the checks that each leaf passes, whichever face it came in by.

`checked` gives every leaf its normal form, so that text and JSON accept the same conditions.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from core.condition.ast import (
    CHANNELS,
    CHOICES,
    MESSAGES,
    ORDER,
    TEXT_ONLY,
    Compare,
    Consented,
    Did,
    Everyone,
    HasTag,
    InSegment,
    Leaf,
    Lot,
    Measure,
    Messaged,
    Op,
    Reachable,
    Value,
)
from core.condition.check import (
    ConditionError,
    check_compare,
    check_day,
    check_days,
    check_number,
    check_property,
    check_text,
    nearest,
)
from core.condition.normal import fold

MAX_NAME = 200
MAX_EVENT = 100
MAX_TAG = 64
MAX_TIMES = 1_000_000_000
MAX_TESTS = 8
MAX_LOT = 1_000_000
OPS = {
    # measure: the comparisons that can be asked of it
    Measure.COUNT: (Op.GE, Op.LE, Op.EQ),
    Measure.SUM: (Op.EQ, Op.NE, *sorted(ORDER)),
    Measure.FIRST: (Op.BEFORE, Op.AFTER, Op.IN_LAST),
    Measure.LAST: (Op.BEFORE, Op.AFTER, Op.IN_LAST),
}


@dataclass(frozen=True, slots=True)
class Known:
    """The names a client has; None where any name will do."""

    events: frozenset[str] | None = None
    tags: frozenset[str] | None = None
    segments: frozenset[str] | None = None
    campaigns: frozenset[str] | None = None


def checked(leaf: Leaf, known: Known | None = None) -> Leaf:
    """Return a leaf in its normal form. Raises ConditionError naming what does not make sense.

    With `known`, a name that the client does not have is an error too, with the nearest one, and
    so is a tier, status or gender that nobody can have.
    """
    normal = _normal(leaf)
    if known is not None:
        _check_known(normal, known)
    return normal


def _normal(leaf: Leaf) -> Leaf:
    match leaf:
        case Everyone():
            return leaf
        case Compare():
            return check_compare(leaf)
        case HasTag(tag=tag):
            return HasTag(_name(fold(tag), "a tag", MAX_TAG))
        case InSegment(name=name):
            return InSegment(_name(name, "a segment's name"))
        case Reachable(channel=channel):
            return Reachable(_channel(channel, CHANNELS))
        case Consented(channel=channel, topic=topic):
            return Consented(_channel(channel, CHANNELS), _name(topic, "a topic", MAX_TAG))
        case _:
            return _happened(leaf)


def _happened(leaf: Did | Messaged | Lot) -> Leaf:
    match leaf:
        case Did():
            return _did(leaf)
        case Messaged():
            return _messaged(leaf)
        case Lot():
            return _lot(leaf)
        case _:
            assert_never(leaf)


def _did(did: Did) -> Did:
    event = _name(did.event, "an event's name", MAX_EVENT)
    if did.op not in OPS[did.measure]:
        raise ConditionError(
            f"“{did.op}” cannot be asked of the {did.measure} of events",
            remedy=f"use one of {', '.join(OPS[did.measure])}",
        )
    if did.days is not None:
        check_days(did.days)
        if did.measure in (Measure.FIRST, Measure.LAST):
            raise ConditionError(f"the {did.measure} of events has no number of days beside it")
    if len(did.where) > MAX_TESTS:
        raise ConditionError(
            f"there are {len(did.where)} tests of one event", remedy=f"keep it to {MAX_TESTS}"
        )
    where = tuple(check_property(test) for test in did.where)
    return replace(did, event=event, value=_measured(did), where=where)


def _measured(did: Did) -> Value:
    match did.measure, did.op:
        case Measure.COUNT, op:
            return _times(did.value, least=1 if op is Op.GE else 0)
        case Measure.SUM, _:
            return check_number(did.value)
        case _, Op.IN_LAST:
            check_days(did.value)
        case _:
            check_day(did.value)
    return did.value


def _times(value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_TIMES:
        raise ConditionError(
            f"a number of times was expected, not {str(value)[:40]}",
            remedy=f"give a whole number from {least}",
        )
    return value


def _messaged(messaged: Messaged) -> Messaged:
    campaign = messaged.campaign
    if isinstance(campaign, str):
        campaign = _name(campaign, "a campaign's name")
    elif campaign is not None and campaign is not True:
        raise ConditionError("a campaign is given by its name, or true for any")
    if messaged.days is not None:
        check_days(messaged.days)
    channel = messaged.channel
    return replace(
        messaged,
        campaign=campaign,
        channel=None if channel is None else _channel(channel, MESSAGES),
    )


def _lot(lot: Lot) -> Lot:
    numbers: tuple[object, ...] = (lot.part, lot.of)
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
    if not whole or not 1 <= lot.part <= lot.of <= MAX_LOT:
        raise ConditionError(
            "“random” takes a part of a whole", remedy="write it as random 10 of 100"
        )
    return Lot(lot.part, lot.of, check_text(lot.salt, "the salt", MAX_EVENT))


def _name(value: str, what: str, most: int = MAX_NAME) -> str:
    """Return a name without spaces around it."""
    return check_text(value.strip(), what, most, least=1)


def _channel(channel: str, known: Iterable[str]) -> str:
    channel = channel.casefold()
    if channel not in known:
        raise ConditionError(f"“{channel[:40]}” is no channel", remedy=nearest(channel, known))
    return channel


def _check_known(leaf: Leaf, known: Known) -> None:
    match leaf:
        case Compare():
            _check_choice(leaf)
            return
        case HasTag(tag=name):
            what, names = "a tag", known.tags
        case InSegment(name=name):
            what, names = "a segment", known.segments
        case Did(event=name):
            what, names = "an event", known.events
        case Messaged(campaign=str(name)):
            what, names = "a campaign", known.campaigns
        case _:
            return
    if names is not None and name not in names:
        remedy = nearest(name, names) if names else None
        raise ConditionError(f"nobody has {what} named “{name[:80]}” here", remedy=remedy)


def _check_choice(compare: Compare) -> None:
    """Raise ConditionError for a tier, status or gender that nobody can have."""
    choices = CHOICES.get(compare.field)
    if choices is None or compare.op in TEXT_ONLY:
        return
    values = compare.value if isinstance(compare.value, tuple) else (compare.value,)
    for value in values:
        if value is not None and value not in choices:
            raise ConditionError(
                f"there is no {compare.field} “{str(value)[:40]}”, only {', '.join(choices)}",
                remedy=nearest(str(value), choices),
            )
