"""Runner: the threads of one process, by its roles. The same threads embedded and scaled out.

| role | threads |
| - | - |
| `web` | the web server's, see server.py |
| `worker` | fan-out, inbox, collector, care, journeys, outbound, files, scores, lanes, listener |
| `scheduler` | the tick |

Invariants
    1. What a stop finds on its way is finished: no row is left `sending` by an orderly end.
    2. On SQLite, rows of a dead process are recovered before the first new one is claimed.
"""

import enum
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import delete

from campaigns import fan_out
from communications.reaper import reap
from core.clock import ticking
from core.db import write
from core.log import get
from echelonx import wiring
from echelonx.asking import Asking
from echelonx.awards import Awards
from echelonx.care import Care
from echelonx.exporters import Exporters
from echelonx.guard import Guard
from echelonx.importers import Importers
from echelonx.journeys import journey_pumps
from echelonx.lanes import Lanes
from echelonx.outbound import outbound_pumps
from echelonx.process import process_name
from echelonx.rings import Listener
from echelonx.scheduler import Ticker
from echelonx.scoring import LOOK_SECONDS as SCORE_SECONDS
from echelonx.scoring import Scoring
from echelonx.tidying import Tidying
from echelonx.tracking import LOOK_SECONDS, Tracking
from echelonx.wiring import Services
from scheduling.bell import LocalBell
from scheduling.pump import Pump
from scheduling.worker import BEAT_SECONDS, Worker, beat, leave
from webhooks import apply
from webhooks.collecting import collecting

log = get(__name__)

STOP_SECONDS = 30.0
SOON_SECONDS = 1.0
"""For what nothing rings here: a launch by another process, clicks past their two quiet seconds,
runs whose last message left. Each look is one small query."""
REST_SECONDS = 0.05
SET_SECONDS = 0.1
"""Receipts that come in a tenth of a second are applied as one set."""
EVERYBODY = ("",)
"""Every claim's name starts with that."""
TICK_SILENT_SECONDS = 30.0
TICKED = "ticked"
"""When a process last ticked, in its report: Unix time in seconds."""


class Role(enum.StrEnum):
    """What a process does."""

    WEB = "web"
    WORKER = "worker"
    SCHEDULER = "scheduler"


