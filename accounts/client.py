"""Client: the tenant everything belongs to."""

import enum
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ForeignKey, Index, Numeric, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Id


class ClientStatus(enum.StrEnum):
    """Whether a client may use the engine."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    SUSPENDED = "suspended"
    TRIAL = "trial"


class SubscriptionTier(enum.StrEnum):
    """What a client pays for."""

    BASIC = "basic"
    PREMIUM = "premium"
    ENTERPRISE = "enterprise"
    CUSTOM = "custom"


class Client(Base):
    """A company, or a student's shop."""

    __tablename__ = "clients"
    __table_args__ = (
        Index(None, "status"),
        Index(None, "created_by"),
        Index(None, "subscription_tier"),
        Index(None, "name"),
        Index(None, "contract_end"),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(320))
    phone: Mapped[str | None] = mapped_column(String(32))
    address: Mapped[str | None] = mapped_column(Text)
    """The postal address that commercial mail must carry (CAN-SPAM)."""
    website: Mapped[str | None] = mapped_column(String(500))
    industry: Mapped[str | None] = mapped_column(String(100))
    company_size: Mapped[str | None] = mapped_column(String(8))
    status: Mapped[ClientStatus] = mapped_column(default=ClientStatus.ACTIVE)
    subscription_tier: Mapped[SubscriptionTier] = mapped_column(default=SubscriptionTier.BASIC)
    billing_address: Mapped[str | None] = mapped_column(Text)
    tax_id: Mapped[str | None] = mapped_column(String(64))
    contract_start: Mapped[datetime | None]
    contract_end: Mapped[datetime | None]
    monthly_spend_limit: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))
    total_revenue: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))
    logo_url: Mapped[str | None] = mapped_column(String(500))
    notes: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(default=list)
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")
    """IANA zone for local times when a member has none."""
    country: Mapped[str | None] = mapped_column(String(2))
    """ISO 3166 code: how phone numbers without a country code are read."""
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", use_alter=True))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
