"""MemberAddress: where a member can be reached on a channel, in normal form."""

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigId, Id
from core.doubt import Doubt, doubt_of


class AddressState(enum.StrEnum):
    """Whether an address can be written to at all."""

    ACTIVE = "active"
    INVALID = "invalid"  # a provider said for good that it does not exist


class MemberAddress(Base):
    """One email address, phone number or push token of one member."""

    __tablename__ = "addresses"
    __table_args__ = (
        UniqueConstraint("member_id", "channel", "value"),
        Index(None, "client_id", "channel", "value"),
        Index(None, "client_id", "channel", "hash"),
        # At most one primary per channel: fan-out joins on it and must find one row or none.
        Index(
            "uq_addresses_primary",
            "member_id",
            "channel",
            unique=True,
            sqlite_where=text("is_primary = 1"),
            postgresql_where=text("is_primary"),
        ),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(BigId)
    """The member's; a foreign key beside that of the member would cost as much as the row."""
    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    channel: Mapped[str] = mapped_column(String(16))
    """`email`, `sms` or `push`: the kind of address (mms, voice and chat use `sms`)."""
    value: Mapped[str] = mapped_column(String(512))
    hash: Mapped[str] = mapped_column(String(32))
    """Keyed hash of client, channel and value (core.address); what suppressions are kept under."""
    state: Mapped[AddressState] = mapped_column(default=AddressState.ACTIVE)
    is_primary: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @property
    def doubt(self) -> Doubt | None:
        """Why an email address may not be a person's."""
        return doubt_of(self.value) if self.channel == "email" else None