class Runner:
    """Starts and stops the threads of one process.

    `exclusive` says that no other process sends for this database (process.SendingRight).
    """

    def __init__(
        self, services: Services, roles: Collection[Role], *, exclusive: bool = False
    ) -> None:
        self.name = process_name()
        self.roles = frozenset(roles)
        self._services = services
        self._exclusive = exclusive
        self._started_at = services.clock.now()
        self._guard = Guard(services, sends=self.roles != {Role.WEB})
        self._dispatcher = wiring.dispatcher(services, self.name)
        self._lanes = Lanes(
            services.sessions,
            self._dispatcher,
            services.send_bell,
            interval=services.settings.pump_seconds,
            held=self._guard.held,
        )
        self._exporters = Exporters(services)
        self._pumps = self._made_pumps() if Role.WORKER in self.roles else []
        self._heart = Pump("heart", self._beat, bell=LocalBell(), interval=BEAT_SECONDS)
        self._ticker: Ticker | None = None
        if Role.SCHEDULER in self.roles:
            self._ticker = Ticker(
                services.sessions, services.clock, services.bell, held=self._guard.held
            )
        self._listener: Listener | None = None
        broker_url = services.settings.broker_url
        if Role.WORKER in self.roles and broker_url is not None:
            self._listener = Listener(
                broker_url, (services.send_bell, services.inbox_bell), self.name
            )

    def start(self) -> None:
        """Look whether the database is the one it was, recover what a dead process left, start."""
        self._guard.start()
        if self._exclusive and Role.WORKER in self.roles:
            self._recover()
        self._heart.start()
        for pump in self._pumps:
            pump.start()
        if self._ticker is not None:
            self._ticker.start()
        if self._listener is not None:
            self._listener.start()

    def stop(self, timeout: float = STOP_SECONDS) -> bool:
        """Take up nothing new, finish what is on its way; False if that outlasts `timeout` s."""
        deadline = ticking() + timeout
        if self._ticker is not None:
            self._ticker.stop()
        self._dispatcher.stop()
        for pump in (*self._working(), self._heart):
            pump.ask_to_stop()
        if self._listener is not None:
            self._listener.stop()
        # Lanes last, and counted last: care may have started one a moment ago.
        ended = [
            pump.stop(max(0.0, deadline - ticking()))
            for pumps in (lambda: (*self._pumps, self._heart), self._lanes.pumps)
            for pump in pumps()
        ]
        ended.append(self._dispatcher.landed(max(0.0, deadline - ticking())))
        if not all(ended):
            log.warning("threads outlast the stop", count=ended.count(False))
            return False
        self._dispatcher.close()
        self._exporters.close()
        self._guard.end()
        with write(self._services.sessions) as session:
            leave(session, name=self.name)
        return True

    def silent(self) -> str | None:
        """Return the name of a thread that has not looked for work for far too long.

        No send may outlast a lease, so silence beyond it means that a thread hangs; whoever keeps
        the process running should start it anew.
        """
        settings = self._services.settings
        limit = settings.lease_seconds + settings.pump_seconds + 60
        stuck = [pump.name for pump in self._working() if ticking() - pump.last_loop > limit]
        return stuck[0] if stuck else None

    def _made_pumps(self) -> list[Pump]:
        services, interval = self._services, self._services.settings.pump_seconds
        applier = wiring.applier(services)

        def expand() -> bool:
            more = not self._guard.held() and fan_out.step(services.sessions, services.clock)
            if more:
                services.bell.ring()
            return more

        def digest() -> bool:
            return apply.step(services.sessions, services.clock, applier)

        lease, tally = services.settings.lease_seconds, self._dispatcher.tally
        care = Care(services.sessions, services.clock, self._lanes, tally, lease_seconds=lease)
        tidying = Tidying(services.sessions, services.clock).unit
        tracking = Tracking(services.sessions, services.clock).unit
        bell, inbox = services.send_bell, services.inbox_bell
        collect = collecting(services).step
        soon = min(interval, SOON_SECONDS)
        return [
            Pump("fan-out", expand, bell=bell, interval=soon, rest=REST_SECONDS),
            Pump("inbox", digest, bell=inbox, interval=soon, rest=SET_SECONDS),
            Pump("collector", collect, bell=inbox, interval=soon, rest=SET_SECONDS),
            Pump("care", care.unit, bell=bell, interval=soon, rest=SET_SECONDS),
            Pump("tidying", tidying, bell=LocalBell(), interval=interval),
            Pump("asking", Asking(services).unit, bell=LocalBell(), interval=interval),
            Pump("segments", tracking, bell=LocalBell(), interval=min(interval, LOOK_SECONDS)),
            Pump("scores", Scoring(services).unit, bell=LocalBell(), interval=SCORE_SECONDS),
            Pump("awards", Awards(services).unit, bell=LocalBell(), interval=interval),
            Pump("imports", Importers(services).unit, bell=bell, interval=soon),
            Pump("exports", self._exporters.unit, bell=bell, interval=soon),
            *journey_pumps(services, held=self._guard.held),
            *outbound_pumps(services, held=self._guard.held),
        ]

    def _working(self) -> Iterable[Pump]:
        return (*self._pumps, *self._lanes.pumps())

    def _recover(self) -> None:
        """Take back at once what the process before us held: the lock proves that it is dead."""
        services = self._services
        with write(services.sessions) as session:
            lost = reap(session, services.clock, owners=EVERYBODY)
            session.execute(delete(Worker).where(Worker.name != self.name))
        self._dispatcher.tally.found_lost(lost)
        if lost:
            log.warning("the last process stopped while sending", unknown=lost)

    def _report(self) -> dict[str, Any]:
        """Return what this process counted, and when it last ticked, whether it still does or not.

        A scheduler that hangs loses its role; only this tells for how long it has been silent.
        """
        report = self._dispatcher.tally.report()
        if self._ticker is not None:
            ago = timedelta(seconds=ticking() - self._ticker.last_tick)
            report[TICKED] = (self._services.clock.now() - ago).timestamp()
        return report

    def _beat(self) -> bool:
        """Say that we are alive; a scheduler only while it ticks."""
        roles = set(self.roles)
        if self._ticker and ticking() - self._ticker.last_tick > TICK_SILENT_SECONDS:
            roles.discard(Role.SCHEDULER)
        if self.silent():
            roles.discard(Role.WORKER)
        with write(self._services.sessions) as session:
            beat(
                session,
                self._services.clock,
                name=self.name,
                roles=sorted(role.value for role in roles),
                started_at=self._started_at,
                report=self._report(),
            )
        self._guard.beat()
        return False
