"""Campaign: what to say, to whom, when."""

import enum
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ForeignKey, Index, Numeric, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from channels.channel import Channel
from core.db import Base, Id


class CampaignType(enum.StrEnum):
    """Which channels it uses; `mixed` uses every channel it has a variant for."""

    SMS = "sms"
    EMAIL = "email"
    MIXED = "mixed"
    VOICE = "voice"
    PUSH = "push"


class CampaignCategory(enum.StrEnum):
    """What it is for. Only `transactional` and `notification` may do without consent."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"
    NOTIFICATION = "notification"
    RETENTION = "retention"


class CampaignStatus(enum.StrEnum):
    """Where it stands."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    ARCHIVED = "archived"


class Priority(enum.StrEnum):
    """What goes first when lanes are full."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


PRIORITY_NUMBER = {Priority.URGENT: 0, Priority.HIGH: 1, Priority.MEDIUM: 2, Priority.LOW: 3}


class ScheduleType(enum.StrEnum):
    """What starts a run."""

    IMMEDIATE = "immediate"
    SCHEDULED = "scheduled"
    RECURRING = "recurring"
    TRIGGERED = "triggered"


class Campaign(Base):
    """One campaign of one client."""

    __tablename__ = "campaigns"
    __table_args__ = (
        UniqueConstraint("client_id", "name"),
        Index(None, "client_id", "status"),
        Index(None, "created_by"),
        Index(None, "client_id", "type"),
        Index(None, "scheduled_at"),
        Index(None, "client_id", "priority"),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    type: Mapped[CampaignType]
    category: Mapped[CampaignCategory] = mapped_column(default=CampaignCategory.MARKETING)
    status: Mapped[CampaignStatus] = mapped_column(default=CampaignStatus.DRAFT)
    priority: Mapped[Priority] = mapped_column(default=Priority.MEDIUM)
    target_audience: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """`{"segment_id": 7}` or `{"rule": <condition JSON>}`."""
    audience_size: Mapped[int | None]
    message_template: Mapped[str | None] = mapped_column(Text)
    subject_template: Mapped[str | None] = mapped_column(Text)
    personalization_fields: Mapped[list[str] | None]
    schedule_type: Mapped[ScheduleType] = mapped_column(default=ScheduleType.IMMEDIATE)
    scheduled_at: Mapped[datetime | None]
    recurring_pattern: Mapped[str | None] = mapped_column(String(200))
    trigger_conditions: Mapped[dict[str, Any] | None]
    budget: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))
    cost_per_message: Mapped[Decimal | None] = mapped_column(Numeric(14, 6))
    expected_revenue: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))
    conversion_goal: Mapped[str | None] = mapped_column(String(100))
    a_b_test_config: Mapped[dict[str, Any] | None]
    tags: Mapped[list[str]] = mapped_column(default=list)
    version: Mapped[int] = mapped_column(default=1)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    launched_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class Variant(Base):
    """What one campaign says on one channel, and through which provider account."""

    __tablename__ = "variants"
    __table_args__ = (UniqueConstraint("campaign_id", "channel", "name"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"))
    channel: Mapped[Channel]
    name: Mapped[str] = mapped_column(String(16), default="A")
    weight: Mapped[int] = mapped_column(default=100)
    template_id: Mapped[int] = mapped_column(ForeignKey("templates.id"))
    provider_account_id: Mapped[int | None]
    """None takes the client's active account for the channel."""
