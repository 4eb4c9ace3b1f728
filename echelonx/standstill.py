"""Standstill: what journeys wait for: members nobody took on, members who are stuck, signals."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, literal_column, select
from sqlalchemy.orm import Session

from campaigns.journeys.enrolment import Enrolment
from campaigns.journeys.journey import ADVANCING, Journey
from members.event import Event
from members.signal import EVENT, NO_TIME, Signal

E = Enrolment
STUCK = E.status == literal_column("'stuck'")
"""A literal, not bound: only then do both databases use the partial index."""
MOST = 100_000
"""So far is counted."""
HEAD = 100
"""The oldest signals, among which the first is looked for that says since when it waits."""


@dataclass(frozen=True, slots=True)
class Standstill:
    """How much stands still, and since when the oldest of it does; counts go up to 100,000."""

    due_since: datetime | None
    """Since when the first member is due whom no worker has taken on."""
    stuck: int
    """Members whose step failed again and again: a person must look."""
    signals: int
    """What happened to members and no journey has heard of."""
    signals_since: datetime | None


def standstill(session: Session, now: datetime) -> Standstill:
    """Read it: a head of an index for each live journey, and the ends of two small sets."""
    head = (
        select(E.due_at)
        .where(E.journey_id == Journey.id, E.due_at <= now)
        .order_by(E.due_at)
        .limit(1)
        .correlate(Journey)
        .scalar_subquery()
    )
    due = session.scalars(select(head).where(Journey.status.in_(ADVANCING)))
    stuck = select(E.id).where(STUCK).limit(MOST)
    signals = select(Signal.id).limit(MOST)
    return Standstill(
        due_since=min((at for at in due if at is not None), default=None),
        stuck=session.scalar(select(func.count()).select_from(stuck.subquery())) or 0,
        signals=session.scalar(select(func.count()).select_from(signals.subquery())) or 0,
        signals_since=_signals_since(session),
    )


def _signals_since(session: Session) -> datetime | None:
    """Return when the oldest signal came: an event's own time may be long before it was told."""
    theirs = and_(
        Signal.name.startswith(EVENT), Event.id == Signal.about, Event.occurred_at == Signal.at
    )
    query = (
        select(func.coalesce(Event.received_at, Signal.at))
        .select_from(Signal)
        .outerjoin(Event, theirs)
        .order_by(Signal.id)
        .limit(HEAD)
    )
    return next((at for at in session.scalars(query) if at != NO_TIME), None)
