"""Tidying: a worker's share in forgetting what nobody keeps any longer, one slice a unit.

A round every ten minutes: months of events are made ready, then each task does a slice in a
transaction of its own and goes to the end of the line, until none has more to do. A backlog of
years thus keeps no task from its turn, and the thread is never silent for longer than a slice.
Counts of messages and orders are joined every minute: while much is sent there are thousands a
second, which whoever asks for statistics has to add up.
"""

from collections import deque
from collections.abc import Callable, Mapping

from sqlalchemy.orm import Session

from accounts import audit_chain, idempotency
from accounts.leftovers import forget_leftovers, leftover
from communications.day import join_message_days
from communications.standstill import FORGOTTEN_AT_ONCE as FORGOTTEN_STANDSTILLS
from communications.standstill import forget_standstills
from core.clock import Clock
from core.db import Sessions, write
from echelonx.care import Every
from echelonx.figures import next_figures
from members import traces
from members.order_day import join_order_days
from members.partition import make_months
from webhooks import retention
from webhooks.delivery import FORGOTTEN_AT_ONCE, forget_deliveries

Task = Callable[[Session, Clock], bool]
"""Does one slice, and says whether there may be more."""


def _make_months(session: Session, clock: Clock) -> bool:
    make_months(session, clock)
    return False


def _of_no_client(session: Session, clock: Clock) -> bool:
    return retention.forget_of_no_client(session, clock) >= audit_chain.BATCH


def _sweep(session: Session, clock: Clock) -> bool:
    return traces.sweep(session, now=clock.now()) >= traces.PAGE


def _deliveries(session: Session, clock: Clock) -> bool:
    return forget_deliveries(session, clock) >= FORGOTTEN_AT_ONCE


def _standstills(session: Session, clock: Clock) -> bool:
    return forget_standstills(session, clock) >= FORGOTTEN_STANDSTILLS


def _keys(session: Session, clock: Clock) -> bool:
    return idempotency.forget_expired(session, clock) >= idempotency.SLICE


def _leftovers(session: Session, clock: Clock) -> bool:
    waits = leftover(session, clock)
    if waits:
        forget_leftovers(session, clock)
    return waits


def _join_days(session: Session, clock: Clock) -> bool:
    del clock
    messages, orders = join_message_days(session), join_order_days(session)
    return messages or orders


ROUNDS: Mapping[float, tuple[Task, ...]] = {
    # seconds: what is done so often
    60.0: (_join_days,),
    600.0: (
        _make_months, next_figures, retention.step, _of_no_client, _sweep, _deliveries,
        _standstills, _keys, _leftovers,
    ),
}  # fmt: skip


class Tidying:
    """Goes round the tasks."""

    def __init__(self, sessions: Sessions, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock
        self._rounds = [(Every(seconds), tasks) for seconds, tasks in ROUNDS.items()]
        self._left: deque[Task] = deque()

    def unit(self) -> bool:
        """Do one slice; say whether there is more. A task that raises waits for the next round."""
        for every, tasks in self._rounds:
            if every.due():
                self._left.extend(task for task in tasks if task not in self._left)
        if not self._left:
            return False
        task = self._left.popleft()
        with write(self._sessions) as session:
            more = task(session, self._clock)
        if more:
            self._left.append(task)
        return bool(self._left)
