"""ProviderAccount: a client's credentials at a company that carries messages."""

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from channels.channel import Channel
from core.db import Base, Id


class AccountStatus(enum.StrEnum):
    """Whether the account is used."""

    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


class ProviderAccount(Base):
    """One configured account; its settings and secrets are encrypted as one document."""

    __tablename__ = "providers"
    __table_args__ = (
        UniqueConstraint("client_id", "name"),
        UniqueConstraint("token"),
        Index(None, "client_id", "channel", "status"),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    name: Mapped[str] = mapped_column(String(100))
    adapter: Mapped[str] = mapped_column(String(24))
    """A name in channels.registry: `sendgrid`, `smtp`, `twilio`, `fcm`."""
    channel: Mapped[Channel]
    config: Mapped[bytes] = mapped_column(LargeBinary)
    """The adapter's Config as JSON under AES-GCM (core.secret), bound to `provider:{token}`."""
    token: Mapped[str] = mapped_column(String(43))
    """Names the account in webhook URLs; random, 256 bits."""
    status: Mapped[AccountStatus] = mapped_column(default=AccountStatus.ACTIVE)
    status_reason: Mapped[str | None] = mapped_column(String(200))
    window: Mapped[int | None]
    """Messages in flight; None takes the adapter's default."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
