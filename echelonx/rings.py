"""Rings: how a ring reaches other processes, and how they hear it.

Invariants
    1. `ring()` never waits for the broker and never raises: it is called inside web requests.
    2. A broker that is away is logged once, not once a ring.
    3. Nothing that a broker does makes a process deaf, or dumb, for longer than it does it.
"""

from collections.abc import Sequence
from threading import Event, Lock, Thread

from celery import Celery
from celery.worker import WorkController, state

from core.log import get
from echelonx.celery_app import EXCHANGE, QUEUE, RING, STALE_SECONDS, VISIBILITY_SECONDS, make_app
from scheduling.bell import LocalBell

log = get(__name__)

CONNECT_SECONDS = 2.0
PUBLISHER = {
    "visibility_timeout": VISIBILITY_SECONDS,
    "socket_timeout": CONNECT_SECONDS,
    "socket_connect_timeout": CONNECT_SECONDS,
    "connect_timeout": CONNECT_SECONDS,
    "retry_on_timeout": False,
    "max_retries": 0,
}
TOGETHER_SECONDS = 0.05
"""Rings this close to each other are one."""
AGAIN_SECONDS = 2.0
"""Until a listener that ended starts anew."""


class CeleryBell:
    """Rings here at once, and at every worker a moment later."""

    def __init__(self, broker_url: str, local: Sequence[LocalBell]) -> None:
        self._local = local
        self._app: Celery = make_app(broker_url)
        self._app.conf.broker_connection_timeout = CONNECT_SECONDS
        self._app.conf.broker_transport_options = PUBLISHER
        self._due = Event()
        self._idle = Event()
        self._idle.set()
        self._closing = Event()
        self._away = False
        self._lock = Lock()
        self._thread: Thread | None = None

    def ring(self) -> None:
        """Wake every worker, if the broker lets us."""
        for bell in self._local:
            bell.ring()
        self._idle.clear()
        self._due.set()
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="rings", daemon=True)
                self._thread.start()

    def close(self, timeout: float = CONNECT_SECONDS) -> None:
        """Let the last ring leave, for `timeout` seconds at most."""
        self._idle.wait(timeout)
        self._closing.set()
        self._due.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._due.wait()
            self._due.clear()
            if not self._closing.is_set():
                self._publish()
            if not self._due.is_set():
                self._idle.set()
            self._closing.wait(TOGETHER_SECONDS)
        self._app.close()

    def _publish(self) -> None:
        try:
            self._app.send_task(
                RING,
                queue=QUEUE,
                routing_key=QUEUE,
                expires=STALE_SECONDS,
                retry=False,
                ignore_result=True,
                declare=[EXCHANGE],
            )
        except Exception as error:  # noqa: BLE001  (clients raise their own; the thread must go on)
            if not self._away:
                log.warning("broker away, workers look by themselves", why=type(error).__name__)
            self._away = True
            return
        if self._away:
            log.info("broker back")
        self._away = False


class Listener:
    """A Celery worker in a thread, whose only task rings the bells of this process."""

    def __init__(self, broker_url: str, bells: Sequence[LocalBell], name: str) -> None:
        def ring() -> None:
            for bell in bells:
                bell.ring()

        self._app = make_app(broker_url, ring)
        self._name = name
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="celery", daemon=True)

    def start(self) -> None:
        """Start listening; a broker that is away, full or refuses is tried again for ever."""
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """Stop listening. A daemon thread: what a broker keeps waiting does not keep us."""
        state.should_stop = 0
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        state.should_stop = None
        self._app.set_current()  # of this thread: where Celery looks a task up
        while not self._stopping.is_set():
            # Celery goes on by itself after a lost connection, and ends after any other error, such
            # as that of a Redis which is full and cannot even note that we listen.
            self._listen()
            self._stopping.wait(AGAIN_SECONDS)

    def _listen(self) -> None:
        worker = WorkController(
            app=self._app,
            hostname=f"echelonx@{self._name}",
            pool_cls="solo",
            concurrency=1,
            loglevel="WARNING",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        worker.start()
