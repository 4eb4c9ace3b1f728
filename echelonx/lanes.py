"""Lanes: one sending thread per active provider account, coming and going with the accounts."""

from collections.abc import Callable, Iterable

from communications.account import active_account_ids
from communications.dispatch import Dispatcher
from core.db import Sessions, read
from scheduling.bell import LocalBell
from scheduling.pump import Pump

REST_SECONDS = 0.05
"""A storm of rings, such as receipts make, wakes a lane twenty times a second and no more."""


class Lanes:
    """The sending threads of one process.

    Invariant: an account never has two threads here. One that was paused and resumed gets its new
    thread when the old one has finished the window in its hand.
    """

    def __init__(
        self,
        sessions: Sessions,
        dispatcher: Dispatcher,
        bell: LocalBell,
        *,
        interval: float,
        held: Callable[[], bool] = lambda: False,
    ) -> None:
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._bell = bell
        self._interval = interval
        self._held = held
        self._pumps: dict[int, Pump] = {}
        self._leaving: dict[int, Pump] = {}

    def look(self) -> None:
        """Start and stop threads so that every active account has one; call it from one thread."""
        with read(self._sessions) as session:
            wanted = set(active_account_ids(session))
        for account_id in self._pumps.keys() - wanted:
            pump = self._leaving[account_id] = self._pumps.pop(account_id)
            pump.ask_to_stop()
        self._leaving = {key: pump for key, pump in self._leaving.items() if pump.alive}
        for account_id in wanted - self._pumps.keys() - self._leaving.keys():
            self._pumps[account_id] = self._start(account_id)

    def pumps(self) -> Iterable[Pump]:
        """Return every thread there is, leaving ones too."""
        return (*self._pumps.values(), *self._leaving.values())

    def _start(self, account_id: int) -> Pump:
        def unit() -> bool:
            return not self._held() and self._dispatcher.step(account_id) > 0

        pump = Pump(
            f"lane-{account_id}", unit, bell=self._bell, interval=self._interval, rest=REST_SECONDS
        )
        pump.start()
        return pump
