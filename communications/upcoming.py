"""Upcoming: the messages of one member that wait to be sent."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from communications.communication import Communication
from communications.ledger import QUEUED

C = Communication


def upcoming(
    session: Session, client_id: int, member_id: int, *, limit: int = 10
) -> list[Communication]:
    """Return up to `limit` queued messages to a member, the next first; held ones among them."""
    query = (
        select(C)
        .where(C.client_id == client_id, C.member_id == member_id, QUEUED)
        .order_by(C.not_before, C.id)
        .limit(limit)
    )
    return list(session.scalars(query))
