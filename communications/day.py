"""MessageDay: what became of the messages of one day, counted; statistics add such rows up.

On PostgreSQL triggers keep `message_days` beside the log (day_triggers.py), as core/rollup.py says.
SQLite, whose logs are small, counts the log each time.

Invariants
    1. The rows of `message_days` add up to a recount of the log, whoever wrote it.
    2. Days are days of UTC, of the time at which a message was decided on.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Index,
    Select,
    String,
    Subquery,
    cast,
    func,
    literal,
    or_,
    select,
    text,
)
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from channels.channel import Channel
from communications.communication import Communication, Direction, Reason
from communications.status import ACCEPTED, OPEN, REACHED, Status
from core.db import Base, BigId, Id
from core.rollup import join_days
from core.sql import position, utc_day

C = Communication
MICRO = 1_000_000
"""Units of a currency in one: costs are kept to the sixth place, and sums of units are exact."""
UNIT = Decimal(1) / MICRO


class MessageDay(Base):
    """How many messages of a day are alike in these respects, or by how many they changed."""

    __tablename__ = "message_days"
    __table_args__ = (
        Index(None, "client_id", "day"),
        Index(None, "client_id", "campaign_id"),
        Index(None, "run_id"),
        # What a worker has yet to join.
        Index(
            "ix_message_days_apart",
            "id",
            sqlite_where=text("NOT joined"),
            postgresql_where=text("NOT joined"),
        ),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(BigId)
    day: Mapped[date]
    channel: Mapped[Channel]
    direction: Mapped[Direction]
    campaign_id: Mapped[int | None] = mapped_column(BigId)
    run_id: Mapped[int | None] = mapped_column(BigId)
    provider_account_id: Mapped[int | None] = mapped_column(BigId)
    domain: Mapped[str | None] = mapped_column(String(512))
    """What is behind the @ of an email address."""
    currency: Mapped[str | None] = mapped_column(String(3))
    reason: Mapped[Reason | None]

    messages: Mapped[int]
    skipped: Mapped[int]
    queued: Mapped[int]
    unknown: Mapped[int]
    refused: Mapped[int]
    undelivered: Mapped[int]
    bounced: Mapped[int]
    delivered: Mapped[int]
    pending: Mapped[int]
    read: Mapped[int]
    clicked: Mapped[int]
    replied: Mapped[int]
    ended_read: Mapped[int]
    """Whose last fact is that a person read, clicked or answered."""
    ended_replied: Mapped[int]
    taken: Mapped[int]
    unpriced: Mapped[int]
    """Taken, without a price."""
    priced: Mapped[int]
    machine_read: Mapped[int]
    """Opened by a proxy or scanner, whatever people did."""
    machine_clicked: Mapped[int]
    units: Mapped[int] = mapped_column(BigInteger)
    """What they cost, in millionths of the currency."""
    segments: Mapped[int]
    joined: Mapped[bool]
    """Whether it stands for many changes."""


D = MessageDay


def taken() -> ColumnElement[bool]:
    """Return whether a provider took a message."""
    return or_(C.sent_at.is_not(None), C.status.in_(ACCEPTED))


KEYS: Mapping[str, ColumnElement[Any] | InstrumentedAttribute[Any]] = {
    "day": utc_day(C.created_at),
    "channel": C.channel,
    "direction": C.direction,
    "campaign_id": C.campaign_id,
    "run_id": C.run_id,
    "provider_account_id": C.provider_account_id,
    "domain": func.nullif(
        func.substr(C.to_address, position(C.to_address, literal("@")) + 1), C.to_address
    ),
    "currency": C.currency,
    "reason": C.reason,
}
"""What messages are told apart by."""
TESTS: Mapping[str, ColumnElement[bool]] = {
    "skipped": C.status == Status.SKIPPED,
    "queued": C.status.in_(OPEN),
    "unknown": C.status == Status.UNKNOWN,
    "refused": (C.status == Status.FAILED) & ~taken(),
    "undelivered": (C.status == Status.FAILED) & taken(),
    "bounced": C.status == Status.BOUNCED,
    "delivered": C.status.in_(REACHED),
    "pending": C.status == Status.SENT,
    "read": or_(C.read_at.is_not(None), C.clicked_at.is_not(None), C.replied_at.is_not(None)),
    "clicked": C.clicked_at.is_not(None),
    "replied": C.replied_at.is_not(None),
    "ended_read": C.status.in_((Status.READ, Status.CLICKED, Status.REPLIED)),
    "ended_replied": C.status == Status.REPLIED,
    "taken": taken(),
    "unpriced": C.cost.is_(None) & taken(),
    "priced": C.cost.is_not(None),
    "machine_read": C.machine_read.is_(True),
    "machine_clicked": C.machine_clicked.is_(True),
}
"""What is counted. Of people, but for the last two."""
COUNTS = ("messages", *TESTS, "units", "segments")


def recounted(
    *conditions: ColumnElement[bool],
    keys: Sequence[str] = tuple(KEYS),
    counts: Sequence[str] = COUNTS,
) -> Select[Any]:
    """Return the rows of `message_days` as the log itself gives them, of the messages meant.

    With fewer keys and counts, a row of the log costs a third.
    """
    told: dict[str, ColumnElement[Any]] = {
        "messages": func.count(),
        **{name: func.count().filter(test) for name, test in TESTS.items()},
        "units": func.coalesce(func.sum(cast(func.round(C.cost * MICRO), BigInteger)), 0),
        "segments": func.coalesce(func.sum(C.segments), 0),
    }
    by = [KEYS[name] for name in keys]
    return (
        select(
            *[key.label(name) for name, key in zip(keys, by, strict=True)],
            *[told[name].label(name) for name in counts],
        )
        .where(*conditions)
        .group_by(*by)
    )


def kept(
    *conditions: ColumnElement[bool],
    keys: Sequence[str] = tuple(KEYS),
    counts: Sequence[str] = COUNTS,
) -> Select[Any]:
    """Return rows of `message_days`, for PostgreSQL."""
    return select(*[getattr(D, name) for name in (*keys, *counts)]).where(*conditions)


def sums(counts: Subquery, *names: str) -> list[ColumnElement[Any]]:
    """Return the sums of some counts, as integers."""
    return [sum_of(counts, name).label(name) for name in names]


def sum_of(counts: Subquery, name: str) -> ColumnElement[int]:
    """Return the sum of one count, 0 of no rows."""
    return cast(func.coalesce(func.sum(counts.c[name]), 0), BigInteger)


def amount_of(units: int) -> Decimal:
    """Return so many units of a currency as an amount of it."""
    return (Decimal(units) / MICRO).quantize(UNIT)


TURN = 0x4558_4D44
"""`EXMD`"""


def join_message_days(session: Session) -> bool:
    """Make one row of all that are alike, of days that changed; say whether there may be more."""
    return join_days(session, D, [name for name in KEYS if name != "day"], COUNTS, turn=TURN)
