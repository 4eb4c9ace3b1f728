"""Bucket: so many tokens a second, and some saved up for a rush. Who has none left has to wait.

A bucket is one instant: when it will be full again (the GCRA form of a token bucket). So it is one
number to keep, here or in Redis, and one that was never touched is a full one.
"""

from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from core.clock import Clock

MANY = 10_000
"""Buckets that are kept before the full ones are forgotten."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a bucket fills, and how much it holds."""

    per_second: float
    burst: int

    @property
    def interval(self) -> float:
        """Seconds in which one token comes."""
        return 1 / self.per_second


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of asking for a token."""

    allowed: bool
    remaining: int
    """Whole tokens that are left."""
    wait: float
    """Seconds until there is one; 0 when it was allowed."""
    full_in: float
    """Seconds until the bucket is full."""


class Buckets(Protocol):
    """Keeps buckets by name."""

    def take(self, name: str, rate: Rate) -> Taken:
        """Take a token; never waits, never raises."""
        ...

    @property
    def unheard(self) -> int:
        """How often the place where they are kept did not answer, since the start."""
        ...


class MemoryBuckets:
    """Buckets of one process."""

    unheard = 0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._lock = Lock()

    def take(self, name: str, rate: Rate) -> Taken:
        """Take a token of this process's bucket."""
        now = self._clock.now().timestamp()
        with self._lock:
            taken = spent(now, self._full_at.get(name, now), rate)
            if taken.allowed:
                self._full_at[name] = now + taken.full_in
            if len(self._full_at) > MANY:
                self._full_at = {each: at for each, at in self._full_at.items() if at > now}
        return taken


def spent(now: float, full_at: float, rate: Rate) -> Taken:
    """Return what taking one token does to a bucket that is full at `full_at`."""
    owed = max(full_at - now, 0.0)
    room = rate.burst * rate.interval
    after = owed + rate.interval
    # Sums of intervals are off by some 1e-16 each; a token may not be lost to that.
    if after > room + 1e-6:
        return Taken(allowed=False, remaining=0, wait=after - room, full_in=owed)
    left = int((room - after) / rate.interval + 1e-3)
    return Taken(allowed=True, remaining=left, wait=0.0, full_in=after)
