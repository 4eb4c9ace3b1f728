"""Happened: what members did or wrote since they came to where they stand."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns.journeys.ast import Happens, Replies
from channels.sms import Keyword, keyword
from communications.communication import Communication, Direction
from core.condition.ast import Did
from core.rows import among
from members.event import Event
from members.match import Happened, MemberFacts, such_events

C = Communication
MAX_KEY = 100
NO_KEY = "\N{NULL}"
"""No entry has this key."""
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


@dataclass(frozen=True, slots=True)
class Found:
    """The first thing that fits."""

    at: datetime
    properties: dict[str, Any]


def happened(
    session: Session, client_id: int, what: Happens | Replies, askers: Sequence[Asker]
) -> dict[int, Found]:
    """Return the first fitting event or message of each asker that had one, by `Asker.id`."""
    if not askers:
        return {}
    if isinstance(what, Replies):
        return _first(askers, _replies(session, client_id, what, askers))
    events = _events(session, client_id, what, askers)
    return _first(askers, events, what.key)


def all_events(
    session: Session, client_id: int, event: str, askers: Sequence[Asker]
) -> dict[int, list[Found]]:
    """Return every event of this name of each asker, the first first."""
    if not askers:
        return {}
    happenings = sorted(
        _events(session, client_id, Happens(event), askers), key=lambda one: one[1].at
    )
    return {
        asker.id: [
            found
            for member_id, found in happenings
            if member_id == asker.member_id and asker.since < found.at <= asker.until
        ]
        for asker in askers
    }


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
    askers: Sequence[Asker], found: Iterable[tuple[int, Found]], key: str | None = None
) -> dict[int, Found]:
    by_member: dict[int, list[Found]] = defaultdict(list)
    for member_id, one in found:
        by_member[member_id].append(one)
    first: dict[int, Found] = {}
    for asker in askers:
        fitting = [
            one
            for one in by_member[asker.member_id]
            if asker.since < one.at <= asker.until
            and (key is None or key_of(one.properties.get(key, NO_KEY)) == asker.key)
        ]
        if fitting:
            first[asker.id] = min(fitting, key=lambda one: one.at)
    return first


def _events(
    session: Session, client_id: int, what: Happens, askers: Sequence[Asker]
) -> list[tuple[int, Found]]:
    ids = sorted({asker.member_id for asker in askers})
    query = select(Event.member_id, Event.occurred_at, Event.amount, Event.properties).where(
        Event.client_id == client_id,
        among(session, Event.member_id, ids),
        Event.occurred_at > min(asker.since for asker in askers),
        Event.name == what.event,
    )
    return [
        (member_id, Found(at, properties))
        for member_id, at, amount, properties in session.execute(query)
        if fits(what, Happened(what.event, at, amount, properties))
    ]


def _replies(
    session: Session, client_id: int, what: Replies, askers: Sequence[Asker]
) -> list[tuple[int, Found]]:
    ids = sorted({asker.member_id for asker in askers})
    query = select(C.member_id, C.created_at, C.content, C.channel).where(
        C.client_id == client_id,
        among(session, C.member_id, ids),
        C.direction == Direction.INBOUND,
        C.created_at > min(asker.since for asker in askers),
    )
    return [
        (member_id or 0, Found(at, {"text": content}))
        for member_id, at, content, channel in session.execute(query)
        if answers(what, content, channel.value)
    ]
