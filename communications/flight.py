"""Flight: one batch on its way, from its first byte to its last settled outcome.

Invariants
    1. What an adapter did not report when it ended, nobody can tell: it is settled as ambiguous.
    2. A few slow answers do not hold up what is due: they are left to land by themselves.
"""

import time
from collections.abc import Callable, Iterator

from channels.adapter import PULSE
from channels.outcome import Accepted, Ambiguous, Outcome, Rejected
from communications.claim import Claimed
from communications.settle import Settled

SETTLE_EVERY = 100
SETTLE_SECONDS = 0.5


class Flight:
    """The rows of a batch by their references, and the outcomes as the adapter learns them."""

    def __init__(
        self,
        rows: dict[str, Claimed],
        outcomes: Iterator[tuple[str, Outcome]],
        *,
        settle: Callable[[list[Settled]], None],
        note: Callable[[Outcome], None],
    ) -> None:
        self.answered = False
        """Whether the provider has answered at all."""
        self._rows = rows
        self._outcomes = outcomes
        self._settle = settle
        self._note = note
        self._pending: list[Settled] = []
        self._settled_at = time.monotonic()

    @property
    def left(self) -> int:
        """How many messages nothing is known of yet."""
        return len(self._rows)

    def land(self, may_leave: Callable[[int], bool]) -> bool:
        """Settle outcomes until the last one is known; True then.

        False: what is left is slow, and `may_leave(how many)` agreed that nobody waits for it. Call
        it again, from a thread of its own.
        """
        for reference, outcome in self._outcomes:
            if (reference, outcome) == PULSE:
                self._write()
                if may_leave(self.left):
                    return False
                continue
            row = self._rows.pop(reference, None)
            if row is not None:
                self._pending.append(Settled(row, outcome))
            self._note(outcome)
            self.answered = self.answered or isinstance(outcome, Accepted | Rejected)
            late = time.monotonic() - self._settled_at > SETTLE_SECONDS
            if len(self._pending) >= SETTLE_EVERY or late:
                self._write()
        silent = Ambiguous("the adapter gave no outcome")
        self._pending += [Settled(row, silent) for row in self._rows.values()]
        self._rows.clear()
        self._write()
        return True

    def _write(self) -> None:
        if self._pending:
            known, self._pending = self._pending, []
            self._settle(known)
        self._settled_at = time.monotonic()
