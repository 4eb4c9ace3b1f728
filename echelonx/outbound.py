"""Outbound: a worker's share in telling clients' endpoints what happened.

Each thread takes one endpoint's turn at a time and posts several facts of it side by side, outside
of any transaction. Half of the threads are kept for endpoints that answer quickly, so that slow
ones, however many, hold up only each other.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

from channels.reply import retry_after
from core.clock import ticking
from core.db import read, write
from core.http import Reply
from core.log import get
from echelonx.wiring import Services
from scheduling.bell import LocalBell
from scheduling.pump import Pump
from webhooks.outbound import (
    THROTTLING,
    TIRED,
    Answer,
    Post,
    Turn,
    claim,
    give_up,
    is_due,
    is_forsaken,
    note,
)

log = get(__name__)

QUICK, ANY = 2, 4
"""Threads of one process, for quick endpoints and for any."""
AT_ONCE = 8
"""Posts to one endpoint side by side."""
LOOK_SECONDS = 1.0


def outbound_pumps(services: Services, *, held: Callable[[], bool]) -> list[Pump]:
    """Return the threads of one process; nothing is told while sending is `held`."""
    interval = min(services.settings.pump_seconds, LOOK_SECONDS)
    made = []
    for number in range(QUICK + ANY):
        unit = Outbound(services, slow=number >= QUICK, held=held).unit
        made.append(Pump(f"outbound-{number}", unit, bell=LocalBell(), interval=interval))
    return made


class Outbound:
    """Takes turns: claim, post, note."""

    def __init__(
        self, services: Services, *, slow: bool = True, held: Callable[[], bool] = lambda: False
    ) -> None:
        self._services = services
        self._slow = slow
        self._held = held

    def unit(self) -> bool:
        """Take one endpoint's turn, or give up what waits for none; say whether there is more."""
        sessions, clock = self._services.sessions, self._services.clock
        if self._held():
            return False
        with read(sessions) as session:
            due = is_due(session, clock, slow=self._slow)
            forsaken = self._slow and is_forsaken(session, clock)
        if forsaken:
            with write(sessions) as session:
                give_up(session, clock)
        if not due:
            return forsaken
        with write(sessions) as session:
            turn = claim(session, clock, self._services.vault, slow=self._slow)
        if turn is None:
            return False
        if turn.posts:
            answers = self._posted(turn)
            with write(sessions) as session:
                note(session, clock, turn, answers)
        return True

    def _posted(self, turn: Turn) -> dict[int, Answer]:
        """Post a turn's facts; after some failures leave the others for another turn."""
        failed = 0
        stop = Event()

        def post(one: Post) -> Answer | None:
            return None if stop.is_set() else self._post(one)

        answers: dict[int, Answer] = {}
        with ThreadPoolExecutor(min(AT_ONCE, len(turn.posts))) as pool:
            for one, answer in zip(turn.posts, pool.map(post, turn.posts), strict=True):
                if answer is not None:
                    answers[one.delivery_id] = answer
                    failed += not answer.taken
                if failed >= TIRED:
                    stop.set()
        if failed:
            log.warning("endpoint failed", endpoint_id=turn.endpoint_id, failed=failed)
        return answers

    def _post(self, one: Post) -> Answer:
        begun, at = ticking(), self._services.clock.now()
        reply = self._services.outbound.request(
            "POST", one.url, headers=one.headers(at), body=one.body
        )
        ms = round((ticking() - begun) * 1000)
        return Answer(at, reply.status, ms, reply.error, _text(reply), self._wish(reply))

    def _wish(self, reply: Reply) -> timedelta | None:
        if reply.status not in THROTTLING:
            return None
        wait = retry_after(reply, self._services.clock.now())
        return timedelta(seconds=wait) if wait else None


def _text(reply: Reply) -> str:
    """Return an answer as text that both databases can store."""
    return reply.body.decode("utf-8", "replace").replace("\x00", "")
