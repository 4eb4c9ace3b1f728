"""Happened: what members did or wrote since they came to where they stand."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, and_, func, select
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from campaigns.journeys.ast import Happens, Replies
from channels.sms import Keyword, keyword
from communications.communication import Communication, Direction
from core.condition.ast import Did
from core.db import UtcDateTime
from core.rows import among, table
from members.did import such
from members.event import Event
from members.match import Happened, MemberFacts, such_events

C = Communication
MAX_KEY = 100
NO_KEY = "\N{NULL}"
"""No entry has this key."""
ASKERS: dict[str, TypeEngine[Any]] = {
    "id": BigInteger(), "member_id": BigInteger(), "since": UtcDateTime(), "until": UtcDateTime(),
}  # fmt: skip
EDGES = re.compile(r"^\W+|\W+$")
"""What stands around a word, such as `“Yes!”`."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who is asked about, and from when until when (not before or at `since`)."""

    id: int
    member_id: int
    since: datetime
    until: datetime
    key: str = ""


def happened(
    session: Session, client_id: int, what: Happens | Replies, askers: Sequence[Asker]
) -> dict[int, datetime]:
    """Return when each asker's first fitting event or message was, by `Asker.id`; of some none.

    However many events there are, the database names one for each asker; with a key it names the
    key of each that fits.
    """
    if not askers:
        return {}
    if isinstance(what, Replies):
        return _first(askers, _replies(session, client_id, what, askers))
    if what.key is not None:
        return _first(askers, _keyed(session, client_id, what, what.key, askers))
    given = table(session, ASKERS, [_row(one) for one in askers]).alias("asker")
    first = (
        select(func.min(Event.occurred_at))
        .where(*_fitting(session, client_id, what, askers), *_own(given))
        .correlate(given)
        .scalar_subquery()
    )
    query = select(given.c.id, first.label("first"))
    return {id: at for id, at in session.execute(query) if at is not None}


def first_events(
    session: Session, client_id: int, event: str, askers: Sequence[Asker], *, most: int
) -> dict[int, list[dict[str, Any]]]:
    """Return the properties of each asker's first events of this name, the first first."""
    found: dict[int, list[dict[str, Any]]] = {asker.id: [] for asker in askers}
    if not askers:
        return found
    given = table(session, ASKERS, [_row(one) for one in askers]).alias("asker")
    order = Event.occurred_at, Event.id
    nth = func.row_number().over(partition_by=given.c.id, order_by=order)
    each = (
        select(given.c.id.label("asker_id"), Event.properties, nth.label("nth"))
        .join(Event, and_(*_own(given)))
        .where(*_fitting(session, client_id, Happens(event), askers))
        .subquery()
    )
    query = select(each.c.asker_id, each.c.properties).where(each.c.nth <= most)
    for id, properties in session.execute(query.order_by(each.c.asker_id, each.c.nth)):
        found[id].append(properties)
    return found


def fits(what: Happens, one: Happened) -> bool:
    """Say whether an event fulfils the tests of its properties."""
    facts = MemberFacts(fields={}, events=(one,))
    return bool(such_events(Did(what.event, where=what.where), facts, one.occurred_at))


def answers(what: Replies, text: str | None, channel: str) -> bool:
    """Say whether a message is such a reply by its first word: “Yes!” is “yes”."""
    if what.channel is not None and what.channel.value != channel:
        return False
    if keyword(text or "") is Keyword.STOP:
        return False
    if not what.words:
        return True
    first = ((text or "").split() or [""])[0].casefold()
    return not {first, EDGES.sub("", first)}.isdisjoint(word.casefold() for word in what.words)


def key_of(value: object) -> str:
    """Return a key as entries keep it: what tells one order of a member from another."""
    return str(value)[:MAX_KEY]


def _first(
    askers: Sequence[Asker], found: Iterable[tuple[int, datetime, str | None]]
) -> dict[int, datetime]:
    by_member: dict[int, list[tuple[datetime, str | None]]] = defaultdict(list)
    for member_id, at, key in found:
        by_member[member_id].append((at, key))
    fitting = {
        asker.id: [
            at
            for at, key in by_member[asker.member_id]
            if asker.since < at <= asker.until and key in (None, asker.key)
        ]
        for asker in askers
    }
    return {id: min(times) for id, times in fitting.items() if times}


def _row(asker: Asker) -> tuple[int, int, datetime, datetime]:
    return asker.id, asker.member_id, asker.since, asker.until


def _own(given: FromClause) -> Sequence[ColumnElement[bool]]:
    """Return what makes an event an asker's."""
    return (
        Event.member_id == given.c.member_id,
        Event.occurred_at > given.c.since,
        Event.occurred_at <= given.c.until,
    )


def _fitting(
    session: Session, client_id: int, what: Happens, askers: Sequence[Asker]
) -> Sequence[ColumnElement[bool]]:
    """Return what makes an event one that is asked for, by anybody."""
    return (
        such(session, Did(what.event, where=what.where), client_id=client_id),
        # Partitions of other months are not looked into.
        Event.occurred_at > min(asker.since for asker in askers),
        Event.occurred_at <= max(asker.until for asker in askers),
    )


def _keyed(
    session: Session, client_id: int, what: Happens, key: str, askers: Sequence[Asker]
) -> list[tuple[int, datetime, str | None]]:
    ids = sorted({asker.member_id for asker in askers})
    query = select(Event.member_id, Event.occurred_at, Event.properties).where(
        among(session, Event.member_id, ids), *_fitting(session, client_id, what, askers)
    )
    return [
        (member_id, at, key_of(properties.get(key, NO_KEY)))
        for member_id, at, properties in session.execute(query)
    ]


def _replies(
    session: Session, client_id: int, what: Replies, askers: Sequence[Asker]
) -> list[tuple[int, datetime, str | None]]:
    ids = sorted({asker.member_id for asker in askers})
    query = select(C.member_id, C.created_at, C.content, C.channel).where(
        C.client_id == client_id,
        among(session, C.member_id, ids),
        C.direction == Direction.INBOUND,
        C.created_at > min(asker.since for asker in askers),
        C.created_at <= max(asker.until for asker in askers),
    )
    return [
        (member_id or 0, at, None)
        for member_id, at, content, channel in session.execute(query)
        if answers(what, content, channel.value)
    ]
