"""Bell: wakes whoever waits for work. A ring that is lost costs latency, never work (law 3)."""

from threading import Event, Lock
from typing import Protocol


class Bell(Protocol):
    """Anything that can say that there may be work."""

    def ring(self) -> None:
        """Wake whoever waits. Call it after the commit that made the work; it never raises."""
        ...


class LocalBell:
    """A bell heard within this process."""

    def __init__(self) -> None:
        self._listeners: list[Event] = []
        self._lock = Lock()

    def subscribe(self) -> Event:
        """Return an event that every ring sets; the listener clears it before it looks."""
        heard = Event()
        with self._lock:
            self._listeners.append(heard)
        return heard

    def unsubscribe(self, heard: Event) -> None:
        """Forget a listener."""
        with self._lock:
            self._listeners.remove(heard)

    def ring(self) -> None:
        """Wake every listener."""
        with self._lock:
            listeners = tuple(self._listeners)
        for heard in listeners:
            heard.set()
