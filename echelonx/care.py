"""Care: what every worker does now and then, whatever else is going on.

Each task is a set of guarded statements, so that any number of workers may care at once.
"""

from sqlalchemy import select

from campaigns.finish import finish_runs
from campaigns.run import Run, RunStatus
from communications import effects
from communications.reaper import reap
from communications.receipt import retry_parked
from core.clock import Clock, ticking
from core.db import Sessions, read, write
from core.log import get
from echelonx.lanes import Lanes

log = get(__name__)

REAP_SECONDS = 15.0
"""RELIABILITY 3.7."""
PARKED_SECONDS = 2.0
"""A receipt overtakes the commit it belongs to by milliseconds, not by minutes."""


class Every:
    """Says yes once per so many seconds, and at the first time of asking."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def due(self) -> bool:
        """Say whether it is time again."""
        now = ticking()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


class Care:
    """One look around: lanes, finished runs, lost leases, receipts that came too early."""

    def __init__(self, sessions: Sessions, clock: Clock, lanes: Lanes) -> None:
        self._sessions = sessions
        self._clock = clock
        self._lanes = lanes
        self._reap = Every(REAP_SECONDS)
        self._parked = Every(PARKED_SECONDS)

    def unit(self) -> bool:
        """Do what is due; there is never more."""
        self._lanes.look()
        self._finish()
        if self._reap.due():
            with write(self._sessions) as session:
                lost = reap(session, self._clock)
            if lost:
                log.warning("sends lost their worker", unknown=lost)
        if self._parked.due():
            with write(self._sessions) as session:
                matched = retry_parked(session, self._clock)
                effects.run(session, self._clock, effects.of(matched))
        return False

    def _finish(self) -> None:
        expanded = (Run.status == RunStatus.RUNNING, Run.expanded_at.is_not(None))
        with read(self._sessions) as session:
            some = session.scalar(select(Run.id).where(*expanded).limit(1))
        if some is not None:
            with write(self._sessions) as session:
                finish_runs(session, self._clock)
