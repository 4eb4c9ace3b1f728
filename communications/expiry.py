"""Expiry of messages that nobody looks at: of accounts out of use and of suspended clients.

A lane drops what has expired when it comes to it (ledger.intend). An account without a lane keeps
its messages queued, and its runs open, for as long as nobody resumes it.
"""

from collections.abc import Sequence

from sqlalchemy import and_, exists, not_, or_, select, update
from sqlalchemy.orm import Session

from communications.account import SENDS, ProviderAccount
from communications.communication import Communication, Reason
from communications.ledger import QUEUED, closed
from communications.news import changed
from communications.status import STEPS, Step
from core.clock import Clock
from core.rows import among

C = Communication
AT_ONCE = 10_000
WAITING = (QUEUED, C.held.is_(None))


def unused_expired(session: Session, clock: Clock, *, limit: int = AT_ONCE) -> list[int]:
    """Return up to `limit` ids of expired messages whose account sends nothing.

    Costs one look at the due index for each such account, and where something is queued for it, a
    read of all of that: no index knows when messages expire. Ask every few minutes, and not in a
    transaction that writes.
    """
    now = clock.now()
    unused = select(ProviderAccount.id).where(not_(and_(*SENDS)))
    waits = exists().where(C.provider_account_id == ProviderAccount.id, *WAITING)
    accounts = session.scalars(unused.where(waits)).all()
    if not accounts:
        return []
    free = or_(C.lease_until.is_(None), C.lease_until < now)
    query = select(C.id).where(
        C.provider_account_id.in_(accounts), *WAITING, C.expires_at <= now, free
    )
    return list(session.scalars(query.order_by(C.id).limit(limit)))


def expire(session: Session, clock: Clock, ids: Sequence[int]) -> int:
    """Skip those of the messages that are still queued, free and expired; return how many."""
    now = clock.now()
    free = or_(C.lease_until.is_(None), C.lease_until < now)
    _, target = STEPS[Step.SKIP]
    skipped = session.execute(
        update(C)
        .where(among(session, C.id, ids), *WAITING, C.expires_at <= now, free)
        .values(**closed(target, Reason.EXPIRED), owner=None, lease_until=None, updated_at=now)
        .returning(C.client_id, C.id)
        .execution_options(synchronize_session=False)
    ).all()
    changed(session, now, [(row.client_id, row.id) for row in skipped])
    return len(skipped)
