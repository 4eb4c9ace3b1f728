"""Hear: signals let members in and wake those inside, in one transaction with their deletion.

One worker at a time hears a client: what happened to a member counts in its order, and two that
wake the same members do not wait for each other in a circle.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, exists, select, update
from sqlalchemy.orm import Session

from accounts.client import Client
from campaigns.journeys.ast import (
    Happens,
    OnEvent,
    OnForm,
    OnReply,
    OnSegment,
    Replies,
    Trigger,
)
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, Held
from campaigns.journeys.enter import Candidate, Entry, admit
from campaigns.journeys.happened import answers, fits
from campaigns.journeys.journey import ADVANCING, Journey, JourneyStatus, JourneyVersion
from campaigns.journeys.listening import FORM, names_of, trigger_names, waking_names
from campaigns.journeys.machine import Machine
from campaigns.journeys.machine import machines as machines_of
from communications.communication import Communication
from core.clock import Clock
from core.errors import EngineError
from core.failpoint import reach
from core.log import get
from core.rows import among
from members.event import Event
from members.match import Happened
from members.segment import Segment
from members.signal import EVENT, REPLY, Heard, listen, take

log = get(__name__)

SET = 1000
E = Enrolment


@dataclass(frozen=True, slots=True)
class _About:
    """What the signals are about: events and messages, by id."""

    events: Mapping[int, Happened]
    texts: Mapping[int, tuple[str | None, str]]


def hear(session: Session, clock: Clock, *, client_id: int, limit: int = SET) -> int:
    """Draw the consequences of a client's oldest signals; return how many there were.

    None while another worker hears this client.

    A journey that cannot have its share, such as one whose segment is gone, does not hold up the
    others: it is logged and left out. Cost: two queries for what the signals are about, four
    statements for each journey that takes somebody, one for each that waits.
    """
    turn = select(Client.id).where(Client.id == client_id)
    if session.scalar(turn.with_for_update(key_share=True, skip_locked=True)) is None:
        return 0
    heard = take(session, client_id=client_id, limit=limit)
    if not heard:
        return 0
    about = _about(session, heard)
    names = {one.name for one in heard}
    segments = segment_ids(session, client_id)
    older = _older(session, client_id)
    journeys = _live(session, client_id)
    machines = machines_of(session, [live.version_id or 0 for live in journeys])
    for live in journeys:
        known = machines[live.version_id or 0]
        asked = [known, *older[live.id]]
        waking = {name for one in asked for name in waking_names(one.journey)}
        if names.isdisjoint(names_of(known.journey, segments) | waking):
            continue
        _wake(session, clock.now(), live.id, waking, heard)
        if live.status is not JourneyStatus.ACTIVE:
            continue
        try:
            with session.begin_nested():
                admit(session, clock, known, _candidates(known, segments, heard, about))
        except EngineError:
            log.exception("a journey cannot hear", journey_id=live.id)
    reach("C15")
    return len(heard)


def listen_anew(session: Session, client_id: int) -> None:
    """Listen for what the client's live journeys need; after every publish, pause and edit."""
    segments = segment_ids(session, client_id)
    versions = [live.version_id or 0 for live in _live(session, client_id)]
    live = machines_of(session, versions).values()
    names = {name for one in live for name in names_of(one.journey, segments)}
    for older in _older(session, client_id).values():
        names = names.union(*(waking_names(one.journey) for one in older))
    listen(session, client_id=client_id, names=names)


def segment_ids(session: Session, client_id: int) -> dict[str, int]:
    """Return the ids of a client's segments by name."""
    query = select(Segment.name, Segment.id).where(
        Segment.client_id == client_id, Segment.deleted_at.is_(None)
    )
    return {row.name: row.id for row in session.execute(query)}


def _live(session: Session, client_id: int) -> list[Journey]:
    query = select(Journey).where(
        Journey.client_id == client_id,
        Journey.status.in_(ADVANCING),
        Journey.version_id.is_not(None),
    )
    return list(session.scalars(query.order_by(Journey.id)))


