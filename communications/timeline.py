"""Timeline: a message's way from the decision to the reply, and why time passed between.

Built from what is written down: the row, its attempts and events, and what stood still meanwhile
(standstill.py). Where nothing says why, it says so, and does not guess.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import zip_longest

from sqlalchemy import select
from sqlalchemy.orm import Session

from channels.adapter import EventType
from communications.attempt import Attempt, AttemptOutcome
from communications.communication import Communication
from communications.event import CommunicationEvent
from communications.queries import communication
from communications.standstill import Standstill, standstills
from communications.status import FACTS, OPEN, Rank
from core.clock import Clock

SHORT = timedelta(seconds=1)
"""What passes sooner needs no reason."""
LATE = timedelta(minutes=1)
"""A receipt that comes later than so after what it tells of is late."""
NOT_RECORDED = "not recorded"
AFTER_SENT = {
    EventType.OPENED: "until it was opened",
    EventType.CLICKED: "until a link in it was followed",
    EventType.REPLIED: "until an answer came",
    EventType.UNSUBSCRIBED: "until they unsubscribed",
    EventType.COMPLAINED: "until they complained",
}
WITH_PROVIDER = "with the provider"
CONTENT_REMOVED = "content_removed"
BEFORE_ALL = frozenset({"arrived", "decided"})
RANKS = {fact.value: int(rank) for fact, (rank, *_) in FACTS.items()}
BETWEEN_ATTEMPTS = {
    AttemptOutcome.NOT_SENT: "it could not be sent ({}), and was to be tried again",
    AttemptOutcome.REJECTED: "it was refused ({}), until somebody had it sent again",
    AttemptOutcome.AMBIGUOUS: "nobody could tell whether it was sent ({})",
    AttemptOutcome.CRASHED: "nobody could tell whether it was sent (its worker stopped)",
}


@dataclass(frozen=True, slots=True)
class Wait:
    """A stretch of time in which nothing happened to a message, and why."""

    since: datetime
    until: datetime
    why: str

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.until - self.since).total_seconds()


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a message's story."""

    at: datetime
    """Of a receipt the provider's own time, whatever its clock says."""
    what: str
    """`decided`, `sent`, `failed`, the type of an event, the outcome of an attempt; `arrived` at a
    journey's step; `waiting`, of what is still to be sent."""
    source: str
    """`engine`, `journey`, a provider's name, `tracking` or `operator`."""
    detail: str | None = None
    machine: bool = False
    told_at: datetime | None = None
    """When we heard of it, where that was over a minute later."""
    ahead_seconds: float | None = None
    """How much earlier the provider's time is than our decision to send, which cannot be."""
    waits: tuple[Wait, ...] = ()
    """What the time since the moment before was spent with."""


def timeline(
    session: Session,
    clock: Clock,
    client_id: int,
    communication_id: int,
    *,
    arrival: Sequence[Wait] = (),
) -> list[Moment]:
    """Return everything known about a message in the order in which it can have happened.

    `arrival` is what held its member at a journey's step before it was decided on, from when they
    came there. Raises CommunicationNotFoundError.
    """
    row = communication(session, client_id, communication_id)
    attempts = _attempts(session, row)
    begun = _begun(row, attempts)
    moments = list(_moments(session, row, attempts))
    if row.status in OPEN:
        moments.append(Moment(clock.now(), "waiting", "engine", row.held))
    if arrival:
        moments.append(Moment(arrival[0].since, "arrived", "journey"))
    placed = [_placed(one, begun, row.sent_at or begun) for one in moments]
    placed.sort(key=lambda one: (one[0], _rank(one[1])))
    known = _known(session, row, attempts, clock.now())
    return list(_told(placed, [*arrival, *known]))


def explained(since: datetime, until: datetime, known: Sequence[Wait]) -> tuple[Wait, ...]:
    """Return why the time between two instants passed; of what is known, the first counts most."""
    left, found = [(since, until)], []
    for wait in known:
        open_still = []
        for start, end in left:
            a, b = max(start, wait.since), min(end, wait.until)
            if b - a < SHORT:
                open_still.append((start, end))
                continue
            found.append(Wait(a, b, wait.why))
            open_still += [(start, a), (b, end)]
        left = open_still
    found += [Wait(a, b, NOT_RECORDED) for a, b in left if b - a >= SHORT]
    return tuple(sorted(found, key=lambda one: one.since))


