"""Communication: one message to one member over one channel, and what became of it.

The row exists before anything leaves (law 1). While `status` is `queued`, a lease means that a
worker is preparing it; nothing has been sent, so an expired lease is simply dropped. While it is
`sending`, the intent is durable and bytes may be on the wire, so an expired lease makes it
`unknown`. Only `ledger.py` and `receipt.py` write `status`.
"""

import enum
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Numeric,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from channels.channel import Channel
from communications.status import Status
from core.db import Base, BigId, Id


class Direction(enum.StrEnum):
    """Who wrote to whom."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class MessageType(enum.StrEnum):
    """What it is for; decides which opt-outs stop it."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"
    NOTIFICATION = "notification"
    SUPPORT = "support"


class Reason(enum.StrEnum):
    """Why a communication was skipped, failed, is held or is unknown."""

    # skipped: we decided not to send
    NO_ADDRESS = "no_address"
    INVALID_ADDRESS = "invalid_address"
    SUPPRESSED = "suppressed"
    NO_CONSENT = "no_consent"
    DUPLICATE_ADDRESS = "duplicate_address"
    CAPPED = "capped"
    OVER_BUDGET = "over_budget"
    HOLDOUT = "holdout"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    MEMBER_DELETED = "member_deleted"
    RENDER_FAILED = "render_failed"
    # failed: the provider said no, or we gave up trying
    REJECTED = "rejected"
    UNDELIVERED = "undelivered"
    TRIES_USED_UP = "tries_used_up"
    # unknown: nobody can tell
    NO_ANSWER = "no_answer"
    WORKER_STOPPED = "worker_stopped"
    RESTORED = "restored"
    # failed: an operator's word
    GIVEN_UP = "given_up"


FRESH = {
    "rank": 0, "token": 0, "tries": 0, "crashes": 0, "open_attempts": 0, "resends": 0,
}  # fmt: skip
"""What a new row begins with, for INSERT … SELECT, which knows no defaults."""
QUEUED_AND_FREE = "status = 'queued' AND held IS NULL"
FAILURE = (
    "status IN ('failed', 'bounced')"
    " OR (status = 'skipped' AND reason IN ('render_failed', 'expired'))"
)
RESPONDED = "coalesce(read_at, clicked_at, replied_at)"


def _where(name: str, given: str, *columns: str) -> Index:
    """Return an index of the rows of which this is true."""
    condition = text(given)
    return Index(
        f"ix_communications_{name}",
        *columns,
        sqlite_where=condition,
        postgresql_where=condition,
    )


