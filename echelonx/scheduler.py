"""Scheduler: APScheduler with one job, the tick. What is due is in the database, not in here.

Any number may tick at once: an occurrence fires in the transaction that marks it fired.
"""

from collections.abc import Callable

from apscheduler.schedulers.background import BackgroundScheduler

from campaigns import launch
from core.clock import Clock, ticking
from core.db import Sessions
from scheduling.bell import Bell
from scheduling.tick import Handler, tick

TICK_SECONDS = 1
HANDLERS: dict[str, Handler] = {launch.KIND: launch.fire}
"""What is done with an occurrence, by the kind in its schedule key."""
MISSED: dict[str, Handler] = {launch.KIND: launch.show_missed}
"""What is done with one that was found too late."""


class Ticker:
    """Ticks once a second in a thread of its own."""

    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        bell: Bell,
        *,
        held: Callable[[], bool] = lambda: False,
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._bell = bell
        self._held = held
        self.last_tick = ticking()
        """When it last ticked to the end, on core.clock.ticking()."""
        self._scheduler = BackgroundScheduler(timezone="UTC", daemon=True)
        self._scheduler.add_job(
            self.tick,
            "interval",
            seconds=TICK_SECONDS,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )

    def start(self) -> None:
        """Start ticking."""
        self._scheduler.start()

    def stop(self) -> None:
        """Let the tick in progress end, then stop."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def tick(self) -> None:
        """Fire what is due and wake the workers; while held, nothing is fired."""
        fired = 0 if self._held() else tick(self._sessions, self._clock, HANDLERS, MISSED)
        self.last_tick = ticking()
        if fired:
            self._bell.ring()
