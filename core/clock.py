"""The only place that reads the time of day, and the one monotonic clock for deadlines."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Anything that can tell the present instant."""

    def now(self) -> datetime:
        """Return the present instant, always aware and in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant from the operating system."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that moves only when told to: for tests, rehearsals and the time machine."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """Return the instant last set."""
        return self._now

    def advance(self, **units: float) -> datetime:
        """Move by `timedelta(**units)` and return the new instant."""
        self._now += timedelta(**units)
        return self._now

    def set(self, instant: datetime) -> None:
        """Jump to `instant`, forwards or backwards."""
        self._now = instant.astimezone(UTC)


def ticking() -> float:
    """Return seconds of a clock nobody can set, that also counts a suspended machine's sleep.

    Deadlines use it: a wall clock moved back must not prolong a lease.
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
