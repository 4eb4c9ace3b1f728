"""Checks of the work: who does it, what waits, what is stuck."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from communications.claim import POISON
from communications.communication import Communication
from communications.drift import drift, is_watched, sampled
from communications.event import CommunicationEvent, EventState
from communications.ledger import QUEUED, SENDING
from communications.unknown import UNKNOWN
from core.db import is_sqlite, read
from echelonx.backlog import MOST, backlog
from echelonx.health.finding import Finding, age, fail, ok, skip, warn
from echelonx.holding import COMMAND, current_hold
from echelonx.runner import Role
from echelonx.standstill import standstill
from echelonx.wiring import Services
from scheduling.occurrence import Occurrence, OccurrenceState
from scheduling.worker import Worker, alive
from webhooks.inbox import InboxItem, InboxState

C = Communication
PATIENCE = timedelta(minutes=2)
"""Due longer than that with nobody to send it is a fault; shorter, it is a queue."""
UNHEARD = timedelta(minutes=1)
"""Journeys hear within a second."""
LOST = timedelta(minutes=10)
"""A receipt overtakes its message by moments."""
START = "start one: echelonx worker    or all in one: echelonx run"


def _with_role(session: Session, services: Services, role: Role) -> list[Worker]:
    return [one for one in alive(session, services.clock) if role.value in one.roles]


def scheduler(services: Services) -> Iterator[Finding]:
    """Look for a scheduler that ticks, and for what it should have started."""
    now = services.clock.now()
    with read(services.sessions) as session:
        ticking = _with_role(session, services, Role.SCHEDULER)
        planned = Occurrence.state == OccurrenceState.PLANNED
        due = session.scalar(select(func.min(Occurrence.due_at)).where(planned))
    coming = f"next due {due:%Y-%m-%d %H:%M} UTC" if due else "nothing planned"
    if ticking:
        last = (now - max(one.heartbeat_at for one in ticking)).total_seconds()
        yield ok("Scheduler", f"{len(ticking)} ticking, last sign {age(last)} ago, {coming}")
    elif due and due < now:
        remedy = "start one: echelonx scheduler    or all in one: echelonx run"
        yield fail("Scheduler", f"none ticks; {coming} has passed", remedy)
    elif due is not None:
        yield warn("Scheduler", f"none ticks; {coming}", "echelonx scheduler, or echelonx run")
    else:
        yield skip("Scheduler", f"none runs; {coming}")


def workers(services: Services) -> Iterator[Finding]:
    """Look for workers, and for what waits for them."""
    now = services.clock.now()
    with read(services.sessions) as session:
        working = _with_role(session, services, Role.WORKER)
        found = backlog(session, now)
    count, oldest = found.count, found.oldest
    waited = now - oldest if oldest else timedelta(0)
    waiting = f"{count:,} messages waiting" + (" or more" if count == MOST else "")
    if oldest:
        waiting += f", the oldest for {age(waited.total_seconds())}"
    fact = f"{len(working)} alive; {waiting}"
    if count and not working:
        yield fail("Workers", fact, START)
    elif waited > PATIENCE:
        yield warn("Workers", fact, "echelonx log tail --status queued; does an account rest?")
    elif working:
        yield ok("Workers", fact)
    else:
        yield skip("Workers", fact)


def stuck(services: Services) -> Iterator[Finding]:
    """Look for messages that go nowhere by themselves."""
    now = services.clock.now()
    with read(services.sessions) as session:
        lost = _count(session, SENDING, C.lease_until < now - timedelta(minutes=1))
        poison = _count(session, QUEUED, C.held == POISON)
        unknown = _count(session, UNKNOWN)
    fact = f"{lost:,} stuck, {poison:,} held after crashes, {unknown:,} unknown"
    if lost:
        yield warn("Messages", fact, "a running worker recovers them: echelonx worker")
    elif poison:
        yield warn("Messages", fact, "see them: echelonx unknown held")
    else:
        yield ok("Messages", fact)


def inbox(services: Services) -> Iterator[Finding]:
    """Look for webhooks that were stored and not applied."""
    now = services.clock.now()
    with read(services.sessions) as session:
        waiting, oldest = session.execute(
            select(func.count(), func.min(InboxItem.received_at)).where(
                InboxItem.state == InboxState.NEW
            )
        ).one()
        dead = session.scalar(select(func.count()).where(InboxItem.state == InboxState.DEAD))
    fact = f"{waiting:,} waiting, {dead or 0:,} not understood"
    waited = now - oldest if waiting else timedelta(0)
    if waited > PATIENCE:
        since = age(waited.total_seconds())
        yield fail("Webhooks", f"{fact}; the oldest came {since} ago", START)
    elif dead:
        yield warn("Webhooks", fact, "they are kept; a newer version may understand them")
    else:
        yield ok("Webhooks", fact)


def parked(services: Services) -> Iterator[Finding]:
    """Look for receipts of messages that nobody knows."""
    now = services.clock.now()
    with read(services.sessions) as session:
        waiting, oldest = session.execute(
            select(func.count(), func.min(CommunicationEvent.received_at)).where(
                CommunicationEvent.state == EventState.PARKED
            )
        ).one()
    fact = f"{waiting:,} wait for their message"
    if waiting and now - oldest > LOST:
        since = age((now - oldest).total_seconds())
        remedy = "sent by another installation, or before a restore; they are given up after a day"
        yield warn("Receipts", f"{fact}, the oldest for {since}", remedy)
    else:
        yield ok("Receipts", fact)


def journeys(services: Services) -> Iterator[Finding]:
    """Look for members in journeys who stand still, and for what no journey has heard of."""
    now = services.clock.now()
    with read(services.sessions) as session:
        found = standstill(session, now)
    due = now - found.due_since if found.due_since else timedelta(0)
    unheard = now - found.signals_since if found.signals_since else timedelta(0)
    fact = f"{found.stuck:,} members stuck, {found.signals:,} happenings waiting"
    if unheard > UNHEARD:
        since = age(unheard.total_seconds())
        yield warn("Journeys", f"{fact}; the oldest happened {since} ago", START)
    elif due > PATIENCE:
        since = age(due.total_seconds())
        yield warn("Journeys", f"{fact}; a member is due for {since}", START)
    elif found.stuck:
        remedy = "see whom and why: echelonx journey people NAME --status stuck; move or retry them"
        yield warn("Journeys", fact, remedy)
    else:
        yield ok("Journeys", fact)


def counts(services: Services) -> Iterator[Finding]:
    """Recount a few days of messages, and look whether triggers count what is written."""
    with read(services.sessions) as session:
        if is_sqlite(session):
            yield ok("Counts", "counted anew each time")
            return
        watched, days = is_watched(session), sampled(session)
        wrong = [day for client_id, day in days if drift(session, client_id, day)]
    if not watched:
        remedy = "ALTER TABLE communications ENABLE TRIGGER USER, then: echelonx recount"
        yield fail("Counts", "triggers that count messages are missing or off", remedy)
    elif wrong:
        fact = f"{len(wrong)} of {len(days)} days looked at do not add up to the log"
        yield fail("Counts", f"{fact}, such as {wrong[0]}", "echelonx recount")
    else:
        yield ok("Counts", f"{len(days)} days looked at add up to the log")


def held(services: Services) -> Iterator[Finding]:
    """Look whether sending is held since the database was restored or copied."""
    with read(services.sessions) as session:
        hold = current_hold(session)
    if hold is None:
        yield ok("Sending", "not held")
    else:
        fact = f"held since {hold.since:%Y-%m-%d %H:%M} UTC, nothing is sent: {hold.reason}"
        yield fail("Sending", fact, COMMAND)


def _count(session: Session, *conditions: Any) -> int:
    return session.scalar(select(func.count()).select_from(C).where(*conditions)) or 0
