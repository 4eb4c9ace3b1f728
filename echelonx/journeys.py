"""Journeys: a worker's share in them: signals are heard, who is due goes on, webhooks are called.

Any number of workers may do all of it at once. A look that finds nothing is one small query for
signals, one for dates and schedules, one index look for each live journey and one for webhooks,
however many members wait.
"""

import json
import random
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from campaigns.journeys.advance import advance, due_journeys
from campaigns.journeys.calling import MAX_ANSWER, Answer, Request, answered, claim_call
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, Held
from campaigns.journeys.hear import hear
from campaigns.journeys.timed import enter_by_time, timed_journeys
from core.db import DATABASE_AWAY, read, write
from core.failpoint import reach
from core.http import Reply
from core.log import get
from echelonx.wiring import Services
from members.signal import signalled
from scheduling.bell import LocalBell
from scheduling.pump import Pump

log = get(__name__)

LOOK_SECONDS = 0.3
"""Between two looks: what a member does is answered within a second."""
CALLERS = 4
"""Webhooks in flight in one process: one slow shop does not hold up the others."""


def journey_pumps(services: Services, *, held: Callable[[], bool]) -> list[Pump]:
    """Return the threads of one process; nothing moves while sending is `held`."""
    # What rings for sends is no news here, and this rings for them itself.
    bell, interval = LocalBell(), min(services.settings.pump_seconds, LOOK_SECONDS)
    moving, calling = Moving(services, held=held), Calling(services, held=held)
    return [
        Pump("journeys", moving.unit, bell=bell, interval=interval),
        *(
            Pump(f"webhooks-{number}", calling.unit, bell=bell, interval=interval)
            for number in range(1, CALLERS + 1)
        ),
    ]


class Moving:
    """Hears what happened, lets in whose time has come, takes the steps of whoever is due."""

    def __init__(self, services: Services, *, held: Callable[[], bool]) -> None:
        self._services = services
        self._held = held

    def unit(self) -> bool:
        """Take one set of each client's signals and of each journey's members; say if more."""
        if self._held():
            return False
        entered = [self._hear(), self._enter()]
        return self._advance() or any(entered)

    def _hear(self) -> bool:
        sessions, clock = self._services.sessions, self._services.clock
        with read(sessions) as session:
            clients = signalled(session)
        return self._each(
            clients, lambda session, client_id: hear(session, clock, client_id=client_id)
        )

    def _enter(self) -> bool:
        sessions, clock = self._services.sessions, self._services.clock
        with read(sessions) as session:
            journeys = timed_journeys(session, clock)
        return self._each(
            journeys, lambda session, one: enter_by_time(session, clock, journey_id=one)
        )

    def _advance(self) -> bool:
        services = self._services
        clock, hasher = services.clock, services.hasher
        with read(services.sessions) as session:
            journeys = due_journeys(session, clock)
        moved = self._each(
            journeys, lambda session, one: advance(session, clock, hasher, journey_id=one)
        )
        if moved:
            reach("C14")
            services.bell.ring()
        return moved

    def _each(self, ids: list[int], work: Callable[[Any, int], int]) -> bool:
        """Do one transaction for each, in any order; say whether anything was done.

        What one client or journey cannot have done does not keep the others waiting.
        """
        done = 0
        for one in random.sample(ids, len(ids)):
            try:
                with write(self._services.sessions) as session:
                    done += work(session, one)
            except DATABASE_AWAY:
                raise
            except Exception:  # a bug that one client meets must not stop all the others
                log.exception("journeys stand still", of=one)
        return done > 0


class Calling:
    """Posts what webhook steps ask for, outside of any transaction."""

    def __init__(self, services: Services, *, held: Callable[[], bool]) -> None:
        self._services = services
        self._held = held

    def unit(self) -> bool:
        """Make one call and keep its answer; say whether there may be more."""
        sessions, clock = self._services.sessions, self._services.clock
        if self._held() or not self._asked():
            return False
        with write(sessions) as session:
            request = claim_call(session, clock)
        if request is None:
            return False
        answer = self._post(request)
        with write(sessions) as session:
            answered(session, clock, request=request, answer=answer)
        if answer.problem:
            log.warning("webhook", enrolment_id=request.enrolment_id, problem=answer.problem)
        return True

    def _asked(self) -> bool:
        query = select(Enrolment.id).where(
            Enrolment.held == Held.WEBHOOK,
            Enrolment.until <= self._services.clock.now(),
            Enrolment.status == EnrolmentStatus.ACTIVE,
        )
        with read(self._services.sessions) as session:
            return session.scalar(query.limit(1)) is not None

    def _post(self, request: Request) -> Answer:
        reply = self._services.egress.request(
            "POST",
            request.url,
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                "User-Agent": "EchelonX",
                "Idempotency-Key": request.key,
            },
            body=json.dumps(request.body, default=str).encode(),
        )
        return _answer(reply)


def _answer(reply: Reply) -> Answer:
    """Return what a reply says; a long one, or one that is not JSON, is worth its status."""
    if reply.status is None:
        return Answer(0, problem=reply.error, final=reply.refused)
    if not 200 <= reply.status < 300:
        return Answer(reply.status, problem=f"answered with {reply.status}")
    if len(reply.body) > MAX_ANSWER:
        return Answer(reply.status, problem=f"the answer is longer than {MAX_ANSWER} bytes")
    try:
        return Answer(reply.status, body=_read(reply.body) if reply.body else None)
    except (ValueError, RecursionError):
        return Answer(reply.status, problem="the answer is not JSON")


def _read(body: bytes) -> Any:
    """Return JSON that both databases can store. Raises ValueError, RecursionError."""
    value = json.loads(body)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if "\\u0000" in text:
        raise ValueError("NUL")
    text.encode()  # half a surrogate pair is no text
    return value
