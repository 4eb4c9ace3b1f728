"""Allowance: how much a second one write key may tell this process; a bucket that fills.

A request is taken while there is anything left, so that the largest batch fits whatever the rate.
What one key spends takes nothing from another: anybody can read the key in a page.
"""

import math
from threading import Lock

from core.clock import ticking
from webhooks.write_key import WriteKey

PER_SECOND = 1000.0
PAGE_SHARE = 0.25
"""What a key that stands in a page may, of what a server's may."""
KILOBYTE = 1024


class Allowance:
    """Counts what keys told a moment ago."""

    def __init__(self, per_second: float = PER_SECOND) -> None:
        self._per_second = per_second
        self._lock = Lock()
        self._left: dict[tuple[str, int], tuple[float, float]] = {}
        """What is counted and the key → what was left, and when."""

    def take(self, key: WriteKey, *, events: int, size: int) -> int:
        """Take a request; return 0, or after how many seconds to come again, having taken none.

        It counts as its events, as its kilobytes if they are more, and never as nothing.
        """
        units = max(1, events, size // KILOBYTE)
        share = self._per_second * (1 if key.trusted else PAGE_SHARE)
        with self._lock:
            wait = self._take(("requests", key.id), 1, key.rate) if key.rate else 0
            return wait or self._take(("units", key.id), units, share)

    def _take(self, name: tuple[str, int], units: int, per_second: float) -> int:
        now = ticking()
        left, at = self._left.get(name, (per_second, now))
        left = min(per_second, left + (now - at) * per_second)
        wait = 0 if left > 0 else max(1, math.ceil(-left / per_second))
        self._left[name] = (left if wait else left - units, now)
        return wait
