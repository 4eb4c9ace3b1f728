"""Provider: what every simulated company does with a message it has decided to take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from channels.simulators.config import Keys
from channels.simulators.hooks import Hooks
from channels.simulators.log import Accept
from channels.simulators.reader import Reader
from channels.simulators.script import Script
from core.clock import Clock


@dataclass(frozen=True, slots=True)
class World:
    """What a provider has around it."""

    keys: Keys
    script: Script
    hooks: Hooks
    reader: Reader
    clock: Clock
    take: Callable[[Sequence[Accept]], None]
    """Writes messages down, then owes their webhooks."""
    serial: Callable[[], int]
    """Counts up, on from the log: what makes two sends of one reference two messages."""

    def now(self) -> float:
        """Return unix time in seconds, to the millisecond."""
        return round(self.clock.now().timestamp(), 3)
