"""Pump: a thread that does one kind of work until there is none, then waits to be woken.

Invariants
    1. A ring while the pump looks for work makes it look again: the bell is cleared before looking.
    2. Nothing that a unit of work raises ends the pump; it logs, waits longer each time, goes on.
    3. `stop()` lets the unit in progress end: nothing is cut off between intent and settle.
"""

from collections.abc import Callable
from threading import Event, Thread

from core.clock import ticking
from core.log import get
from scheduling.bell import LocalBell

log = get(__name__)

LONGEST_PAUSE = 30.0


def pause_after(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row: 1, 2, 4, … 30."""
    return min(LONGEST_PAUSE, 2.0 ** min(failures - 1, 10))


class Pump:
    """Runs `unit` again and again in a thread of its own.

    `unit` does one piece of work and returns whether there may be more. `interval` is how many
    seconds at most pass between two looks; the bell only shortens that. `rest` is how many pass at
    least once there was nothing to do: rings that come in a storm are then one look, with more to
    do at it.
    """

    def __init__(
        self,
        name: str,
        unit: Callable[[], bool],
        *,
        bell: LocalBell,
        interval: float,
        rest: float = 0.0,
        pause: Callable[[int], float] = pause_after,
    ) -> None:
        self.name = name
        self.last_loop = ticking()
        """When it last looked for work, on core.clock.ticking(): silence means it is stuck."""
        self.failures = 0
        """Failures in a row; 0 is healthy."""
        self._unit = unit
        self._bell = bell
        self._heard = bell.subscribe()
        self._interval = interval
        self._rest = rest
        self._pause = pause
        self._stopping = Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start looking for work; call it once."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread is running."""
        return self._thread.is_alive()

    def stop(self, timeout: float | None = None) -> bool:
        """Take no more work and wait for the unit in progress; False if it outlasts `timeout` s.

        Safe to call twice, and before `start()`.
        """
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def ask_to_stop(self) -> None:
        """Take no more work, without waiting: several pumps can then end side by side."""
        self._stopping.set()
        self._heard.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._heard.clear()
            if self._work():
                self._stopping.wait(self._rest)
                self._heard.wait(self._interval)
            else:
                self._stopping.wait(self._pause(self.failures))
        self._bell.unsubscribe(self._heard)

    def _work(self) -> bool:
        """Work until there is nothing to do; return whether it went well."""
        try:
            more = True
            while more and not self._stopping.is_set():
                self.last_loop = ticking()
                more = self._unit()
        except Exception:  # the outermost loop: whatever fails, go on
            self.failures += 1
            log.exception("pump failed", pump=self.name, failures=self.failures)
            return False
        self.failures = 0
        return True
