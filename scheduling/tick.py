"""The tick: fires what is due, once, however many schedulers tick at the same moment.

Invariants
    1. An occurrence fires in the transaction that marks it fired: both happen or neither.
    2. Found later than its `max_late_seconds`, it is marked missed and never fires by itself; its
       owner is told in that transaction.
    3. One that fails stays planned for the next tick and keeps no other from firing.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.clock import Clock
from core.db import Sessions, read, write
from core.log import get
from scheduling.occurrence import Occurrence, OccurrenceState

log = get(__name__)

Handler = Callable[[Session, Clock, Occurrence], None]
"""Does what is due, in the session it is given. What the caller did wrong it must not raise but
write down: the tick would only try again."""
NOBODY: Mapping[str, Handler] = {}

AT_ONCE = 500


def tick(
    sessions: Sessions,
    clock: Clock,
    handlers: Mapping[str, Handler],
    missed: Mapping[str, Handler] = NOBODY,
) -> int:
    """Fire what is due, the earliest first; return how many fired.

    `handlers` are by the part of the schedule key before the colon, and so are those of what was
    `missed`, where anybody wants to know. Whatever a handler raises is raised at the end, when
    every other occurrence has had its turn.
    """
    with read(sessions) as session:
        due = session.scalars(
            select(Occurrence.id)
            .where(Occurrence.state == OccurrenceState.PLANNED, Occurrence.due_at <= clock.now())
            .order_by(Occurrence.due_at, Occurrence.id)
            .limit(AT_ONCE)
        ).all()
    fired: list[int] = []
    # An exit stack calls everything it holds, last in first out, even when one of them raises.
    with ExitStack() as turns:
        for occurrence_id in reversed(due):
            turns.callback(_take, sessions, clock, handlers, missed, occurrence_id, fired)
    return len(fired)


def _take(
    sessions: Sessions,
    clock: Clock,
    handlers: Mapping[str, Handler],
    missed: Mapping[str, Handler],
    occurrence_id: int,
    fired: list[int],
) -> None:
    """Fire one occurrence in one transaction, unless somebody else has."""
    now = clock.now()
    with write(sessions) as session:
        occurrence = session.get_one(Occurrence, occurrence_id)
        on_time = now <= occurrence.due_at + timedelta(seconds=occurrence.max_late_seconds)
        decided = session.execute(
            update(Occurrence)
            .where(Occurrence.id == occurrence_id, Occurrence.state == OccurrenceState.PLANNED)
            .values(
                state=OccurrenceState.FIRED if on_time else OccurrenceState.MISSED,
                fired_at=now if on_time else None,
            )
            .returning(Occurrence.id)
        ).first()
        if decided is None:
            return
        kind = occurrence.schedule_key.partition(":")[0]
        if not on_time:
            log.warning("occurrence missed", schedule=occurrence.schedule_key)
            if kind in missed:
                missed[kind](session, clock, occurrence)
            return
        handlers[kind](session, clock, occurrence)
    fired.append(occurrence_id)
