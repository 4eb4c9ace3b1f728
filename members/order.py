"""Order: what a member bought, or got back; each order id counts once.

Amounts are Decimal in the order's own currency; a refund is negative.
"""

import enum
from datetime import datetime
from decimal import Decimal

from sqlalchemy import ForeignKey, Index, Numeric, String, UniqueConstraint, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.client import Client
from core.db import Base, BigId, Id
from members.errors import OrderNotFoundError

CENT = Decimal("0.0001")
"""The smallest amount that is kept."""


class OrderKind(enum.StrEnum):
    """Which way the money went."""

    ORDER = "order"
    REFUND = "refund"


class Order(Base):
    """One order or one refund."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("client_id", "order_id"),
        Index(None, "client_id", "member_id", "occurred_at"),
        Index(None, "client_id", "refund_of"),
        Index(None, "client_id", "occurred_at"),
        # What messages are credited with: few of many, added up by campaign without their rows.
        Index(
            "ix_orders_credited",
            "client_id",
            "communication_id",
            "currency",
            "kind",
            "amount",
            sqlite_where=text("communication_id IS NOT NULL"),
            postgresql_where=text("communication_id IS NOT NULL"),
        ),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    order_id: Mapped[str] = mapped_column(String(128))
    """The shop's own id."""
    kind: Mapped[OrderKind]
    amount: Mapped[Decimal] = mapped_column(Numeric(14, 4))
    """Major units of `currency`; negative for a refund."""
    currency: Mapped[str] = mapped_column(String(3))
    """ISO 4217."""
    refund_of: Mapped[str | None] = mapped_column(String(128))
    """The order id that is refunded."""
    occurred_at: Mapped[datetime]
    communication_id: Mapped[int | None] = mapped_column(BigId)
    """The message whose link the member clicked last before, within the client's window."""
    created_at: Mapped[datetime]


def order_named(session: Session, client_id: int, order_id: str) -> Order:
    """Return a client's order by the shop's id. Raises OrderNotFoundError."""
    found = told_before(session, client_id, order_id)
    if found is None or found.kind is not OrderKind.ORDER:
        raise OrderNotFoundError(f"no order “{order_id[:40]}”")
    return found


def spend_currency(session: Session, client_id: int) -> str | None:
    """Return the currency members' spend is kept in; None before the first order."""
    client = session.get_one(Client, client_id)
    told = client.settings.get("currency")
    if told:
        return str(told)
    query = select(Order.currency).where(Order.client_id == client_id).order_by(Order.id).limit(1)
    return session.scalar(query)


def told_before(session: Session, client_id: int, order_id: str) -> Order | None:
    """Return the order or refund that was told under an id."""
    query = select(Order).where(Order.client_id == client_id, Order.order_id == order_id)
    return session.scalar(query)


def refunded(session: Session, order: Order) -> Decimal:
    """Return what was given back of an order so far: zero or less."""
    query = select(func.coalesce(func.sum(Order.amount), 0)).where(
        Order.client_id == order.client_id, Order.refund_of == order.order_id
    )
    return Decimal(str(session.scalar(query))).quantize(CENT)
