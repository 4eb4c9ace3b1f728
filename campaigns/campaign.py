"""Campaign: what to say, to whom, when.

A draft may be incomplete, and everything in it may change. Once launched, only what nobody has been
promised may: name, description, tags, expectations.
"""

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypedDict, Unpack

from sqlalchemy import (
    ForeignKey,
    Index,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    select,
    true,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.client import hold
from accounts.news import News
from accounts.outbox import Fact, publish
from campaigns.audience import audience_of
from campaigns.errors import (
    CampaignChangedError,
    CampaignInvalidError,
    CampaignNotFoundError,
    CampaignStateError,
    NameTakenError,
)
from campaigns.field import instant_of, name_of, one_of
from campaigns.run import untrack
from campaigns.variant import VariantValues, replace_variants, variants_of
from channels.channel import Channel
from core.clock import Clock
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
        # In the order of lists, and what is new of them.
        Index(None, "client_id", "created_at"),
        Index(None, "client_id", "updated_at"),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    type: Mapped[CampaignType]
    category: Mapped[CampaignCategory] = mapped_column(default=CampaignCategory.MARKETING)
    status: Mapped[CampaignStatus] = mapped_column(default=CampaignStatus.DRAFT)
    status_reason: Mapped[str | None] = mapped_column(String(300))
    """Why it was paused, where it was not a person who did it."""
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
    tracking: Mapped[bool] = mapped_column(default=True, server_default=true())
    """Whether its messages tell of opens and clicks, where the client allows it."""
    a_b_test_config: Mapped[dict[str, Any] | None]
    tags: Mapped[list[str]] = mapped_column(default=list)
    version: Mapped[int] = mapped_column(default=1)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    launched_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


CHANNELS: dict[CampaignType, frozenset[Channel]] = {
    CampaignType.SMS: frozenset({Channel.SMS}),
    CampaignType.EMAIL: frozenset({Channel.EMAIL}),
    CampaignType.VOICE: frozenset({Channel.VOICE}),
    CampaignType.PUSH: frozenset({Channel.PUSH}),
    CampaignType.MIXED: frozenset(Channel),
}
"""The channels a campaign of a type may use."""

LIVE_FIELDS = frozenset(
    {"name", "description", "tags", "budget", "cost_per_message", "expected_revenue",
     "conversion_goal", "tracking"}
)  # fmt: skip
"""What may still change after the launch."""


class Details(TypedDict, total=False):
    """What a campaign may have besides."""

    description: str | None
    tags: list[str]
    budget: Decimal | None
    cost_per_message: Decimal | None
    expected_revenue: Decimal | None
    conversion_goal: str | None
    tracking: bool


class Changes(Details, total=False):
    """What can be changed."""

    name: str
    type: CampaignType | str
    target_audience: Mapping[str, Any]
    variants: Sequence[VariantValues]
    schedule_type: ScheduleType | str
    scheduled_at: datetime | None
    category: CampaignCategory | str
    priority: Priority | str


def create_campaign(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    name: str,
    type: CampaignType | str,
    target_audience: Mapping[str, Any],
    variants: Sequence[VariantValues] = (),
    schedule_type: ScheduleType | str = ScheduleType.IMMEDIATE,
    scheduled_at: datetime | None = None,
    category: CampaignCategory | str = CampaignCategory.MARKETING,
    priority: Priority | str = Priority.MEDIUM,
    created_by: int | None = None,
    **details: Unpack[Details],
) -> Campaign:
    """Create a draft.

    `target_audience` is `{"segment_id": 7}` or `{"rule": condition}`, the condition as JSON or as
    text; `variants` say what is said on which channel, one per channel. Raises InvalidError with
    the field, NameTakenError, or a NotFoundError for a template, segment or provider account.
    """
    now = clock.now()
    hold(session, client_id)  # segments keep the names its audience says (usage.py)
    campaign = Campaign(
        client_id=client_id, created_by=created_by, created_at=now, updated_at=now, version=1
    )
    changes: Changes = {
        "name": name,
        "type": type,
        "target_audience": target_audience,
        "variants": variants,
        "schedule_type": schedule_type,
        "scheduled_at": scheduled_at,
        "category": category,
        "priority": priority,
        **details,
    }
    _apply(session, clock, campaign, changes)
    return campaign


def update_campaign(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    campaign_id: int,
    version: int | None = None,
    **changes: Unpack[Changes],
) -> Campaign:
    """Change a campaign; `variants` replaces them all.

    With `version`, raises CampaignChangedError when somebody else changed it since; raises
    CampaignStateError for a field that is fixed once launched, else as create_campaign.
    """
    if "target_audience" in changes:
        hold(session, client_id)  # segments keep the names it says (usage.py)
    campaign = in_hand(session, client_id, campaign_id)
    if version is not None and version != campaign.version:
        raise CampaignChangedError(
            f"the campaign is at version {campaign.version}, not {version}",
            remedy="read it again and repeat the change",
        )
    fixed = sorted(changes.keys() - LIVE_FIELDS)
    if fixed and campaign.status is not CampaignStatus.DRAFT:
        raise CampaignStateError(
            f"{fixed[0]} cannot change: the campaign is {campaign.status}",
            field=fixed[0],
            remedy="make a new campaign; what was launched stays as it was launched",
        )
    _apply(session, clock, campaign, changes)
    if changes.get("tracking") is False:
        untrack(session, campaign.id)
    campaign.version += 1
    campaign.updated_at = clock.now()
    session.flush()
    return campaign


def tell(session: Session, clock: Clock, campaign: Campaign, news: News) -> None:
    """Tell endpoints of a campaign that was launched, paused, resumed or finished."""
    data = {"id": campaign.id, "status": campaign.status.value, "type": campaign.type}
    told = Fact(news, f"campaign:{campaign.id}", clock.now(), data)
    publish(session, clock.now(), client_id=campaign.client_id, facts=[told])


def in_hand(session: Session, client_id: int, campaign_id: int) -> Campaign:
    """Return a campaign that somebody wants to change or launch, locked.

    Raises CampaignNotFoundError, and CampaignStateError for the messages of a journey.
    """
    campaign = locked(session, client_id, campaign_id)
    refuse_journeys(campaign)
    return campaign


def refuse_journeys(campaign: Campaign) -> None:
    """Raise CampaignStateError for a campaign that only holds the messages of a journey."""
    if campaign.schedule_type is ScheduleType.TRIGGERED:
        raise CampaignStateError(
            "it belongs to a journey, and nothing is done to it alone",
            remedy="do it to the journey",
        )


def locked(session: Session, client_id: int, campaign_id: int) -> Campaign:
    """Return the client's campaign as it is now, locked until the end of the transaction.

    Launch, edit and every change of state start here, so they happen one after the other. Raises
    CampaignNotFoundError.
    """
    query = (
        select(Campaign)
        .where(
            Campaign.client_id == client_id,
            Campaign.id == campaign_id,
            Campaign.deleted_at.is_(None),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = session.scalar(query)
    if found is None:
        raise CampaignNotFoundError(f"no campaign {campaign_id}")
    return found


def _apply(session: Session, clock: Clock, campaign: Campaign, changes: Changes) -> None:
    """Check and set the fields given, then store them, variants last."""
    checked = {
        field: _checked(session, clock, campaign.client_id, field, value)
        for field, value in changes.items()
        if field != "variants"
    }
    if "name" in checked:
        _check_name(session, campaign, checked["name"])
    for field, value in checked.items():
        setattr(campaign, field, value)
    _check_schedule(campaign.schedule_type, campaign.scheduled_at)
    session.add(campaign)
    session.flush()
    if "variants" in changes:
        replace_variants(session, campaign.client_id, campaign.id, changes["variants"])
    _check_channels(session, campaign)


def _checked(session: Session, clock: Clock, client_id: int, field: str, value: Any) -> Any:
    match field:
        case "name":
            return name_of(value)
        case "type" | "schedule_type" | "category" | "priority":
            return one_of(KINDS[field], value, field)
        case "target_audience":
            return audience_of(session, clock, client_id, value)
        case "scheduled_at":
            return value and instant_of(value, field)
        case _:
            return value


KINDS: dict[str, type[enum.StrEnum]] = {
    "type": CampaignType,
    "schedule_type": ScheduleType,
    "category": CampaignCategory,
    "priority": Priority,
}


def _check_schedule(kind: ScheduleType, at: datetime | None) -> None:
    if kind not in (ScheduleType.IMMEDIATE, ScheduleType.SCHEDULED):
        raise CampaignInvalidError(
            f"{kind} campaigns cannot be run yet",
            field="schedule_type",
            remedy="use immediate or scheduled",
        )
    if kind is ScheduleType.SCHEDULED and at is None:
        raise CampaignInvalidError(
            "a scheduled campaign needs its time",
            field="scheduled_at",
            remedy="give scheduled_at, such as 2026-11-28T09:00:00Z",
        )
    if kind is ScheduleType.IMMEDIATE and at is not None:
        raise CampaignInvalidError(
            "an immediate campaign starts when it is launched",
            field="scheduled_at",
            remedy="leave scheduled_at out, or set schedule_type to scheduled",
        )


def _check_name(session: Session, campaign: Campaign, name: str) -> None:
    taken = select(Campaign.id).where(
        Campaign.client_id == campaign.client_id, Campaign.name == name
    )
    if campaign.id is not None:
        taken = taken.where(Campaign.id != campaign.id)
    if session.scalar(taken) is not None:
        raise NameTakenError(
            f"a campaign named “{name}” exists", field="name", remedy="choose another name"
        )


def _check_channels(session: Session, campaign: Campaign) -> None:
    for variant in variants_of(session, campaign.id):
        if variant.channel not in CHANNELS[campaign.type]:
            raise CampaignInvalidError(
                f"a campaign of type {campaign.type} has no {variant.channel} message",
                field="variants",
                remedy="set its type to mixed, or remove that variant",
            )
