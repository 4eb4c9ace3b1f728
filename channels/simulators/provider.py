"""Provider: what every simulated company does with a message it has decided to take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from channels.simulators.config import Keys
from channels.simulators.hooks import Hooks
from channels.simulators.log import Accept
from channels.simulators.reader import Reader
from channels.simulators.script import Script
from channels.simulators.table import NO_FAULT, Fault
from core.clock import Clock


class Take(Protocol):
    """How messages are taken."""

    def __call__(self, accepts: Sequence[Accept], fault: Fault = NO_FAULT) -> None:
        """Take them; under the fault `early` all they owe is due at once."""
        ...


class Find(Protocol):
    """How a provider looks up what it took."""

    def __call__(self, provider: str, **fields: str) -> list[Accept]:
        """Return a provider's messages with these fields, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """What a provider has around it."""

    keys: Keys
    script: Script
    hooks: Hooks
    reader: Reader
    clock: Clock
    take: Take
    """Writes messages down, then owes their webhooks."""
    find: Find
    """What it took so far, as its log has it."""
    serial: Callable[[], int]
    """Counts up, on from the log: what makes two sends of one reference two messages."""

    def now(self) -> float:
        """Return unix time in seconds, to the millisecond."""
        return round(self.clock.now().timestamp(), 3)
