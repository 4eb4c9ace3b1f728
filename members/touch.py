"""Touch: a note that something a condition can ask about has changed for a member.

Whoever keeps track of who belongs to a segment reads the notes, decides for these members alone,
and deletes what it has read. Clients without such a segment pay nothing: no note is written.
"""

from collections.abc import Iterable

from sqlalchemy import ForeignKey, Index, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.db import Base, BigId, Id
from members.segment import Segment
from members.signal import MEMBER, NO_TIME, Heard, signal


class Touch(Base):
    """One member whose facts have changed; a member may be noted several times."""

    __tablename__ = "touches"
    __table_args__ = (Index(None, "client_id", "id"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    member_id: Mapped[int] = mapped_column(BigId)


def is_tracked(session: Session, client_id: int) -> bool:
    """Say whether anybody reads this client's notes: whether one of its segments is tracked."""
    query = select(Segment.id).where(Segment.client_id == client_id, Segment.tracked).limit(1)
    return session.scalar(query) is not None


def touch(session: Session, *, client_id: int, member_ids: Iterable[int]) -> None:
    """Note that these members' facts have changed, in the transaction that changed them."""
    member_ids = sorted(set(member_ids))
    heard = [Heard(MEMBER, one, NO_TIME) for one in member_ids]
    signal(session, client_id=client_id, heard=heard)
    if not is_tracked(session, client_id):
        return
    rows = [{"client_id": client_id, "member_id": one} for one in member_ids]
    if rows:
        session.execute(insert(Touch), rows)