def _attempts(session: Session, row: Communication) -> Sequence[Attempt]:
    of_row = (Attempt.client_id == row.client_id, Attempt.communication_id == row.id)
    return session.scalars(select(Attempt).where(*of_row).order_by(Attempt.token)).all()


def _begun(row: Communication, attempts: Sequence[Attempt]) -> datetime:
    """Return an instant before which it cannot have left."""
    # Another try moves not_before; then only the decision itself is certain.
    return row.created_at if attempts or row.resends else max(row.created_at, row.not_before)


def _moments(session: Session, row: Communication, attempts: Sequence[Attempt]) -> Iterator[Moment]:
    yield Moment(row.created_at, "decided", "engine", row.reason)
    for at, what in (
        (row.sent_at, "sent"), (row.failed_at, "failed"),
        (row.content_removed_at, CONTENT_REMOVED),
    ):  # fmt: skip
        if at is not None:
            yield Moment(at, what, "engine")
    for one in attempts:
        yield Moment(one.finished_at, one.outcome.value, "engine", one.detail)
    E = CommunicationEvent  # noqa: N806  (a table alias)
    events = session.scalars(
        select(E).where(E.client_id == row.client_id, E.communication_id == row.id).order_by(E.id)
    )
    for event in events:
        late = event.received_at - event.occurred_at > LATE
        told_at = event.received_at if late else None
        yield Moment(
            event.occurred_at, event.type, event.source, event.detail, event.machine, told_at
        )


def _placed(one: Moment, begun: datetime, sent: datetime) -> tuple[datetime, Moment]:
    """Return when something can have happened at the earliest, whatever a provider's clock says."""
    if one.what in BEFORE_ALL:
        return one.at, one
    if one.at < begun:
        one = replace(one, ahead_seconds=(begun - one.at).total_seconds())
    return max(one.at, sent if _rank(one) > Rank.SENT else begun), one


def _rank(one: Moment) -> int:
    """Return what comes first of what happened at one time."""
    return RANKS.get(one.what, -1 if one.what in BEFORE_ALL else Rank.OPEN)


def _known(
    session: Session, row: Communication, attempts: Sequence[Attempt], now: datetime
) -> list[Wait]:
    """Return what is written down about waiting before it was sent."""
    end = now + SHORT
    subjects = [f"campaign:{row.campaign_id}", f"provider:{row.provider_account_id}"]
    stood = standstills(session, row.client_id, subjects, row.created_at, end)
    found = [Wait(one.began_at, one.ended_at or end, _why(one)) for one in stood]
    if not attempts and not row.resends and row.not_before > row.created_at:
        due = f"it was not to leave before {row.not_before:%Y-%m-%d %H:%M} UTC"
        found.append(Wait(row.created_at, row.not_before, due))
    for one, after in zip_longest(attempts, attempts[1:]):
        if one.outcome in BETWEEN_ATTEMPTS:
            until = end if after is None else after.finished_at
            why = BETWEEN_ATTEMPTS[one.outcome].format(one.detail or one.code or NOT_RECORDED)
            found.append(Wait(one.finished_at, until, why))
    return found


def _why(one: Standstill) -> str:
    subject = "the campaign" if one.subject.startswith("campaign") else "the provider account"
    by = f" by {one.actor}" if one.actor else ""
    return f"{subject} {one.what}{by}" + (f": {one.reason}" if one.reason else "")


def _told(placed: Sequence[tuple[datetime, Moment]], known: Sequence[Wait]) -> Iterator[Moment]:
    """Give every moment what was between it and the one before; machines are passed over."""
    gone, since = False, placed[0][0]
    for at, one in placed:
        if one.machine or one.what == CONTENT_REMOVED:
            yield one
            continue
        meanwhile = [Wait(since, at, _after(one.what))] if gone else known
        yield replace(one, waits=explained(since, at, meanwhile))
        gone, since = gone or one.what in GONE, at


def _after(what: str) -> str:
    if what in IN_FLIGHT:
        return WITH_PROVIDER
    return AFTER_SENT.get(EventType(what), NOT_RECORDED) if what in EVENTS else NOT_RECORDED


EVENTS = frozenset(kind.value for kind in EventType)
IN_FLIGHT = frozenset({"sent", "failed", "accepted", "deferred", "delivered", "undelivered",
                       "bounced_soft", "bounced_hard"})  # fmt: skip
"""What a provider tells before a person has it."""
GONE = frozenset({"sent", "accepted", *(fact.value for fact in FACTS)})
"""After these it is no longer with us."""
