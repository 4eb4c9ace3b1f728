"""Event: something a member did, with its properties and a time; append-only.

Message ids are unique for a client, those that others give and the engine's own apart: an
`event_keys` row is written first, and its number becomes the event's. On PostgreSQL `events` is
partitioned by month of `occurred_at` (partition.py), where no constraint over all partitions could
say so.

Invariants
    1. The rollups `event_days` and `event_totals` change in the transaction that stores the events,
       and always equal a recount, but for events that were forgotten since: they stay counted.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    DDL,
    ForeignKey,
    Index,
    LargeBinary,
    Numeric,
    String,
    UniqueConstraint,
    select,
)
from sqlalchemy import event as hook
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.db import Base, BigId, Id

TOLD_BY = "$told_by"
"""The property that says which collector's key told: it is ours, and nobody else's to give."""
SERVER, BROWSER = "server", "browser"
OLDEST = timedelta(days=3653)
"""How long ago an event may have happened that is told, and months have tables: ten years."""


class EventKey(Base):
    """One message id of one client."""

    __tablename__ = "event_keys"
    __table_args__ = (UniqueConstraint("client_id", "digest"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    digest: Mapped[bytes] = mapped_column(LargeBinary(16))
    """BLAKE2b of the message id and whether it is the engine's own, 16 bytes."""
    occurred_at: Mapped[datetime]


class Event(Base):
    """One thing one member did."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "client_id", "name", "occurred_at"),
        Index(None, "member_id", "occurred_at"),
        {"postgresql_partition_by": "RANGE (occurred_at)"},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    """That of its `event_keys` row."""
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    name: Mapped[str] = mapped_column(String(100))
    message_id: Mapped[str] = mapped_column(String(128))
    properties: Mapped[dict[str, Any]]
    amount: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))
    """The event's money or number: properties.total, else revenue, else value."""
    occurred_at: Mapped[datetime] = mapped_column(primary_key=True)
    received_at: Mapped[datetime]


class EventDay(Base):
    """How often one member did one thing on one day (UTC), and what it came to."""

    __tablename__ = "event_days"
    __table_args__ = (Index(None, "member_id", "name"),)

    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"), primary_key=True)
    count: Mapped[int]
    amount: Mapped[Decimal] = mapped_column(Numeric(18, 4))
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]


class EventTotal(Base):
    """How often one member ever did one thing, and what it came to."""

    __tablename__ = "event_totals"
    __table_args__ = (Index(None, "member_id", "name"),)

    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"), primary_key=True)
    count: Mapped[int]
    amount: Mapped[Decimal] = mapped_column(Numeric(18, 4))
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]


def events_page(
    session: Session, client_id: int, member_id: int, *, before: int | None, limit: int
) -> list[Event]:
    """Return a member's events, the latest told first, from below id `before`."""
    query = select(Event).where(Event.client_id == client_id, Event.member_id == member_id)
    if before is not None:
        query = query.where(Event.id < before)
    return list(session.scalars(query.order_by(Event.id.desc()).limit(limit)))


hook.listen(
    Event.__table__,
    "after_create",
    DDL(  # type: ignore[no-untyped-call]
        "CREATE TABLE events_default PARTITION OF events DEFAULT"
    ).execute_if(dialect="postgresql"),
)