class Communication(Base):
    """One row of the communications log."""

    __tablename__ = "communications"
    __table_args__ = (
        # One message per run, member and channel (law 1); NULL run ids do not collide.
        UniqueConstraint("run_id", "member_id", "channel"),
        # Two members, one mailbox: the second is skipped. Skipped rows carry no hash.
        UniqueConstraint("run_id", "channel", "address_hash"),
        # Sends outside runs: `tx:{client key}`, later `journey:{enrolment}:{step}:{visit}`.
        Index(
            "uq_communications_dedup",
            "client_id",
            "dedup_key",
            unique=True,
            sqlite_where=text("dedup_key IS NOT NULL"),
            postgresql_where=text("dedup_key IS NOT NULL"),
        ),
        # What a worker claims: one account's lane, most urgent first, oldest first.
        _where("due", QUEUED_AND_FREE, "provider_account_id", "priority", "not_before", "id"),
        # What the reaper looks at: a few rows at any moment. It holds no lease column, so that
        # claiming, which writes only unindexed columns, stays a heap-only update.
        _where("sending", "status = 'sending'", "id"),
        # What a run waits for: few at its end, when everybody asks whether it is done.
        _where("open", "status IN ('queued', 'sending')", "run_id"),
        # What nobody can tell about: few, looked for at the provider, shown to operators.
        _where("unknown", "status = 'unknown'", "client_id", "id"),
        Index(None, "client_id", "member_id", "id"),
        # A period of the log.
        Index(None, "client_id", "created_at", "id"),
        # Lists, newest first: each filter that may match few of many rows goes on by its index.
        Index(None, "client_id", "channel", "id"),
        Index(None, "client_id", "status", "id"),
        _where("campaign", "campaign_id IS NOT NULL", "client_id", "campaign_id", "id"),
        _where("run", "run_id IS NOT NULL", "client_id", "run_id", "id"),
        _where("reason", "reason IS NOT NULL", "client_id", "reason", "id"),
        _where("inbound", "direction = 'inbound'", "client_id", "id"),
        _where("replied", "replied_at IS NOT NULL", "client_id", "id"),
        _where("responded", f"{RESPONDED} IS NOT NULL", "client_id", "id"),
        _where("error", "error_code IS NOT NULL", "client_id", "error_code", "id"),
        # Failures, grouped by why and by what can be done: counted without their rows.
        _where(
            "failure",
            FAILURE,
            "client_id",
            "channel",
            "provider_account_id",
            "reason",
            "error_code",
            "id",
            "status",
            "rank",
            "open_attempts",
            "address_hash",
            "content_removed_at",
        ),
        # Who clicked lately, and what: few of many, asked by conditions, which read no rows.
        _where(
            "clicked",
            "clicked_at IS NOT NULL",
            "client_id",
            "clicked_at",
            "member_id",
            "campaign_id",
            "direction",
            "channel",
        ),
        _where("provider_id", "provider_id IS NOT NULL", "provider_account_id", "provider_id"),
        CheckConstraint("status <> 'sending' OR lease_until IS NOT NULL", name="sending_is_leased"),
        CheckConstraint("status <> 'skipped' OR reason IS NOT NULL", name="skipped_has_reason"),
        # No id comes twice, even if the newest rows are gone: references and links are made of it.
        {"postgresql_with": {"fillfactor": 70}, "sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    member_id: Mapped[int | None] = mapped_column(BigId)
    user_id: Mapped[int | None] = mapped_column(BigId)
    campaign_id: Mapped[int | None] = mapped_column(BigId)
    run_id: Mapped[int | None] = mapped_column(BigId)
    channel: Mapped[Channel]
    direction: Mapped[Direction] = mapped_column(default=Direction.OUTBOUND)
    message_type: Mapped[MessageType] = mapped_column(default=MessageType.MARKETING)
    to_address: Mapped[str | None] = mapped_column(String(512))
    """Normal form. The API shows it as to_email or to_number by channel."""
    from_address: Mapped[str | None] = mapped_column(String(512))
    address_hash: Mapped[str | None] = mapped_column(String(32))
    """Keyed hash of the address, on rows that may be sent."""
    dedup_key: Mapped[str | None] = mapped_column(String(200))
    template_version_id: Mapped[int | None] = mapped_column(BigId)
    tracked: Mapped[bool] = mapped_column(default=True, server_default=true())
    """Whether its links are our own and it has a pixel: opens and clicks are known."""
    merge: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The member's values for the template's fields, as they were at fan-out."""
    subject: Mapped[str | None] = mapped_column(Text)
    content: Mapped[str | None] = mapped_column(Text)
    """The text itself, where there is no template: inbound messages, single sends."""
    content_removed_at: Mapped[datetime | None]
    """When its time was over or its member erased, and it was emptied: it never goes again."""

    status: Mapped[Status] = mapped_column(default=Status.QUEUED)
    rank: Mapped[int] = mapped_column(SmallInteger, default=0)
    """How far receipts have taken it (status.py); facts only ever raise it."""
    reason: Mapped[Reason | None]
    held: Mapped[str | None] = mapped_column(String(24))
    """Why a queued row waits for a person or for its run: `paused`, `poison`."""
    token: Mapped[int] = mapped_column(default=0)
    """Rises with every claim; a worker that lost its lease holds an old one."""
    owner: Mapped[str | None] = mapped_column(String(80))
    lease_until: Mapped[datetime | None]
    priority: Mapped[int] = mapped_column(SmallInteger, default=2)
    """0 urgent, 1 high, 2 medium, 3 low."""
    not_before: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(SmallInteger, default=0)
    crashes: Mapped[int] = mapped_column(SmallInteger, default=0)
    """Workers that stopped while sending it."""
    open_attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    """Earlier attempts that ended without a definite answer; while > 0 a refusal proves nothing."""
    resends: Mapped[int] = mapped_column(SmallInteger, default=0)
    """How often an operator asked for it to be sent again, knowing the risk."""
    checked_at: Mapped[datetime | None]
    """When the provider was last asked whether it has it, while unknown."""

    provider_account_id: Mapped[int | None] = mapped_column(BigId)
    provider_id: Mapped[str | None] = mapped_column(String(128))
    provider_status: Mapped[str | None] = mapped_column(String(40))
    error_code: Mapped[str | None] = mapped_column(String(40))
    error_message: Mapped[str | None] = mapped_column(String(300))
    cost: Mapped[Decimal | None] = mapped_column(Numeric(12, 6))
    currency: Mapped[str | None] = mapped_column(String(3))
    segments: Mapped[int | None] = mapped_column(SmallInteger)

    sent_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    clicked_at: Mapped[datetime | None]
    replied_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    machine_read: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether a proxy or scanner opened it; neither this nor the next says anything of a person."""
    machine_clicked: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
