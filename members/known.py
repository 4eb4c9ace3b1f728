"""Known names: what a client calls its events, tags and segments.

They are what a builder offers, and what a misspelt name is compared with.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, literal, select, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.condition.ast import CHOICES, FIELDS, Condition, Kind, Op
from core.condition.check import ConditionError, ops_of
from core.condition.leaf import Known
from core.condition.spelling import quote
from members.event import Event, EventTotal
from members.identity import EXTERNAL, Identity
from members.member import Member, MemberTag
from members.messages import message_names
from members.segment import Segment, condition_of

MOST = 1_000
"""Names of one kind in a vocabulary."""
LOOKED_AT = 1_000
"""The newest members, whose attributes are those seen."""
EVENTS_LOOKED_AT = 20
"""The latest events of each name, likewise."""
AT_ONCE = 50
"""Names in one statement."""
KINDS = {str: "text", bool: "true or false", int: "number", float: "number"}


@dataclass(frozen=True, slots=True)
class FieldWord:
    """A field of members, and what can be asked of it."""

    name: str
    kind: Kind
    ops: tuple[Op, ...]
    choices: tuple[str, ...]
    """The values there are, where they are few."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An attribute or a property of events, and what it was seen to hold."""

    name: str
    kinds: tuple[str, ...]
    """`text`, `number`, `true or false`; a list or object is `other`."""


@dataclass(frozen=True, slots=True)
class EventWord:
    """A name of events, and the properties they were seen with."""

    name: str
    properties: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the conditions of one client can be made of."""

    fields: tuple[FieldWord, ...]
    attributes: tuple[Seen, ...]
    external_ids: tuple[str, ...]
    tags: tuple[str, ...]
    segments: tuple[str, ...]
    campaigns: tuple[str, ...]
    events: tuple[EventWord, ...]


def known_names(session: Session, *, client_id: int) -> Known:
    """Return the names a client's conditions can mean, for `parse` and `from_json`."""
    return Known(
        events=frozenset(_distinct(session, EventTotal.name, EventTotal.client_id == client_id)),
        tags=frozenset(_distinct(session, MemberTag.tag, MemberTag.client_id == client_id)),
        segments=frozenset(_segments(session, client_id)),
        campaigns=message_names(session, client_id=client_id),
    )


def vocabulary(session: Session, *, client_id: int) -> Vocabulary:
    """Return what conditions can be made of: fields, and the client's own names, sorted.

    Up to 1,000 of each kind. Attributes are those of the 1,000 newest members, properties those of
    the 20 latest events of each name.
    """
    known = known_names(session, client_id=client_id)
    systems = _distinct(
        session, Identity.kind, Identity.client_id == client_id, Identity.kind.startswith(EXTERNAL)
    )
    newest = select(Member.attributes).where(
        Member.client_id == client_id, Member.deleted_at.is_(None)
    )
    attributes = session.scalars(newest.order_by(Member.id.desc()).limit(LOOKED_AT))
    return Vocabulary(
        fields=tuple(
            FieldWord(name, kind, ops_of(kind), CHOICES.get(name, ()))
            for name, kind in FIELDS.items()
        ),
        attributes=_seen(attributes),
        external_ids=tuple(system.removeprefix(EXTERNAL) for system in systems),
        tags=_some(known.tags),
        segments=_some(known.segments),
        campaigns=_some(known.campaigns),
        events=_events(session, client_id, _some(known.events)),
    )


def understood(session: Session, client_id: int, rule: Mapping[str, Any] | str) -> Condition:
    """Return a condition given as JSON or as text, as members.segment.condition_of does.

    Raises ConditionError; whoever wrote the name of a segment instead is told how to mean it.
    """
    try:
        return condition_of(rule)
    except ConditionError as error:
        names = _segments(session, client_id) if isinstance(rule, str) else ()
        name = _meant(str(rule), names)
        if name is not None:
            error.remedy = f"did you mean the segment? write in segment {quote(name)}"
        raise


def _meant(text: str, names: Iterable[str]) -> str | None:
    """Return the name that a text is, or nearly is."""
    folded = {name.casefold(): name for name in names}
    wanted = text.strip().strip("\"'“”").casefold()
    close = difflib.get_close_matches(wanted, folded, n=1, cutoff=0.8)
    return folded[close[0]] if close else None


def _segments(session: Session, client_id: int) -> Sequence[str]:
    query = select(Segment.name).where(Segment.client_id == client_id, Segment.deleted_at.is_(None))
    return session.scalars(query).all()


def _distinct(
    session: Session, column: InstrumentedAttribute[str], *where: ColumnElement[bool]
) -> list[str]:
    """Return the values of a column whose index begins with what `where` fixes, sorted.

    It leaps from one value to the next: DISTINCT would read the whole index.
    """
    least = select(func.min(column).label("name")).where(*where)
    names = least.cte("names", recursive=True)
    after = select(func.min(column)).where(*where, column > names.c.name).scalar_subquery()
    names = names.union_all(select(after).where(names.c.name.is_not(None)))
    return list(session.scalars(select(names.c.name).where(names.c.name.is_not(None))))


def _events(session: Session, client_id: int, names: Sequence[str]) -> tuple[EventWord, ...]:
    found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in names}
    for start in range(0, len(names), AT_ONCE):
        latest = [
            select(literal(name).label("name"), Event.properties)
            .where(Event.client_id == client_id, Event.name == name)
            .order_by(Event.occurred_at.desc())
            .limit(EVENTS_LOOKED_AT)
            .subquery()
            for name in names[start : start + AT_ONCE]
        ]
        rows = session.execute(union_all(*[select(one.c.name, one.c.properties) for one in latest]))
        for name, properties in rows:
            found[name].append(properties)
    return tuple(EventWord(name, _seen(properties)) for name, properties in found.items())


def _seen(documents: Iterable[Mapping[str, Any]]) -> tuple[Seen, ...]:
    kinds: dict[str, set[str]] = {}
    for document in documents:
        for name, value in document.items():
            if value is not None:
                kinds.setdefault(name, set()).add(KINDS.get(type(value), "other"))
    return tuple(Seen(name, tuple(sorted(kinds[name]))) for name in sorted(kinds)[:MOST])


def _some(names: frozenset[str] | None) -> tuple[str, ...]:
    return tuple(sorted(names or ())[:MOST])
