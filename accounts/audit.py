"""AuditEntry: what people and keys did, append-only."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.clock import Clock
from core.db import Base, Id


class AuditEntry(Base):
    """One action of one actor. Ids only: no address and no content is ever written here."""

    __tablename__ = "audit_log"
    __table_args__ = (Index(None, "client_id", "id"),)

    id: Mapped[Id]
    client_id: Mapped[int | None] = mapped_column(ForeignKey("clients.id"))
    actor: Mapped[str] = mapped_column(String(64))
    """`key:3`, `user:7` or `cli`."""
    action: Mapped[str] = mapped_column(String(64))
    """A dotted verb: `campaign.launch`."""
    target: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    at: Mapped[datetime]


def record(
    session: Session,
    clock: Clock,
    *,
    client_id: int | None,
    actor: str,
    action: str,
    target: str | None = None,
    **detail: Any,
) -> None:
    """Write down one action in the caller's transaction."""
    session.add(
        AuditEntry(
            client_id=client_id,
            actor=actor,
            action=action,
            target=target,
            detail=detail,
            at=clock.now(),
        )
    )
