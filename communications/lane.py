"""Lane: one provider account as one worker sees it.

What is in flight at a time is the account's window, and at most half of it again in slow answers
that nobody waits for. It bounds what a crash can make unknown.
"""

from dataclasses import dataclass, field
from datetime import datetime
from threading import Thread

from channels.adapter import Sender
from channels.outcome import Outcome
from communications.breaker import Breaker
from communications.claim import Cursor
from communications.flight import Flight
from core.clock import ticking


@dataclass(slots=True)
class Lane:
    """One account as this worker sees it: its adapter, and how far it has claimed."""

    account_id: int
    version: datetime
    """The account's `updated_at`: when it changes, the adapter is built anew."""
    adapter_name: str
    token: str
    breaker: Breaker
    adapter: Sender
    cursors: dict[int, Cursor] = field(default_factory=dict)
    resting: bool = False
    """A rest was called for: what of the batch has not left stays."""
    rests_until: float = 0.0
    """When the last rest it called for ends, on core.clock.ticking()."""
    rests_for: Outcome | None = None
    """What called for it; one answer about a thousand messages calls a thousand times."""
    trails: list[tuple[Thread, int]] = field(default_factory=list)
    """Flights that land by themselves, and how many messages each was still waiting for."""

    def knows(self, outcome: Outcome, until: float) -> bool:
        """Say whether a rest until then is written down already; if not, take it for written."""
        runs = ticking() < self.rests_until
        if runs and (outcome is self.rests_for or until <= self.rests_until):
            return True
        self.rests_until, self.rests_for = until, outcome
        return False

    def may_leave(self, left: int) -> bool:
        """Say whether so many slow messages may be left to themselves: half a window at most.

        A provider that answers nothing is waited for: it may be down, and the breaker will tell.
        """
        self.trails = [trail for trail in self.trails if trail[0].is_alive()]
        return left + sum(count for _, count in self.trails) <= self.breaker.allowed // 2

    def leave(self, flight: Flight) -> None:
        """Let a flight land in a thread of its own."""
        thread = Thread(target=flight.land, args=(lambda _: False,), name="trail", daemon=True)
        self.trails.append((thread, flight.left))
        thread.start()

    def landed(self, timeout: float) -> bool:
        """Wait for what was left to itself; False if it outlasts `timeout` seconds."""
        until = ticking() + timeout
        for thread, _ in self.trails:
            thread.join(max(0.0, until - ticking()))
        return not any(thread.is_alive() for thread, _ in self.trails)
