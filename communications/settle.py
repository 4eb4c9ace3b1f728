"""Settling: what the provider said about a batch of attempts, written in a few statements.

Every statement carries the attempt's token and `sending`, except acceptance: that a provider took a
message is true whichever attempt says so, and whatever we meant to do next.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Integer,
    Numeric,
    String,
    Update,
    bindparam,
    case,
    func,
    literal,
    or_,
    update,
)
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from channels.outcome import DEADLINE_PASSED, Accepted, Ambiguous, NotSent, Outcome, Rejected
from communications.attempt import Attempt, AttemptOutcome
from communications.claim import Claimed
from communications.communication import Communication, Reason
from communications.fold import TABLE
from communications.ledger import CANCELLED, closed
from communications.news import changed
from communications.status import STEPS, Rank, Step
from core.clock import Clock
from core.db import UtcDateTime
from core.rows import table
from core.sql import insert_into

C = Communication
MAX_TRIES = 12
FIRST_WAIT_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 1800.0

ID: BindParameter[int] = bindparam("b_id")
TOKEN: BindParameter[int] = bindparam("b_token")


@dataclass(frozen=True, slots=True)
class Settled:
    """One attempt and its outcome."""

    row: Claimed
    outcome: Outcome


def settle(session: Session, clock: Clock, *, account_id: int, results: Sequence[Settled]) -> None:
    """Write the outcomes of attempts. Order of `results` does not matter."""
    now = clock.now()
    # By id, so that two transactions that touch the same rows take their locks in one order.
    ordered = sorted(results, key=lambda result: result.row.id)
    _accepted(session, now, ordered)
    _rejected(session, now, ordered)
    _not_sent(session, now, ordered)
    _ambiguous(session, now, ordered)
    attempts = [_attempt(now, account_id, result) for result in ordered if _keeps_row(result)]
    if attempts:
        _write_attempts(session, attempts)
    changed(session, now, [(result.row.client_id, result.row.id) for result in ordered])


def _write_attempts(session: Session, attempts: Sequence[dict[str, Any]]) -> None:
    """Write attempts; one the reaper took for crashed meanwhile learns how it really ended."""
    told = insert_into(session, Attempt)
    columns = ("outcome", "code", "detail", "provider_id", "retry_after_seconds", "finished_at")
    statement = told.on_conflict_do_update(
        index_elements=["communication_id", "token"],
        set_={name: told.excluded[name] for name in columns},
    )
    session.execute(statement, list(attempts))


ACCEPTED: dict[str, TypeEngine[Any]] = {
    "id": BigInteger(),
    "provider_id": String(),
    "provider_status": String(),
    "segments": Integer(),
    "cost": Numeric(12, 6),
    "currency": String(),
}


def _accepted(session: Session, now: datetime, results: Sequence[Settled]) -> None:
    rows = [
        (row.id, o.provider_id, o.provider_status, o.segments, o.cost, o.currency)
        for row, o in ((result.row, result.outcome) for result in results)
        if isinstance(o, Accepted)
    ]
    if not rows:
        return
    _, target = STEPS[Step.ACCEPT]
    told = table(session, ACCEPTED, rows).c
    fresh = C.rank == Rank.OPEN  # a receipt that overtook this answer knows more already
    session.execute(
        update(C)
        .where(C.id == told.id)
        .values(
            status=case((fresh, target.value), else_=C.status),
            rank=case((fresh, int(Rank.SENT)), else_=C.rank),
            reason=case((fresh, None), else_=C.reason),
            sent_at=func.coalesce(C.sent_at, literal(now, UtcDateTime())),
            provider_id=told.provider_id,
            provider_status=func.coalesce(C.provider_status, told.provider_status),
            segments=told.segments,
            cost=told.cost,
            currency=told.currency,
            owner=None,
            lease_until=None,
            held=None,
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )


def _mine(step: Step) -> Update:
    allowed, _ = STEPS[step]
    c = TABLE.c
    # Not IN: its list is expanded per execution, which a set of parameters cannot have.
    legal = or_(*[c.status == status for status in sorted(allowed)])
    return update(TABLE).where(c.id == ID, c.token == TOKEN, legal)


def _rejected(session: Session, now: datetime, results: Sequence[Settled]) -> None:
    _refuse(
        session,
        now,
        [
            {
                "b_id": row.id,
                "b_token": row.token,
                "b_why": Reason.REJECTED.value,
                "b_code": outcome.code[:40],
                "b_detail": outcome.reason[:300],
            }
            for row, outcome in ((result.row, result.outcome) for result in results)
            if isinstance(outcome, Rejected) and not outcome.account_fault
        ],
    )


def _refuse(session: Session, now: datetime, values: Sequence[dict[str, Any]]) -> None:
    """Close messages as failed, unless an earlier attempt of one is still open."""
    if not values:
        return
    _, target = STEPS[Step.REFUSE]
    certain = C.open_attempts == 0
    session.connection().execute(
        _mine(Step.REFUSE).values(
            **closed(target, bindparam("b_why", type_=String())),
            error_code=bindparam("b_code"),
            error_message=bindparam("b_detail"),
            held=None,
            failed_at=case((certain, literal(now, UtcDateTime())), else_=None),
            owner=None,
            lease_until=None,
            updated_at=now,
        ),
        values,
    )


def _not_sent(session: Session, now: datetime, results: Sequence[Settled]) -> None:
    retries: list[dict[str, Any]] = []
    given_up: list[dict[str, Any]] = []
    for result in results:
        wait = _wait(result)
        if wait is None:
            continue
        value: dict[str, Any] = {"b_id": result.row.id, "b_token": result.row.token}
        if result.row.tries >= MAX_TRIES:
            why = {"b_why": Reason.TRIES_USED_UP.value, "b_code": None}
            given_up.append(value | why | {"b_detail": _detail(result.outcome)})
        else:
            due = now + timedelta(seconds=wait)
            value |= {"b_due": due, "b_tries": result.row.tries - (1 if wait == 0 else 0)}
            retries.append(value)
    if retries:
        _, target = STEPS[Step.RETRY]
        dropped = closed(STEPS[Step.SKIP][1], Reason.CANCELLED)
        cancelled = func.coalesce(C.held, "") == CANCELLED
        session.connection().execute(
            _mine(Step.RETRY).values(
                status=case((cancelled, dropped["status"]), else_=target.value),
                reason=case((cancelled, dropped["reason"]), else_=C.reason),
                held=case((cancelled, None), else_=C.held),
                not_before=bindparam("b_due"),
                tries=bindparam("b_tries"),
                owner=None,
                lease_until=None,
                updated_at=now,
            ),
            retries,
        )
    _refuse(session, now, given_up)


def _wait(result: Settled) -> float | None:
    """Return how long a row that was certainly not sent waits, in seconds; None for the others."""
    outcome = result.outcome
    if isinstance(outcome, Rejected):
        return 0.0 if outcome.account_fault else None
    if not isinstance(outcome, NotSent):
        return None
    if outcome == DEADLINE_PASSED:
        return 0.0
    return backoff(result.row.tries, outcome.retry_after)


def backoff(tries: int, retry_after: float | None) -> float:
    """Return the wait in seconds after the `tries`-th try (1, 2, …).

    30 s doubling up to 30 min, plus up to a fifth at random so that a crowd spreads out; never
    less than the provider asked for.
    """
    base: float = min(FIRST_WAIT_SECONDS * 2.0 ** (tries - 1), LONGEST_WAIT_SECONDS)
    wait = max(base, retry_after or 0.0)
    return wait * (1 + random.random() / 5)  # noqa: S311  (spreads load, keeps no secret)


def _ambiguous(session: Session, now: datetime, results: Sequence[Settled]) -> None:
    lost = [
        {"b_id": row.id, "b_token": row.token, "b_reason": outcome.reason[:300]}
        for row, outcome in ((result.row, result.outcome) for result in results)
        if isinstance(outcome, Ambiguous)
    ]
    if not lost:
        return
    _, target = STEPS[Step.LOSE]
    session.connection().execute(
        _mine(Step.LOSE).values(
            status=target,
            reason=Reason.NO_ANSWER,
            error_message=bindparam("b_reason"),
            open_attempts=C.open_attempts + 1,
            held=None,
            owner=None,
            lease_until=None,
            updated_at=now,
        ),
        lost,
    )


def _keeps_row(result: Settled) -> bool:
    """Say whether the attempt needs a row of its own: all but the happy first one do."""
    if result.outcome == DEADLINE_PASSED:
        return False
    return not isinstance(result.outcome, Accepted) or result.row.token > 1


def _attempt(now: datetime, account_id: int, result: Settled) -> dict[str, Any]:
    outcome, row = result.outcome, result.row
    values: dict[str, Any] = {
        "client_id": row.client_id,
        "communication_id": row.id,
        "token": row.token,
        "provider_account_id": account_id,
        "finished_at": now,
        "code": None,
        "detail": None,
        "provider_id": None,
        "retry_after_seconds": None,
    }
    match outcome:
        case Accepted(provider_id=provider_id):
            values |= {"outcome": AttemptOutcome.ACCEPTED, "provider_id": provider_id}
        case Rejected(code=code, reason=reason):
            values |= {
                "outcome": AttemptOutcome.REJECTED,
                "code": code[:40],
                "detail": reason[:300],
            }
        case NotSent(reason=reason, retry_after=seconds):
            values |= {
                "outcome": AttemptOutcome.NOT_SENT,
                "detail": reason[:300],
                "retry_after_seconds": seconds,
            }
        case Ambiguous(reason=reason):
            values |= {"outcome": AttemptOutcome.AMBIGUOUS, "detail": reason[:300]}
    return values


def _detail(outcome: Outcome) -> str:
    return "" if isinstance(outcome, Accepted) else outcome.reason[:300]
