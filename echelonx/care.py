"""Care: what every worker does now and then, whatever else is going on.

Each task is a set of guarded statements, so that any number of workers may care at once.
"""

from sqlalchemy import select

from accounts.audit_chain import seal, unsealed_waits
from campaigns.finish import finish_runs
from campaigns.run import Run, RunStatus
from communications import effects
from communications.expiry import expire, unused_expired
from communications.reaper import reap
from communications.receipt import retry_parked
from communications.tally import Tally
from core.clock import Clock, ticking
from core.db import Sessions, read, write
from core.log import get
from core.planner import meet_tables
from echelonx.lanes import Lanes
from members.bulk import advance_bulk, bulk_waits

log = get(__name__)

REAP = 1 / 8
"""Of a lease: every 15 seconds where it is 120."""
EXPIRE_SECONDS = 300.0
"""It may read all that waits for paused accounts, and nobody waits for it."""
SEAL_SECONDS = 2.0
"""Entries of the audit log wait so long, at most, to be sealed into their chain."""
MEET_SECONDS = 10.0
"""PostgreSQL plans badly for so long, at most, over a table that was filled a moment ago."""
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

    def __init__(
        self, sessions: Sessions, clock: Clock, lanes: Lanes, tally: Tally, *, lease_seconds: int
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._lanes = lanes
        self._tally = tally
        self._reap = Every(lease_seconds * REAP)
        self._expire = Every(EXPIRE_SECONDS)
        self._parked = Every(PARKED_SECONDS)
        self._seal = Every(SEAL_SECONDS)
        self._meet = Every(MEET_SECONDS)

    def unit(self) -> bool:
        """Do what is due; there is more only while a bulk edit goes on."""
        self._lanes.look()
        self._finish()
        if self._reap.due():
            with write(self._sessions) as session:
                lost = reap(session, self._clock)
            self._tally.found_lost(lost)
            if lost:
                log.warning("sends lost their worker", unknown=lost)
        if self._expire.due():
            self._drop_expired()
        if self._parked.due():
            with write(self._sessions) as session:
                matched = retry_parked(session, self._clock)
                effects.run(session, self._clock, effects.of(matched))
        if self._seal.due():
            self._seal_audit()
        if self._meet.due():
            with write(self._sessions) as session:
                meet_tables(session)
        with read(self._sessions) as session:
            waiting = bulk_waits(session)
        if waiting:
            with write(self._sessions) as session:
                return advance_bulk(session, self._clock)
        return False

    def _seal_audit(self) -> None:
        with read(self._sessions) as session:
            waiting = unsealed_waits(session)
        while waiting:
            with write(self._sessions) as session:
                waiting = seal(session) > 0

    def _drop_expired(self) -> None:
        with read(self._sessions) as session:
            expired = unused_expired(session, self._clock)
        if expired:
            with write(self._sessions) as session:
                expire(session, self._clock, expired)

    def _finish(self) -> None:
        expanded = (Run.status == RunStatus.RUNNING, Run.expanded_at.is_not(None))
        with read(self._sessions) as session:
            some = session.scalar(select(Run.id).where(*expanded).limit(1))
        if some is not None:
            with write(self._sessions) as session:
                finish_runs(session, self._clock)
