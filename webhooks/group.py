"""GroupCommit: requests that come at the same moment share one transaction.

A commit waits for the disk, and a transaction costs as much for one row as for thirty. Whoever
comes while none is running leads: it commits what is waiting and hands the lead to the first of
those who came meanwhile. Nobody waits for company: alone, one commits alone.

Invariants
    1. Nobody returns before what it handed over is committed (law 5).
    2. What goes wrong reaches everybody whose row it concerns, and nobody else.
    3. Whoever waits is woken, whatever becomes of the leader.
"""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from core.db import DATABASE_AWAY
from core.errors import EngineError

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_GROUP = 256


class LeaderLostError(EngineError):
    """The thread that was to commit this for us ended without a word; nothing is known to be kept.

    Come again: what was kept all the same is recognised.
    """

    status = 503
    code = "leader_lost"


class _Entry(Generic[Item, Result]):
    """What one request handed over, and what became of it."""

    __slots__ = ("error", "item", "leads", "result", "woken")

    def __init__(self, item: Item) -> None:
        self.item = item
        # A bare lock: an Event costs a second one, and every waiter three wake-ups instead of one.
        self.woken = Lock()
        self.woken.acquire()
        self.leads = False
        self.result: Result
        self.error: Exception | None = LeaderLostError("nobody committed this")


class GroupCommit(Generic[Item, Result]):
    """Commits what several threads hand over, together."""

    def __init__(self, commit: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        """`commit` commits items in one transaction and returns a result for each."""
        self._commit = commit
        self._lock = Lock()
        self._waiting: list[_Entry[Item, Result]] = []
        self._led = False

    def put(self, item: Item) -> Result:
        """Commit `item`, alone or in company; return its result, or raise what went wrong.

        While the database is away everybody in the group gets its error. After any other error
        each item of the group is tried alone.
        """
        entry: _Entry[Item, Result] = _Entry(item)
        with self._lock:
            self._waiting.append(entry)
            leads, self._led = not self._led, True
        if not leads:
            entry.woken.acquire()
        if leads or entry.leads:
            self._lead(entry)
        if entry.error is not None:
            raise entry.error
        return entry.result

    def _lead(self, own: _Entry[Item, Result]) -> None:
        """Commit what is waiting, the leader's own among it, and hand the lead on."""
        with self._lock:
            group = self._waiting[:MAX_GROUP]
            del self._waiting[:MAX_GROUP]
        try:
            self._settle(group)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._led = following is not None
            if following is not None:
                following.leads = True
                following.woken.release()
            for entry in group:
                if entry is not own:
                    entry.woken.release()

    def _settle(self, group: Sequence[_Entry[Item, Result]]) -> None:
        try:
            results = self._commit([entry.item for entry in group])
        except SQLAlchemyError as error:
            if len(group) > 1 and not isinstance(error, DATABASE_AWAY):
                for entry in group:
                    self._settle([entry])
                return
            for entry in group:
                entry.error = error
        else:
            for entry, result in zip(group, results, strict=True):
                entry.result, entry.error = result, None
