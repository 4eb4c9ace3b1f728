"""Checks of the work: who does it, what waits, what is stuck."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from communications.communication import Communication
from communications.status import Status
from core.db import read
from echelonx.health.finding import Finding, age, fail, ok, skip, warn
from echelonx.runner import Role
from echelonx.wiring import Services
from scheduling.occurrence import Occurrence, OccurrenceState
from scheduling.worker import Worker, alive
from webhooks.inbox import InboxItem, InboxState

C = Communication
PATIENCE = timedelta(minutes=2)
"""Due longer than that with nobody to send it is a fault; shorter, it is a queue."""
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
        count, oldest = _due(session, now)
    waited = now - oldest if oldest else timedelta(0)
    waiting = f"{count:,} messages waiting"
    if oldest:
        waiting += f", the oldest for {age(waited.total_seconds())}"
    fact = f"{len(working)} alive; {waiting}"
    if count and not working:
        yield fail("Workers", fact, START)
    elif waited > PATIENCE:
        yield warn("Workers", fact, "echelonx log tail --status queued; is an account paused?")
    elif working:
        yield ok("Workers", fact)
    else:
        yield skip("Workers", fact)


def _due(session: Session, now: datetime) -> tuple[int, datetime | None]:
    query = select(func.count(), func.min(C.not_before)).where(
        C.status == Status.QUEUED, C.held.is_(None), C.not_before <= now
    )
    count, oldest = session.execute(query).one()
    return count, oldest


def stuck(services: Services) -> Iterator[Finding]:
    """Look for messages that go nowhere by themselves."""
    now = services.clock.now()
    with read(services.sessions) as session:
        lost = _count(
            session, C.status == Status.SENDING, C.lease_until < now - timedelta(minutes=1)
        )
        poison = _count(session, C.status == Status.QUEUED, C.held == "poison")
        unknown = _count(session, C.status == Status.UNKNOWN)
    fact = f"{lost:,} stuck, {poison:,} held after crashes, {unknown:,} unknown"
    if lost or poison:
        yield warn("Messages", fact, "a running worker recovers them: echelonx worker")
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


def _count(session: Session, *conditions: Any) -> int:
    return session.scalar(select(func.count()).select_from(C).where(*conditions)) or 0
