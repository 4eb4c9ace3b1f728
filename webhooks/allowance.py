"""Allowance: how many events a second one client may tell this process; a bucket that fills.

A request is taken while there is anything left, so that the largest batch fits whatever the rate.
"""

import math
from threading import Lock

from core.clock import ticking

PER_SECOND = 1000.0


class Allowance:
    """Counts what clients told a moment ago."""

    def __init__(self, per_second: float = PER_SECOND) -> None:
        self._per_second = per_second
        self._lock = Lock()
        self._left: dict[int, tuple[float, float]] = {}
        """Client → what was left, and when."""

    def take(self, client_id: int, events: int) -> int:
        """Take so many; return 0, or after how many seconds to come again, having taken none."""
        now = ticking()
        with self._lock:
            left, at = self._left.get(client_id, (self._per_second, now))
            left = min(self._per_second, left + (now - at) * self._per_second)
            wait = 0 if left > 0 else max(1, math.ceil(-left / self._per_second))
            self._left[client_id] = (left if wait else left - events, now)
        return wait
