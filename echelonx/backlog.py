"""Backlog: what is due and nobody has taken yet, of accounts that are in use."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from communications.account import ProviderAccount, active_account_ids
from communications.claim import PRIORITIES, due_and_free
from communications.communication import Communication

C = Communication
MOST = 100_000
"""A backlog is counted up to that."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many messages wait for a worker, up to 100,000, and since when the first of them does."""

    count: int
    oldest: datetime | None


def backlog(session: Session, now: datetime) -> Backlog:
    """Read it from ix_communications_due: by account and priority, each lane's head on its own."""
    account_ids = active_account_ids(session)
    waiting = (C.priority.in_(PRIORITIES), *due_and_free(now))
    some = select(C.id).where(C.provider_account_id.in_(account_ids), *waiting).limit(MOST)
    count = session.scalar(select(func.count()).select_from(some.subquery())) or 0
    heads = [_head(priority, waiting) for priority in PRIORITIES]
    found = session.execute(select(*heads).where(ProviderAccount.id.in_(account_ids))).all()
    oldest = min((at for row in found for at in row if at is not None), default=None)
    return Backlog(count, oldest)


def _head(priority: int, waiting: Sequence[ColumnElement[bool]]) -> ColumnElement[datetime]:
    """Return the time of the first message that waits in an account's lane."""
    query = select(C.not_before).where(
        C.provider_account_id == ProviderAccount.id, C.priority == priority, *waiting
    )
    head = query.order_by(C.not_before, C.id).limit(1).correlate(ProviderAccount)
    return head.scalar_subquery()
