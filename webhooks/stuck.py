"""Stuck: requests of programs whose events could not be applied, looked at and applied again.

A program tells once and has its answer; what our own fault kept from its member is applied after
the fix, from what was stored. What was applied before knows its message ids: nothing counts twice.
"""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.clock import Clock
from core.errors import NotFoundError
from core.rows import among
from webhooks.collected import Collected
from webhooks.inbox import InboxState

REPLAYED_AT_ONCE = 1_000


class StuckNotFoundError(NotFoundError):
    """The client has no stuck request with this id."""

    code = "stuck_not_found"
    usual = "list the stuck events anew: it may be applied or dropped by now"


def stuck_page(
    session: Session, client_id: int, *, before: int | None = None, limit: int = 50
) -> Sequence[Collected]:
    """Return up to `limit` requests that are given up, newest first, older than id `before`."""
    query = select(Collected).where(
        Collected.client_id == client_id, Collected.state == InboxState.DEAD
    )
    if before is not None:
        query = query.where(Collected.id < before)
    return session.scalars(query.order_by(Collected.id.desc()).limit(limit)).all()


def stuck(session: Session, client_id: int, stuck_id: int) -> Collected:
    """Return one of them. Raises StuckNotFoundError."""
    found = session.get(Collected, stuck_id)
    if found is None or found.client_id != client_id or found.state is not InboxState.DEAD:
        raise StuckNotFoundError(f"there is no stuck request {stuck_id}", field="id")
    return found


def replay_stuck(
    session: Session, clock: Clock, client_id: int, ids: Sequence[int] | None = None
) -> int:
    """Have these, or the oldest REPLAYED_AT_ONCE, applied again; return how many.

    Raises StuckNotFoundError for an id of another client or of what is not stuck.
    """
    mine = (Collected.client_id == client_id, Collected.state == InboxState.DEAD)
    oldest = select(Collected.id).where(*mine).order_by(Collected.id).limit(REPLAYED_AT_ONCE)
    wanted = sorted(set(session.scalars(oldest) if ids is None else ids))
    again = (
        update(Collected)
        .where(among(session, Collected.id, wanted), *mine)
        .values(state=InboxState.NEW, tries=0, not_before=clock.now())
        .returning(Collected.id)
        .execution_options(synchronize_session=False)
    )
    found = set(session.scalars(again))
    missing = [one for one in wanted if one not in found]
    if ids is not None and missing:
        raise StuckNotFoundError(f"there is no stuck request {missing[0]}", field="ids")
    return len(found)
