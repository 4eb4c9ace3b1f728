"""Asking: providers are asked about unknown messages unbidden, now and then, a few at a time.

In a thread of its own: a provider that does not answer must hold up neither sends nor care.
"""

from communications.reconcile import Reconciler
from core.log import get
from echelonx.care import Every
from echelonx.wiring import Services

log = get(__name__)

ROUND_SECONDS = 60.0
MOST = 50
"""Messages a round; the others have their turn in the next ones."""
AT_ONCE = 10
"""Messages in one unit of work, so that a stop need not wait for a whole round."""


def reconciler(services: Services) -> Reconciler:
    """Make what asks providers."""
    return Reconciler(
        services.sessions,
        services.clock,
        references=services.references,
        vault=services.vault,
        http=services.egress,
        content=services.content,
    )


class Asking:
    """Every minute a round: up to 50 messages that have been unknown for two minutes."""

    def __init__(self, services: Services) -> None:
        self._reconciler = reconciler(services)
        self._round = Every(ROUND_SECONDS)
        self._left = 0

    def unit(self) -> bool:
        """Ask about a few; return whether the round goes on."""
        if self._left <= 0 and not self._round.due():
            return False
        self._left = self._left or MOST
        done = self._reconciler.step(min(AT_ONCE, self._left))
        if done.found:
            log.info("providers have what was unknown", found=done.found)
        # An account that does not answer was put off: the others still have their turn.
        self._left = 0 if done.rows < AT_ONCE else max(0, self._left - done.rows)
        return self._left > 0