def _older(session: Session, client_id: int) -> dict[int, list[Machine]]:
    """Return the versions, by journey, that nobody enters any more and somebody is still inside."""
    # Whoever is stuck may be taken up again, and listens then.
    inside = exists().where(
        E.version_id == JourneyVersion.id,
        E.status.in_([EnrolmentStatus.ACTIVE, EnrolmentStatus.STUCK]),
    )
    query = (
        select(Journey.id, JourneyVersion.id)
        .join(JourneyVersion, JourneyVersion.journey_id == Journey.id)
        .where(
            Journey.client_id == client_id,
            Journey.status.in_(ADVANCING),
            JourneyVersion.id != Journey.version_id,
            inside,
        )
    )
    found: dict[int, list[Machine]] = defaultdict(list)
    versions = [version_id for _, version_id in session.execute(query)]
    for one in machines_of(session, versions).values() if versions else ():
        found[one.journey_id].append(one)
    return found


def _about(session: Session, heard: Sequence[Heard]) -> _About:
    told = [one for one in heard if one.about and one.name.startswith(EVENT)]
    events = sorted({one.about for one in told if one.about})
    texts = sorted({one.about for one in heard if one.about and one.name == REPLY})
    found: dict[int, Happened] = {}
    if events:
        query = select(
            Event.id, Event.name, Event.occurred_at, Event.amount, Event.properties
        ).where(
            among(session, Event.id, events),
            # Partitions of other months are not looked into.
            Event.occurred_at >= min(one.at for one in told),
            Event.occurred_at <= max(one.at for one in told),
        )
        for id, name, at, amount, properties in session.execute(query):
            found[id] = Happened(name, at, amount, properties)
    said: dict[int, tuple[str | None, str]] = {}
    if texts:
        messages = select(Communication.id, Communication.content, Communication.channel).where(
            among(session, Communication.id, texts)
        )
        said = {id: (text, channel.value) for id, text, channel in session.execute(messages)}
    return _About(found, said)


def _candidates(
    known: Machine, segments: dict[str, int], heard: Sequence[Heard], about: _About
) -> list[Candidate]:
    """Return who would enter, in the order in which it happened, whatever the trigger."""
    triggers = [(one, trigger_names(one, segments)) for one in known.journey.triggers]
    return [
        Candidate(entry, one.name, trigger.only)
        for one in heard
        for trigger, names in triggers
        if one.name in names and (entry := _entry(trigger, one, about)) is not None
    ]


def _entry(trigger: Trigger, one: Heard, about: _About) -> Entry | None:
    """Return who enters by a signal, None where it does not fit the trigger."""
    match trigger:
        case OnEvent(happens=happens):
            return _by_event(happens, one, about)
        case OnForm(form=form):
            event = about.events.get(one.about or 0)
            if event is None or event.properties.get(FORM) != form:
                return None
            return Entry(one.member_id, one.at, event=event.properties)
        case OnReply(replies=replies):
            return _by_reply(replies, one, about)
        case OnSegment():
            return Entry(one.member_id, one.at)
        case _:
            return None


def _by_event(happens: Happens, one: Heard, about: _About) -> Entry | None:
    event = about.events.get(one.about or 0)
    if event is None or not fits(happens, event):
        return None
    key: Any = "" if happens.key is None else event.properties.get(happens.key)
    if key is None:
        return None
    return Entry(one.member_id, one.at, key=str(key), event=event.properties)


def _by_reply(replies: Replies, one: Heard, about: _About) -> Entry | None:
    text, channel = about.texts.get(one.about or 0, (None, ""))
    if not answers(replies, text, channel):
        return None
    return Entry(one.member_id, one.at, event={"text": text})


def _wake(
    session: Session, now: datetime, journey_id: int, waking: Set[str], heard: Sequence[Heard]
) -> None:
    """Look at those inside to whom something happened that the journey asks about.

    Also at who is due already: a worker may hold them at this moment and have looked before it
    happened; this waits for the end of that look. Whose step failed keeps its pause.
    """
    members = sorted({one.member_id for one in heard if one.name in waking})
    if members:
        session.execute(
            update(E)
            .where(
                E.journey_id == journey_id,
                among(session, E.member_id, members),
                E.status == EnrolmentStatus.ACTIVE,
                E.held.is_distinct_from(Held.RETRY),
            )
            .values(due_at=case((E.due_at < now, E.due_at), else_=now))
            .execution_options(synchronize_session=False)
        )
