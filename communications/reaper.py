"""The reaper: what happens to rows whose worker stopped.

Invariant: a `sending` row whose lease ran out becomes `unknown`, never `queued`. We cannot tell
whether it stopped before or after the first byte (docs/why/sending.md).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import case, or_, update
from sqlalchemy.orm import Session

from communications.attempt import Attempt, AttemptOutcome
from communications.claim import MAX_CRASHES, POISON
from communications.communication import Communication, Reason
from communications.ledger import QUEUED, SENDING
from communications.news import changed
from communications.status import STEPS, Step
from core.clock import Clock
from core.sql import insert_into

C = Communication


def reap(session: Session, clock: Clock, *, owners: Iterable[str] | None = None) -> int:
    """Turn `sending` rows whose lease ran out into `unknown`; return how many.

    With `owners` (prefixes of dead processes' claims) their rows are taken at once, and their
    claims are dropped: only for a process that is known to be dead.
    """
    now = clock.now()
    gone = C.lease_until < now
    if owners is not None:
        gone = or_(*[C.owner.startswith(owner, autoescape=True) for owner in owners])
        session.execute(
            update(C)
            .where(QUEUED, C.lease_until.is_not(None), gone)
            .values(
                crashes=C.crashes + 1,
                held=case((C.crashes + 1 >= MAX_CRASHES, POISON), else_=C.held),
                owner=None,
                lease_until=None,
            )
            .execution_options(synchronize_session=False)
        )
    _, target = STEPS[Step.LOSE]
    lost = session.execute(
        update(C)
        .where(SENDING, gone)
        .values(
            status=target,
            reason=Reason.WORKER_STOPPED,
            crashes=C.crashes + 1,
            open_attempts=C.open_attempts + 1,
            held=None,
            owner=None,
            lease_until=None,
            updated_at=now,
        )
        .returning(C.id, C.client_id, C.token, C.provider_account_id)
        .execution_options(synchronize_session=False)
    ).all()
    if lost:
        crashed = [_crashed(row, now) for row in lost]
        session.execute(insert_into(session, Attempt).on_conflict_do_nothing(), crashed)
        changed(session, now, [(row.client_id, row.id) for row in lost])
    return len(lost)


def _crashed(row: Any, now: datetime) -> dict[str, Any]:
    return {
        "client_id": row.client_id,
        "communication_id": row.id,
        "token": row.token,
        "provider_account_id": row.provider_account_id,
        "outcome": AttemptOutcome.CRASHED,
        "finished_at": now,
    }
