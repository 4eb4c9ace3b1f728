"""Advance: those who are due take their steps, in sets, one transaction each.

A step and its consequences (rows of the log, tags, the next place) are one transaction: a crash
repeats nothing and loses nothing. What fails for a set is tried one by one; who fails alone waits
longer and longer, and is stuck after TRIES, by a bug as by an error: nobody else waits for them.
Only while the database is away the whole set is taken back.

Invariants
    1. Who is in a set is locked: two workers never take the same step.
    2. A step is left once: (enrolment, visit) is unique in `enrolment_steps`, and every message's
       key is made of them.

Cost: some ten statements for each step that anybody in the set stands at (bench/journeys.py).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from accounts.client import usable
from campaigns.journeys.ast import Check, Send, Set, Tag, Webhook
from campaigns.journeys.enrolment import (
    Enrolment,
    EnrolmentStatus,
    EnrolmentStep,
    Held,
    Walker,
    tell_endpoints,
)
from campaigns.journeys.goals import reached
from campaigns.journeys.journey import ADVANCING, Journey
from campaigns.journeys.machine import Batch, End, Go, Machine, Outcome, Stay, machine
from campaigns.journeys.program import Node
from campaigns.journeys.rows import add, save
from campaigns.journeys.steps import TAKES
from core.address import AddressHasher
from core.clock import Clock, ManualClock
from core.db import DATABASE_AWAY
from core.errors import EngineError
from core.failpoint import reach
from core.log import get

log = get(__name__)

SET = 500
"""Enrolments of one transaction."""
HOPS = 64
"""Steps somebody takes in one transaction; who is not done goes on in the next."""
TRIES = 8
BACKOFF = timedelta(seconds=30)
"""Before the second try; doubled with each."""

E = Enrolment
COLUMNS = [E.__table__.c[field.name] for field in fields(Walker)]
T = TypeVar("T")


def due_journeys(session: Session, clock: Clock) -> list[int]:
    """Return the ids of live journeys with somebody due: an index look for each live journey."""
    somebody = exists().where(E.journey_id == Journey.id, E.due_at <= clock.now())
    query = select(Journey.id).where(
        Journey.status.in_(ADVANCING), somebody, usable(Journey.client_id)
    )
    return list(session.scalars(query.order_by(Journey.id)))


def advance(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    journey_id: int,
    limit: int = SET,
    above: int = 0,
) -> int:
    """Take the steps of up to `limit` members who are due; return how many were looked at.

    Only those with enrolment ids above `above`, such as the ones that a rehearsal has made.
    """
    query = (
        select(*COLUMNS)
        .join(Journey, Journey.id == E.journey_id)
        .where(
            E.journey_id == journey_id,
            E.id > above,
            E.due_at <= clock.now(),
            Journey.status.in_(ADVANCING),
        )
        .order_by(E.due_at, E.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=E)
    )
    people = [Walker(*row) for row in session.execute(query)]
    groups: dict[int, list[Walker]] = defaultdict(list)
    for one in people:
        groups[one.version_id].append(one)
    still = ManualClock(clock.now())
    for version_id, group in groups.items():
        _Walk(Batch(session, still, hasher, machine(session, version_id))).take(group)
    if people:
        reach("C13")
    return len(people)


class _Walk:
    """One set of members of one version, step by step until each of them waits or has ended."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._left: list[dict[str, Any]] = []
        self._ended: list[Walker] = []
        self._changed = False

    def take(self, people: Sequence[Walker]) -> None:
        contexts = {one.id: one.context for one in people}
        moving = self._unless_reached(people)
        for _ in range(HOPS):
            moving = self._hop(moving)
            if not moving:
                break
        save(self._batch.session, people, contexts)
        add(self._batch.session, EnrolmentStep, self._left, {})
        self._wake_callers()
        if self._ended:
            ids = [one.id for one in self._ended]
            client_id = self._batch.machine.client_id
            tell_endpoints(self._batch.session, self._batch.now, client_id, ids)

    def _hop(self, people: Sequence[Walker]) -> list[Walker]:
        """Take one step with everybody; return who goes on at once."""
        places: dict[str | None, list[Walker]] = defaultdict(list)
        for one in people:
            places[one.step].append(one)
        moving: list[Walker] = []
        for key, here in places.items():
            node = self._batch.machine.program.nodes.get(key or "")
            if node is None:
                self._lost(here)
                continue
            if isinstance(node.step, Send | Check) and self._changed:
                # Whatever earlier steps of this set changed may have reached the goal.
                here = self._unless_reached(here)
            take = partial(TAKES[type(node.step)], self._batch, node)
            outcomes = self._tried(take, here)
            self._changed = self._changed or isinstance(node.step, Send | Set | Tag | Webhook)
            moving += [
                one
                for one in here
                if one.id in outcomes and self._settle(one, node, outcomes[one.id])
            ]
        return moving

    def _lost(self, people: Sequence[Walker]) -> None:
        """Deal with those who stand at no step of this version; none at all is the end."""
        for one in people:
            if one.step is None:
                self._end(one, EnrolmentStatus.COMPLETED, None)
            else:
                self._fail(one, f"there is no step {one.step} in this version", TRIES)

    def _tried(
        self, work: Callable[[Sequence[Walker]], Mapping[int, T]], people: Sequence[Walker]
    ) -> Mapping[int, T]:
        """Do something with all, or one by one where that fails; who fails alone waits."""
        if not people:
            return {}
        found = self._attempt(work, people)
        if not isinstance(found, Exception):
            return found
        if len(people) == 1:
            self._fail(people[0], _told(found), people[0].tries + 1)
            return {}
        done: dict[int, T] = {}
        for one in people:
            done |= self._tried(work, [one])
        return done

    def _attempt(
        self, work: Callable[[Sequence[Walker]], Mapping[int, T]], people: Sequence[Walker]
    ) -> Mapping[int, T] | Exception:
        contexts = [one.context for one in people]
        try:
            with self._batch.session.begin_nested():
                return work(people)
        except DATABASE_AWAY:
            raise
        except Exception as error:
            for one, context in zip(people, contexts, strict=True):
                one.context = context
            bug = not isinstance(error, EngineError)
            log.warning(
                "step failed", journey_id=self._batch.machine.journey_id, step=people[0].step,
                people=len(people), error=type(error).__name__, exc_info=bug,
            )  # fmt: skip
            return error

    def _settle(self, one: Walker, node: Node[Any], outcome: Outcome) -> bool:
        """Write down what a step came to; say whether the next is to be taken at once."""
        match outcome:
            case Stay(held=held, due_at=due_at, until=until):
                one.held, one.due_at, one.until = held, due_at, until
                if held is not Held.WEBHOOK:  # whose tries are calls
                    one.tries, one.error = 0, None
                return False
            case End(status=status, reason=reason, way=way, why=why):
                self._leave(one, way, why, self._moment(one))
                self._end(one, status, reason)
                return False
            case Go(way=way, why=why, at=at, communication_id=communication_id):
                left = at or self._moment(one)
                self._leave(one, way, why, left, communication_id)
                one.step, one.since, one.due_at = node.ways.get(way), left, left
                one.until, one.held, one.tries, one.error = None, None, 0, None
                if one.step is None:
                    self._end(one, EnrolmentStatus.COMPLETED, None)
                return one.step is not None
        raise AssertionError(outcome)

    def _moment(self, one: Walker) -> datetime:
        """Return when somebody was due here, by the journey's time."""
        return self._batch.moment(max(one.since, one.due_at or one.since))

    def _leave(
        self,
        one: Walker,
        way: str,
        why: Mapping[str, Any],
        at: datetime,
        communication_id: int | None = None,
    ) -> None:
        self._left.append(
            {
                "client_id": one.client_id, "enrolment_id": one.id, "version_id": one.version_id,
                "step": one.step, "visit": one.visit, "way": way, "why": dict(why),
                "communication_id": communication_id, "came_at": one.since, "left_at": at,
            }
        )  # fmt: skip
        one.visit += 1

    def _end(self, one: Walker, status: EnrolmentStatus, reason: str | None) -> None:
        end(one, status, reason, self._batch.now)
        self._ended.append(one)

    def _unless_reached(self, people: Sequence[Walker]) -> list[Walker]:
        """End those who reached a goal or fulfil a global exit; return the others."""
        ends = self._tried(partial(reached, self._batch), people)
        for one in people:
            end = ends.get(one.id)
            if end is not None and one.step is not None:
                self._leave(one, end.way, end.why, self._batch.now)
                self._end(one, end.status, end.reason)
        return [one for one in people if one.id in ends and one.status is EnrolmentStatus.ACTIVE]

    def _fail(self, one: Walker, problem: str, tries: int) -> None:
        one.tries, one.error, one.held = tries, problem[:300], Held.RETRY
        one.due_at = self._batch.now + BACKOFF * 2 ** min(tries - 1, 10)
        if tries >= TRIES:
            one.status, one.due_at = EnrolmentStatus.STUCK, None
            log.warning("enrolment stuck", enrolment_id=one.id, step=one.step)

    def _wake_callers(self) -> None:
        """Let those go on who waited for an end that came."""
        callers = [one.caller_id for one in self._ended if one.caller_id is not None]
        if callers:
            wake_callers(self._batch.session, self._batch.now, callers)


def _told(error: Exception) -> str:
    """Return what a person reads of an error; what a bug says may hold anything."""
    return str(error) if isinstance(error, EngineError) else f"a bug: {type(error).__name__}"


def end(one: Walker, status: EnrolmentStatus, reason: str | None, at: datetime) -> None:
    """End an enrolment; it stands at no step any more."""
    one.status, one.end_reason, one.ended_at = status, reason, at
    one.step, one.due_at, one.until, one.held = None, None, None, None


def wake_callers(session: Session, now: datetime, ids: Sequence[int]) -> None:
    """Look at enrolments again whose called journey has ended."""
    session.execute(
        update(E)
        .where(E.id.in_(sorted(set(ids))), E.status == EnrolmentStatus.ACTIVE)
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )


__all__ = ["SET", "Machine", "advance", "due_journeys", "end", "wake_callers"]
