"""Tally: how many sends ended how, by account, since this process started and lately.

Also how many rows whose worker had stopped this process found: their own worker cannot count them.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from threading import Lock
from typing import Any

from communications.attempt import AttemptOutcome
from core.clock import ticking

WINDOW_SECONDS = 300
SLICE_SECONDS = 10
"""The window moves on by that much at a time."""
AMBIGUOUS = AttemptOutcome.AMBIGUOUS.value


class Tally:
    """Counts outcomes; any thread may count, and any may ask."""

    def __init__(self, now: Callable[[], float] = ticking) -> None:
        self._now = now
        self._lock = Lock()
        self._sends: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._slices: deque[tuple[int, dict[int, list[int]]]] = deque()
        self._lost = 0

    def count(self, account_id: int, outcome: str, n: int = 1) -> None:
        """Count `n` sends through an account that ended as `outcome`, such as `accepted`."""
        number = int(self._now() // SLICE_SECONDS)
        with self._lock:
            self._sends[account_id][outcome] += n
            if not self._slices or self._slices[-1][0] != number:
                self._slices.append((number, {}))
                self._forget(number)
            seen = self._slices[-1][1].setdefault(account_id, [0, 0])
            seen[0] += n
            seen[1] += n if outcome == AMBIGUOUS else 0

    def found_lost(self, n: int) -> None:
        """Count `n` sends that the reaper found without their worker."""
        with self._lock:
            self._lost += n

    def report(self) -> dict[str, Any]:
        """Return what a worker's heartbeat carries (scheduling.worker.beat).

        `{"sends": {"3": {"accepted": 12}}, "recent": {"3": [all, ambiguous]}, "lost": 0}`, where
        recent is the last five minutes.
        """
        number = int(self._now() // SLICE_SECONDS)
        recent: dict[str, list[int]] = {}
        with self._lock:
            self._forget(number)
            for _, accounts in self._slices:
                for account_id, (every, ambiguous) in accounts.items():
                    total = recent.setdefault(str(account_id), [0, 0])
                    total[0] += every
                    total[1] += ambiguous
            sends = {str(account_id): dict(found) for account_id, found in self._sends.items()}
            lost = self._lost
        return {"sends": sends, "recent": recent, "lost": lost}

    def _forget(self, number: int) -> None:
        """Drop what is older than the window."""
        while self._slices and self._slices[0][0] <= number - WINDOW_SECONDS // SLICE_SECONDS:
            self._slices.popleft()
