"""InboxItem: a provider's request as it came, stored before it is acknowledged (law 5)."""

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Id


class InboxState(enum.StrEnum):
    """What became of a stored request."""

    NEW = "new"
    APPLIED = "applied"
    DEAD = "dead"  # could not be understood; kept for replay


class InboxItem(Base):
    """One verified request: raw bytes first, meaning later."""

    __tablename__ = "inbox"
    __table_args__ = (
        # The same bytes to the same account again are the same request.
        UniqueConstraint("provider_account_id", "digest"),
        Index(
            "ix_inbox_new",
            "id",
            sqlite_where=text("state = 'new'"),
            postgresql_where=text("state = 'new'"),
        ),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    provider_account_id: Mapped[int] = mapped_column(ForeignKey("providers.id"))
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of URL and body in hex."""
    request: Mapped[bytes] = mapped_column(LargeBinary)
    """URL, headers that matter and body, encrypted: it holds addresses and texts."""
    state: Mapped[InboxState] = mapped_column(default=InboxState.NEW)
    tries: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(String(300))
    repeats: Mapped[int] = mapped_column(default=0)
    """How often the very same request came again."""
    events: Mapped[int] = mapped_column(default=0)
    """Events it held."""
    duplicates: Mapped[int] = mapped_column(default=0)
    """Of these, how many were known already."""
    received_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
