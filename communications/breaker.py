"""Breaker: when an account rests because its provider does not answer, or asked us to wait.

A rest is written on the account, so every worker keeps it. After one, each worker begins with a
single message and doubles while they are answered: an outage ends without a wave
(docs/why/sending.md).

Invariants
    1. What a provider asked for in Retry-After is kept by everybody, from the moment it is known.
    2. A provider that refuses answers: refusals never open the breaker.
"""

from collections import deque
from dataclasses import dataclass, field
from threading import Lock

from channels.outcome import DEADLINE_PASSED, Ambiguous, NotSent, Outcome

FAILURES, LATELY = 10, 20
"""So many among the last so many, within PERIOD_SECONDS, are an outage."""
PERIOD_SECONDS = 30.0
REST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Rest:
    """How long an account should rest, and why."""

    seconds: float
    reason: str
    strike: bool
    """Whether the provider seems to be down, rather than to have asked for it."""


@dataclass(slots=True)
class Breaker:
    """One lane's view of one account."""

    window: int
    allowed: int = 0
    """How many messages may be in flight now; the window when all is well."""
    strikes: int = 0
    """The account's strikes as last seen."""
    rested: bool = False
    """Whether the batch in hand is the first after a rest."""
    _lately: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=LATELY))
    """When an outcome came, and whether it was a failure."""
    _lock: Lock = field(default_factory=Lock)
    """Slow answers are noted by threads of their own."""

    def begin(self, strikes: int, *, rested: bool) -> int:
        """Return how many messages to take up; `rested`: a rest has passed, nothing since."""
        if rested or (self.allowed and strikes != self.strikes):
            self.allowed = 1
        elif self.allowed == 0:
            self.allowed = self.window
        self.strikes, self.rested = strikes, rested
        return self.allowed

    def note(self, outcome: Outcome, now: float) -> Rest | None:
        """Take one outcome in; `now` is on core.clock.ticking(). Return the rest it calls for."""
        if isinstance(outcome, NotSent) and outcome.retry_after:
            return Rest(outcome.retry_after, outcome.reason, strike=False)
        if outcome == DEADLINE_PASSED:
            return None
        failed = isinstance(outcome, NotSent | Ambiguous)
        with self._lock:
            self._lately.append((now, failed))
            if not failed or not self._is_outage(now - PERIOD_SECONDS):
                return None
            self._lately.clear()
        return Rest(REST_SECONDS, outcome.reason, strike=True)  # type: ignore[union-attr]

    def end(self, *, answered: bool) -> bool:
        """Double what is allowed after a batch that was answered; say whether a rest ended so."""
        if not answered:
            return False
        self.allowed = min(self.window, self.allowed * 2)
        return self.rested

    def _is_outage(self, since: float) -> bool:
        lately = [failed for at, failed in self._lately if at >= since]
        beginning = self.allowed < self.window
        return sum(lately) >= FAILURES or (beginning and all(lately))
