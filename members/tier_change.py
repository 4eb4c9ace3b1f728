"""TierChange: when a member's tier changed, from what to what, and why; append-only."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.db import Base, BigId, Id
from members.member import Tier


class TierChange(Base):
    """One change of one member's tier."""

    __tablename__ = "tier_changes"
    __table_args__ = (Index(None, "client_id", "member_id", "id"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    from_tier: Mapped[Tier]
    to_tier: Mapped[Tier]
    reason: Mapped[str] = mapped_column(String(40))
    """`rule`, `grace_over`, `manual`, or the source of the edit: `api`, `import:12`, `bulk:3`."""
    rule: Mapped[str | None] = mapped_column(Text)
    """The rule as it was, in words of the condition language."""
    note: Mapped[str | None] = mapped_column(String(500))
    actor: Mapped[str | None] = mapped_column(String(100))
    changed_at: Mapped[datetime]


def tier_changes_page(
    session: Session,
    client_id: int,
    member_id: int,
    *,
    before: int | None = None,
    limit: int = 50,
) -> list[TierChange]:
    """Return up to `limit` changes of a member's tier, newest first, older than id `before`."""
    query = select(TierChange).where(
        TierChange.client_id == client_id, TierChange.member_id == member_id
    )
    if before is not None:
        query = query.where(TierChange.id < before)
    return list(session.scalars(query.order_by(TierChange.id.desc()).limit(limit)))
