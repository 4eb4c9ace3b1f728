"""Member: a person a client may write to."""

import enum
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Computed,
    ForeignKey,
    Index,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigId, Id


class Tier(enum.StrEnum):
    """How valued a member is."""

    BASIC = "basic"
    PREMIUM = "premium"
    ELITE = "elite"
    EXECUTIVE = "executive"


class MemberStatus(enum.StrEnum):
    """Where a member stands with the client."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    PENDING = "pending"
    SUSPENDED = "suspended"
    CHURNED = "churned"


class Gender(enum.StrEnum):
    """What the source document lists."""

    MALE = "male"
    FEMALE = "female"
    OTHER = "other"
    PREFER_NOT_TO_SAY = "prefer_not_to_say"


def _where_given(*columns: str, **options: Any) -> Index:
    """Return an index without the rows whose last column is NULL: most rows, for most columns.

    Any comparison says that a column is not NULL, so both databases answer it from such an index.
    """
    given = column(columns[-1]).is_not(None)
    return Index(None, *columns, sqlite_where=given, postgresql_where=given, **options)


class Member(Base):
    """One person of one client."""

    __tablename__ = "members"
    __table_args__ = (
        # The business key is the client's own name for the person; two rows would be two persons.
        UniqueConstraint("client_id", "member_id"),
        Index(None, "client_id", "id"),
        # How many there are, counted without their rows.
        Index(
            "ix_members_alive",
            "client_id",
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(None, "client_id", "tier"),
        Index(None, "client_id", "status"),
        # Who came or changed since somebody looked last.
        Index(None, "client_id", "created_at", "id"),
        Index(None, "client_id", "updated_at", "id"),
        _where_given("user_id"),
        # Pattern operators let PostgreSQL find “ana@…” by its beginning in any collation.
        _where_given("client_id", "email", postgresql_ops={"email": "varchar_pattern_ops"}),
        _where_given("client_id", "phone", postgresql_ops={"phone": "varchar_pattern_ops"}),
        _where_given("client_id", "first_key", postgresql_ops={"first_key": "text_pattern_ops"}),
        _where_given("client_id", "last_key", postgresql_ops={"last_key": "text_pattern_ops"}),
        _where_given("client_id", "engagement_score"),
        _where_given("client_id", "last_active"),
        _where_given("client_id", "referral_code"),
        _where_given("referred_by"),
        _where_given("merged_into"),
        # Conditions ask for attributes that equal a value. SQLite has no such index, and scans:
        # there it holds no row, because no member is without attributes.
        Index(
            "ix_members_attributes",
            "attributes",
            postgresql_using="gin",
            postgresql_ops={"attributes": "jsonb_path_ops"},
            sqlite_where=text("attributes IS NULL"),
        ),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    member_id: Mapped[str] = mapped_column(String(128))
    """The client's business key, trimmed and case-folded; made up by us when none is given."""
    first_name: Mapped[str | None] = mapped_column(String(100))
    last_name: Mapped[str | None] = mapped_column(String(100))
    full_name: Mapped[str | None] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(320))
    """Normal form of the primary email address; the row in `addresses` is what is sent to."""
    phone: Mapped[str | None] = mapped_column(String(32))
    """E.164, likewise."""
    date_of_birth: Mapped[date | None]
    gender: Mapped[Gender | None]
    tier: Mapped[Tier] = mapped_column(default=Tier.BASIC)
    status: Mapped[MemberStatus] = mapped_column(default=MemberStatus.ACTIVE)
    engagement_score: Mapped[float | None]
    total_spend: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))
    lifetime_value: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))
    acquisition_channel: Mapped[str | None] = mapped_column(String(100))
    acquisition_cost: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))
    last_active: Mapped[datetime | None]
    location: Mapped[str | None] = mapped_column(String(200))
    timezone: Mapped[str | None] = mapped_column(String(64))
    language: Mapped[str | None] = mapped_column(String(16))
    preferences: Mapped[dict[str, Any] | None]
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The client's own fields; flat, values are text, number, boolean or null."""
    notes: Mapped[str | None] = mapped_column(Text)
    social_profiles: Mapped[dict[str, Any] | None]
    communication_preferences: Mapped[dict[str, Any] | None]
    permissions: Mapped[dict[str, Any] | None]
    referral_code: Mapped[str | None] = mapped_column(String(32))
    referred_by: Mapped[int | None] = mapped_column(BigId, ForeignKey("members.id"))
    first_key: Mapped[str | None] = mapped_column(
        Text, Computed("lower(coalesce(first_name, full_name))", persisted=True), deferred=True
    )
    """What a search by first name looks at; the database keeps it."""
    last_key: Mapped[str | None] = mapped_column(
        Text, Computed("lower(last_name)", persisted=True), deferred=True
    )
    merged_into: Mapped[int | None] = mapped_column(BigId)
    """The member this one was merged into; a merged member is deleted too."""
    import_id: Mapped[int | None] = mapped_column(BigId)
    """The import that created it."""
    version: Mapped[int] = mapped_column(default=1)
    """Rises with every edit; the ETag of the API."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class MemberTag(Base):
    """One tag of one member. A row each, so that `has tag` is an index lookup."""

    __tablename__ = "member_tags"
    __table_args__ = (Index(None, "client_id", "tag", "member_id"),)

    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(64), primary_key=True)
    client_id: Mapped[int] = mapped_column(BigId)
