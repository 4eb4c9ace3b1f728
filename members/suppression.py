"""Suppression: an address that must not be written to; it outlives the member."""

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Id


class Scope(enum.StrEnum):
    """How far a suppression reaches."""

    ALL = "all"  # nothing may be sent: hard bounce, STOP on sms, invalid number
    MARKETING = "marketing"  # transactional messages still may


class SuppressionReason(enum.StrEnum):
    """Why."""

    UNSUBSCRIBED = "unsubscribed"
    STOPPED = "stopped"  # a STOP word, or the provider's own opt-out list
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    INVALID = "invalid"
    MANUAL = "manual"


class Suppression(Base):
    """One address of one channel under one scope, kept as a keyed hash."""

    __tablename__ = "suppressions"
    __table_args__ = (UniqueConstraint("client_id", "channel", "address_hash", "scope"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    channel: Mapped[str] = mapped_column(String(16))
    address_hash: Mapped[str] = mapped_column(String(32))
    masked: Mapped[str] = mapped_column(String(64))
    """`a***@e***.com`: enough for a person to recognise, not enough to write to."""
    scope: Mapped[Scope]
    reason: Mapped[SuppressionReason]
    evidence: Mapped[str | None] = mapped_column(String(200))
    """What proves it: `communication:12`, `import:3`, `key:2`."""
    since: Mapped[datetime]
