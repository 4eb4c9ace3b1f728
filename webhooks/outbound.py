"""Outbound: whose turn it is to be told what, and what became of it.

A worker leases an endpoint (`claim`), posts what it was given outside of any transaction
(echelonx/outbound.py), and writes down what came of it (`note`). A worker that dies in between has
told or has not: after the lease it is told again, under the same `webhook-id`.

Invariants
    1. One worker at a time posts to an endpoint, so a slow one holds up nobody else.
    2. Facts of one object are told in their order: a later one waits until the one before it was
       taken or given up. Facts of different objects may overtake each other.
    3. What is told is told until it was taken, the plan is used up, or the endpoint is disabled.
"""

import json
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, literal_column, or_, select, update
from sqlalchemy.orm import Session, aliased

from accounts.audit import record
from accounts.client import USABLE, Client
from accounts.endpoint import Endpoint, secrets_of
from accounts.news import News
from accounts.outbox import DeliveryState, EndpointDelivery, Fact, publish
from core.clock import Clock
from core.rows import among
from core.secret import SealedError, Vault
from core.signature import signed

E, D = Endpoint, EndpointDelivery
EARLIER = aliased(D)
ENGINE = "engine"
WAITS: ColumnElement[str] = literal_column("'waiting'")
"""Not bound: only then do both databases use the partial indexes."""
PLAN = tuple(
    timedelta(seconds=wait)
    for wait in (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""Waits before each try, of PROVIDERS' example plan: three days and a quarter in all."""
JITTER = 0.1
"""Of a wait, at random on top: what failed together does not come back together."""
SET = 32
"""Facts a lease."""
SLICE = 1_000
"""Facts given up in one transaction."""
LEASE = timedelta(minutes=3)
"""Longer than SET posts take, of which several are on their way at a time."""
TIRED = 3
"""Failures in a row after which an endpoint rests between tries of one fact at a time."""
REST, LONGEST_REST = timedelta(seconds=5), timedelta(minutes=5)
LONGEST_WISH = timedelta(hours=1)
"""The longest Retry-After that is kept."""
SLOW_MS = 2_000
PATIENCE = timedelta(days=5)
"""So long an endpoint may fail without one success; then it is disabled."""
BY_HAND = "disabled by hand"
"""Why one is told nothing when somebody wished it so."""
THROTTLING = frozenset({429, 502, 503, 504})
GONE = 410
KEPT_ATTEMPTS = 20
KEPT_ANSWER = 500
"""Characters."""


@dataclass(frozen=True, slots=True)
class Post:
    """One request to make."""

    delivery_id: int
    url: str
    message_id: str
    body: bytes
    secrets: tuple[str, ...]

    def headers(self, now: datetime) -> dict[str, str]:
        """Return the headers of an attempt: its own time is what is signed."""
        return {
            "Content-Type": "application/json",
            "User-Agent": "EchelonX",
            **signed(self.secrets, message_id=self.message_id, at=now, body=self.body),
        }


@dataclass(frozen=True, slots=True)
class Turn:
    """One endpoint's turn: what it is told in this lease; nothing where all waits for another."""

    endpoint_id: int
    owner: str
    posts: tuple[Post, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request; `status` is None where no answer came."""

    at: datetime
    status: int | None
    ms: int
    problem: str | None = None
    text: str = ""
    retry_after: timedelta | None = None

    @property
    def taken(self) -> bool:
        """Whether the receiver has it: any 2xx. A redirect is a failure."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def why(self) -> str:
        """Say in a few words why it was not taken."""
        return self.problem or f"answered with {self.status}"


def is_due(session: Session, clock: Clock, *, slow: bool) -> bool:
    """Say whether an endpoint waits for its turn; `slow` ones too, if they are meant."""
    return session.scalar(_due(clock.now(), slow=slow).with_only_columns(E.id)) is not None


def claim(session: Session, clock: Clock, vault: Vault, *, slow: bool) -> Turn | None:
    """Lease an endpoint, chosen by lot among those that are due; None when there is none."""
    now = clock.now()
    query = _due(now, slow=slow).order_by(func.random())
    # Not the key: news of it may be written meanwhile, and does not keep it from its turn.
    query = query.with_for_update(key_share=True, skip_locked=True, of=E)
    found = session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        return None
    found.owner, found.lease_until = secrets.token_hex(8), now + LEASE
    limit = 1 if found.failures >= TIRED else SET
    first = session.scalars(
        select(D)
        .where(D.endpoint_id == found.id, *_is_due(now), ~_behind(D))
        .order_by(D.due_at, D.id)
        .limit(limit)
    ).all()
    if not first:
        _put_behind(session, found.id, now)
        found.owner, found.lease_until = None, None
    session.flush()
    try:
        keys = tuple(secrets_of(clock, vault, found))
    except SealedError as error:
        disable(session, clock, found, reason=str(error), actor=ENGINE)
        return None
    posts = [Post(one.id, found.url, one.message_id, body(one), keys) for one in first]
    return Turn(found.id, found.owner or "", tuple(posts))


def note(session: Session, clock: Clock, turn: Turn, answers: Mapping[int, Answer]) -> None:
    """Write down what came of a turn, by delivery id; what was not tried stays as it was."""
    found = session.get_one(
        E, turn.endpoint_id, with_for_update={"key_share": True}, populate_existing=True
    )
    rows = session.scalars(
        select(D)
        .where(among(session, D.id, sorted(answers)), D.state == DeliveryState.WAITING)
        .order_by(D.id)
        .with_for_update()
    )
    for row in rows:
        _noted(clock.now(), row, answers[row.id])
    if found.owner == turn.owner:
        found.owner, found.lease_until = None, None
    session.flush()
    if answers and found.enabled:
        _fares(session, clock, found, sorted(answers.values(), key=lambda one: one.at))
    session.flush()


def body(row: EndpointDelivery) -> bytes:
    """Return what is posted, the same at every try."""
    told = {
        "type": row.type.value,
        "timestamp": row.at.isoformat().replace("+00:00", "Z"),
        "data": row.data,
    }
    return json.dumps(told, separators=(",", ":"), sort_keys=True).encode()


def disable(session: Session, clock: Clock, found: Endpoint, *, reason: str, actor: str) -> None:
    """Tell an endpoint nothing more; what waits for it fails soon (`give_up`), and may be replayed.

    However much waits, this is a change of one row.
    """
    if not found.enabled:
        return
    now = clock.now()
    found.enabled, found.disabled_reason, found.updated_at = False, reason[:200], now
    session.flush()
    record(
        session,
        clock,
        client_id=found.client_id,
        actor=actor,
        action="endpoint.disable",
        target=f"endpoint:{found.id}",
        reason=found.disabled_reason,
    )
    data = {"id": found.id, "reason": found.disabled_reason}
    told = Fact(News.DISABLED, f"endpoint:{found.id}", now, data)
    publish(session, clock.now(), client_id=found.client_id, facts=[told])


def is_forsaken(session: Session, clock: Clock) -> bool:
    """Say whether something waits for an endpoint that is disabled and in nobody's hands."""
    return session.scalar(_forsaken(clock.now()).limit(1)) is not None


def give_up(session: Session, clock: Clock) -> None:
    """Let a slice of what waits for a disabled endpoint fail."""
    now = clock.now()
    some = select(D.id).where(D.endpoint_id.in_(_forsaken(now)), D.state == WAITS)
    some = some.order_by(D.id).limit(SLICE).with_for_update(skip_locked=True)
    session.execute(
        update(D)
        .where(among(session, D.id, session.scalars(some).all()))
        .values(state=DeliveryState.FAILED, ended_at=now)
        .execution_options(synchronize_session=False)
    )


def _forsaken(now: datetime) -> Select[int]:
    free = or_(E.lease_until.is_(None), E.lease_until < now)
    waits = exists().where(D.endpoint_id == E.id, D.state == WAITS)
    return select(E.id).where(~E.enabled, free, waits)


def _due(now: datetime, *, slow: bool) -> Select[Endpoint]:
    query = select(E).where(
        E.enabled,
        or_(E.lease_until.is_(None), E.lease_until < now),
        or_(E.rest_until.is_(None), E.rest_until <= now),
        exists().where(D.endpoint_id == E.id, *_is_due(now)),
        exists().where(
            Client.id == E.client_id, Client.deleted_at.is_(None), Client.status.in_(USABLE)
        ),
    )
    return (query if slow else query.where(~E.slow)).limit(1)


def _is_due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return D.state == WAITS, D.due_at <= now


def _behind(row: Any) -> ColumnElement[bool]:
    """Return whether an earlier fact of the same object still waits."""
    return exists().where(*_before(row))


def _before(row: Any) -> tuple[ColumnElement[bool], ...]:
    return (
        EARLIER.endpoint_id == row.endpoint_id,
        EARLIER.object == row.object,
        EARLIER.id < row.id,
        EARLIER.state == WAITS,
    )


def _put_behind(session: Session, endpoint_id: int, now: datetime) -> None:
    """Look at facts that wait for one before them when that is due, and not until then."""
    last = select(func.max(EARLIER.due_at)).where(*_before(D)).scalar_subquery()
    session.execute(
        update(D)
        .where(D.endpoint_id == endpoint_id, *_is_due(now), _behind(D))
        .values(due_at=last)
        .execution_options(synchronize_session=False)
    )


def _noted(now: datetime, row: EndpointDelivery, answer: Answer) -> None:
    attempt = {
        "at": answer.at.isoformat(), "status": answer.status, "ms": answer.ms,
        "problem": None if answer.taken else answer.why, "answer": answer.text[:KEPT_ANSWER],
    }  # fmt: skip
    row.attempts = [*row.attempts, attempt][-KEPT_ATTEMPTS:]
    row.tries += 1
    if answer.taken:
        row.state, row.ended_at = DeliveryState.DELIVERED, now
    elif row.tries >= len(PLAN) or answer.status == GONE:
        row.state, row.ended_at = DeliveryState.FAILED, now
    else:
        wait = PLAN[row.tries] * (1 + JITTER * random.random())  # noqa: S311  (spreads load)
        row.due_at = now + max(wait, answer.retry_after or wait)


def _fares(session: Session, clock: Clock, found: Endpoint, answers: Sequence[Answer]) -> None:
    """Write down how an endpoint fares: whether it rests, is slow, or is to be disabled."""
    now = clock.now()
    found.slow = max(answer.ms for answer in answers) > SLOW_MS
    wishes = [answer.retry_after for answer in answers if answer.retry_after is not None]
    found.rest_until = now + min(max(wishes), LONGEST_WISH) if wishes else None
    if any(answer.taken for answer in answers):
        found.failures, found.failing_since, found.last_success_at = 0, None, now
    else:
        found.failures += len(answers)
        found.failing_since = found.failing_since or answers[0].at
        if found.failures >= TIRED:
            wait = min(REST * 2 ** min(found.failures - TIRED, 10), LONGEST_REST)
            found.rest_until = max(now + wait, found.rest_until or now)
    since = found.failing_since
    if any(answer.status == GONE for answer in answers):
        disable(session, clock, found, reason="it answered 410 Gone", actor=ENGINE)
    elif since is not None and since <= now - PATIENCE:
        reason = f"it has failed for five days: {answers[-1].why}"
        disable(session, clock, found, reason=reason, actor=ENGINE)
