"""Activity: what members did by themselves, from the log of messages and from their events.

Machines do nothing here: prefetched opens and scanners' clicks never reach `read_at` and
`clicked_at` (communications/fold.py), and what was done to a member is no activity.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from communications.communication import Communication, Direction
from core.rows import among
from members.event import EventDay
from members.tier import CHANGED_EVENT

C = Communication
READ, CLICK, REPLY, PURCHASE = "read", "click", "reply", "purchase"
OTHERS_DOING = (CHANGED_EVENT, "refund")
"""Events that are nothing their member did."""
Column = InstrumentedAttribute[int] | InstrumentedAttribute[int | None]
STAGES = ((READ, C.read_at), (CLICK, C.clicked_at), (REPLY, C.replied_at))


@dataclass(frozen=True, slots=True)
class Act:
    """Something a member did: to one message, or one kind of event on one day."""

    signal: str
    """`read`, `click`, `reply`, or an event's name."""
    at: datetime
    count: int = 1


@dataclass(slots=True)
class Activity:
    """What one member did, and which messages did not arrive."""

    acts: list[Act] = field(default_factory=list)
    failures: list[datetime] = field(default_factory=list)


def activity(
    session: Session,
    *,
    client_id: int,
    since: datetime,
    until: datetime,
    member_ids: Sequence[int] | None = None,
    part: int = 1,
) -> dict[int, Activity]:
    """Return what members did after `since` and not after `until`; those who did nothing are out.

    All of the client's, those given, or every `part`-th. Cost: two queries by the members' indexes.
    """

    def mine(column: Column) -> ColumnElement[bool]:
        if member_ids is not None:
            return among(session, column, member_ids)
        return column % part == 0

    found: dict[int, Activity] = {}
    events = mine(EventDay.member_id) & (EventDay.client_id == client_id)
    for member_id, act in _of_events(session, events, since, until):
        found.setdefault(member_id, Activity()).acts.append(act)
    messages = mine(C.member_id) & (C.client_id == client_id)
    for member_id, part_of_it in _of_messages(session, messages, since, until):
        one = found.setdefault(member_id, Activity())
        one.acts += part_of_it.acts
        one.failures += part_of_it.failures
    return found


def _of_events(
    session: Session, mine: ColumnElement[bool], since: datetime, until: datetime
) -> Iterator[tuple[int, Act]]:
    query = select(EventDay.member_id, EventDay.name, EventDay.last_at, EventDay.count).where(
        mine,
        EventDay.day >= since.date(),
        EventDay.day <= until.date(),
        EventDay.name.not_in(OTHERS_DOING),
    )
    for member_id, name, last_at, count in session.execute(query):
        if since < last_at <= until:
            yield member_id, Act(name, last_at, count)


def _of_messages(
    session: Session, mine: ColumnElement[bool], since: datetime, until: datetime
) -> Iterator[tuple[int, Activity]]:
    times = [column for _, column in STAGES]
    query = select(C.member_id, C.failed_at, *times).where(
        mine,
        C.direction == Direction.OUTBOUND,
        or_(*[(column > since) & (column <= until) for column in (C.failed_at, *times)]),
    )
    for member_id, failed_at, *reached in session.execute(query):
        told = Activity(
            [Act(name, at) for (name, _), at in zip(STAGES, reached, strict=True) if at],
            [failed_at] if failed_at else [],
        )
        yield member_id or 0, between(told, since, until)


def between(one: Activity, since: datetime, until: datetime) -> Activity:
    """Return the part of an activity after `since` and not after `until`."""
    return Activity(
        [act for act in one.acts if since < act.at <= until],
        [at for at in one.failures if since < at <= until],
    )


def ago(days: float, now: datetime) -> datetime:
    """Return the instant so many days before `now`."""
    return now - timedelta(days=days)
