"""Witness: writes down who looked at people, after they were answered.

A read must not wait for an entry, and on SQLite not for whoever is writing; so entries are handed
to one thread, which writes what has gathered in a short transaction of its own. A process that is
killed loses the entries of its last moments; one that ends writes them first.
"""

import threading
from collections import deque

from sqlalchemy.exc import SQLAlchemyError

from accounts.audit import AuditEntry, noted
from core.clock import Clock
from core.db import DATABASE_AWAY, Sessions, write
from core.log import get

log = get(__name__)

ROOM = 20_000
"""Entries that may wait; what comes on top is only counted, in an entry `audit.lost`."""
AT_ONCE = 500
PAUSE_SECONDS = 0.2
"""Between two writes: what gathers meanwhile is one transaction."""
AGAIN_SECONDS = 2.0
"""Until the next try when the database was away."""


class Witness:
    """Takes entries from any thread; the writing one starts with the first."""

    def __init__(self, sessions: Sessions, clock: Clock) -> None:
        self._sessions, self._clock = sessions, clock
        self._waiting: deque[AuditEntry] = deque()
        self._lost = 0
        self._change = threading.Condition()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def saw(self, entry: AuditEntry) -> None:
        """Take an entry; never waits, never raises."""
        with self._change:
            if len(self._waiting) >= ROOM:
                self._lost += 1
                return
            self._waiting.append(entry)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="witness", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def flush(self) -> None:
        """Wait until what was taken is written."""
        with self._change:
            self._change.wait_for(lambda: not self._waiting and not self._lost)

    def close(self) -> None:
        """Write what waits, once, and end."""
        self._ending.set()
        with self._change:
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._waiting or self._ending.is_set())
                batch = list(self._waiting)[:AT_ONCE]
            if not batch:
                return
            written = self._write(batch)
            if self._ending.wait(PAUSE_SECONDS if written else AGAIN_SECONDS) and not written:
                return

    def _write(self, batch: list[AuditEntry]) -> bool:
        lost = self._lost
        if lost:
            more = noted(
                self._clock, client_id=None, actor="system", action="audit.lost", entries=lost
            )
        try:
            with write(self._sessions) as session:
                session.add_all([*batch, more] if lost else batch)
        except DATABASE_AWAY as error:
            log.warning("reads not written down yet", reason=type(error).__name__)
            return False
        except SQLAlchemyError as error:
            log.warning("reads not written", reads=len(batch), reason=type(error).__name__)
        with self._change:
            for _ in batch:
                self._waiting.popleft()
            self._lost -= lost
            self._change.notify_all()
        return True
