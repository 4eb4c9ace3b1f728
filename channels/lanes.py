"""Lanes: a bounded pool of threads that carry one batch of messages, or of calls of many."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Generic, TypeVar

from channels.adapter import PULSE
from channels.outcome import NotSent, Outcome, Rejected

Unit = TypeVar("Unit")
Result = tuple[str, Outcome]
Carry = Callable[[Iterator[Unit]], Iterable[Result]]
"""Sends the units it takes from the iterator and yields the outcome of each message in them."""

HAND_OVER_SECONDS = 0.02
"""How long an outcome may wait for its reader; waking it for each one would cost more than it."""


PULSE_SECONDS = 0.5
"""After so long without an outcome, its reader is told that nothing is new."""


class Halt:
    """Whether the rest of a batch stays: its time is up, or one answer spoke for the account.

    Refused credentials and a Retry-After are about every message. Without this, all lanes would go
    on asking until the batch's reader has seen the first answer.
    """

    def __init__(self, expired: Callable[[], bool]) -> None:
        self._expired = expired
        self._said = False

    def __call__(self) -> bool:
        """Say whether nothing more may be sent."""
        return self._said or self._expired()

    def note(self, outcome: Outcome) -> Outcome:
        """Look at an outcome on its way out."""
        asked = isinstance(outcome, NotSent) and outcome.retry_after is not None
        if asked or (isinstance(outcome, Rejected) and outcome.account_fault):
            self._said = True
        return outcome


class Lanes:
    """Threads of one adapter. They start with the first batch and end with `close`."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._pool: ThreadPoolExecutor | None = None
        self._lock = Lock()

    def run(self, units: Sequence[Unit], carry: Carry[Unit]) -> Iterator[Result]:
        """Yield the outcome of every message, as the lanes report them; PULSE while they are slow.

        Abandoning the iterator stops new sends; what is on the wire is finished first. An error
        raised by `carry` (a bug) is raised here once all lanes have ended.
        """
        count = min(self._count, len(units))
        if count <= 1:
            yield from carry(iter(units))
            return
        batch = _Batch(units, count)
        futures = [self._threads().submit(batch.drive, carry) for _ in range(count)]
        try:
            quiet = 0.0
            while not batch.done.wait(HAND_OVER_SECONDS):
                quiet += HAND_OVER_SECONDS
                for result in batch.results():
                    quiet = 0.0
                    yield result
                if quiet >= PULSE_SECONDS:
                    yield PULSE
            yield from batch.results()
        finally:
            batch.stop()
            for future in futures:
                future.result()

    def close(self) -> None:
        """End the threads."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._count, thread_name_prefix=self._name)
            return self._pool


class _Batch(Generic[Unit]):
    """Units shared by lanes, and the outcomes on their way to the reader."""

    def __init__(self, units: Sequence[Unit], lanes: int) -> None:
        self.done = Event()
        self._waiting = deque(units)
        self._known: deque[Result] = deque()
        self._open = lanes
        self._lock = Lock()

    def drive(self, carry: Carry[Unit]) -> None:
        """Work as one lane until nothing is left."""
        try:
            self._known.extend(carry(self._take()))
        finally:
            with self._lock:
                self._open -= 1
                if self._open == 0:
                    self.done.set()

    def results(self) -> Iterator[Result]:
        """Yield what is known by now."""
        while self._known:
            yield self._known.popleft()

    def stop(self) -> None:
        """Let the lanes take nothing new."""
        self._waiting.clear()

    def _take(self) -> Iterator[Unit]:
        while True:
            try:
                unit = self._waiting.popleft()
            except IndexError:
                return
            yield unit
