"""CommunicationEvent: one fact somebody told us about a communication; append-only.

Facts come from providers' receipts, from our own tracking links and from operators. A row whose
communication is not known yet is *parked*: a receipt may overtake our own commit.
"""

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigId, Id


class EventState(enum.StrEnum):
    """What became of the fact."""

    APPLIED = "applied"
    PARKED = "parked"  # its communication is not known yet
    UNMATCHED = "unmatched"  # 24 h later it still is not


class CommunicationEvent(Base):
    """One fact. `dedup_key` makes a repeat a no-op (law 5)."""

    __tablename__ = "communication_events"
    __table_args__ = (
        UniqueConstraint("client_id", "dedup_key"),
        Index(None, "communication_id", "id"),
        Index(
            "ix_communication_events_parked",
            "received_at",
            sqlite_where=text("state = 'parked'"),
            postgresql_where=text("state = 'parked'"),
        ),
        # Complaints: few of many, listed, and counted beside what was delivered.
        Index(
            "ix_communication_events_complained",
            "client_id",
            "id",
            sqlite_where=text("type = 'complained'"),
            postgresql_where=text("type = 'complained'"),
        ),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    communication_id: Mapped[int | None] = mapped_column(BigId)
    provider_account_id: Mapped[int | None] = mapped_column(BigId)
    inbox_id: Mapped[int | None] = mapped_column(BigId)
    source: Mapped[str] = mapped_column(String(24))
    """`sendgrid`, `twilio`, `tracking`, `operator`, …"""
    dedup_key: Mapped[str] = mapped_column(String(200))
    """`{account id}:{provider's key}`, or a key of our own for tracking."""
    type: Mapped[str] = mapped_column(String(24))
    """A channels.adapter.EventType."""
    machine: Mapped[bool] = mapped_column(default=False)
    state: Mapped[EventState] = mapped_column(default=EventState.APPLIED)
    reference: Mapped[str | None] = mapped_column(String(80))
    provider_id: Mapped[str | None] = mapped_column(String(128))
    provider_status: Mapped[str | None] = mapped_column(String(40))
    code: Mapped[str | None] = mapped_column(String(40))
    detail: Mapped[str | None] = mapped_column(String(500))
    """Reason of a failure or URL of a click. The provider's own bytes stay in the inbox."""
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime]
