"""Why: whether a condition means one member, leaf by leaf, and which leaves decide it.

The answers are those of members/match.py; beside each stands what was found, in words.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy.orm import Session

from core.condition.ast import (
    And,
    Compare,
    Condition,
    Consented,
    Did,
    Leaf,
    Measure,
    Messaged,
    Not,
    Or,
)
from core.condition.english import clause
from core.condition.spelling import COUNTS, format, plural
from members.facts import facts_of
from members.match import MemberFacts, held_by, matches, measured, such_events
from members.member import Member
from members.messages import day_of, is_such

SHOWN = 60
"""Characters of a value that are repeated."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one part of a condition says of a member."""

    kind: Literal["and", "or", "not", "leaf"]
    text: str
    """The part as text of the language."""
    english: str
    """A leaf as a clause: “who have the tag “vip””; nothing for a group."""
    yes: bool
    found: str = ""
    """For a leaf: what was found; nothing where the answer says it all."""
    decides: bool = False
    """It belongs to a smallest set of leaves that by themselves make the whole yes or no."""
    parts: tuple["Answer", ...] = ()


def why(session: Session, member: Member, condition: Condition, *, now: datetime) -> Answer:
    """Return whether a condition means a member, as a tree with reasons.

    Raises ConditionError for a segment that does not exist or contains itself.
    """
    return explained(condition, facts_of(session, member, condition, now=now), now)


def explained(condition: Condition, member: MemberFacts, now: datetime) -> Answer:
    """Return the same for a member held in memory."""
    return _decided(_answer(condition, member, now))


def deciding(answer: Answer) -> Iterator[Answer]:
    """Yield the leaves that decide, from left to right."""
    if answer.kind == "leaf" and answer.decides:
        yield answer
    for part in answer.parts:
        yield from deciding(part)


def _answer(condition: Condition, member: MemberFacts, now: datetime) -> Answer:
    yes = matches(condition, member, now)
    text = format(condition)
    match condition:
        case And(items=items):
            parts = tuple(_answer(item, member, now) for item in items)
            return Answer("and", text, "", yes, parts=parts)
        case Or(items=items):
            parts = tuple(_answer(item, member, now) for item in items)
            return Answer("or", text, "", yes, parts=parts)
        case Not(item=item):
            return Answer("not", text, "", yes, parts=(_answer(item, member, now),))
        case _:
            return Answer("leaf", text, clause(condition), yes, _found(condition, member, now))


def _decided(answer: Answer) -> Answer:
    """Mark the fewest leaves that decide: one yes of an `or`, one no of an `and`, else all."""
    parts = answer.parts
    if answer.kind in ("and", "or") and answer.yes == (answer.kind == "or"):
        first = min((part for part in parts if part.yes == answer.yes), key=_weight)
        parts = tuple(_decided(part) if part is first else part for part in parts)
    else:
        parts = tuple(_decided(part) for part in parts)
    return Answer(answer.kind, answer.text, answer.english, answer.yes, answer.found, True, parts)


def _weight(answer: Answer) -> int:
    """Return how many leaves it takes to decide this part."""
    if answer.kind == "leaf":
        return 1
    if answer.kind in ("and", "or") and answer.yes == (answer.kind == "or"):
        return min(_weight(part) for part in answer.parts if part.yes == answer.yes)
    return sum(_weight(part) for part in answer.parts)


def _found(leaf: Leaf, member: MemberFacts, now: datetime) -> str:
    match leaf:
        case Compare(field=field):
            held, _ = held_by(member, field)
            return "nothing is known" if held is None else f"it is {_shown(held)}"
        case Did():
            return _found_events(leaf, member, now)
        case Messaged():
            return _found_messages(leaf, member, now)
        case Consented(channel=channel):
            topics = sorted(topic for on, topic in member.consents if on == channel)
            return f"agreed by {channel} to {', '.join(topics) or 'nothing'}"
        case _:
            return ""


def _found_events(asked: Did, member: MemberFacts, now: datetime) -> str:
    events = such_events(asked, member, now)
    found = measured(asked, events)
    window = f" in the last {plural(asked.days, 'day')}" if asked.days else ""
    match asked.measure:
        case Measure.COUNT:
            wanted = f"{COUNTS[asked.op]} {asked.value} wanted"
            return f"{asked.event} {plural(found, 'time')}{window}, {wanted}"
        case Measure.SUM:
            return f"{_shown(found)} in all{window}"
        case _:
            return "never" if found is None else f"the {asked.measure} was on {_shown(found)}"


def _found_messages(asked: Messaged, member: MemberFacts, now: datetime) -> str:
    such = [message for message in member.messages if is_such(message, asked, now)]
    if not such:
        return f"no such message among {len(member.messages)}"
    latest = max(day for message in such if (day := day_of(message, asked.verb)) is not None)
    return f"{plural(len(such), 'message')}, the latest on {latest.isoformat()}"


def _shown(value: Any) -> str:
    match value:
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        case Decimal():
            return f"{value.normalize():f}"
        case bool():
            return "true" if value else "false"
        case str():
            return f"“{value[:SHOWN]}”"
        case _:
            return str(value)
