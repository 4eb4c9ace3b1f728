"""Revenue: what a client's members paid, by month and currency, exactly."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.orm import Session

from core.clock import Clock
from core.month import last_months, month_of
from members.order import CENT, Order, OrderKind

O = Order  # noqa: E741
UNITS = cast(func.round(O.amount / CENT), BigInteger)
"""An amount in the smallest unit: SQLite adds up nothing else exactly."""


@dataclass(frozen=True, slots=True)
class Revenue:
    """One month in one currency; currencies are never added up."""

    month: str
    currency: str
    orders: int
    refunds: int
    gross: Decimal
    """What was paid."""
    refunded: Decimal
    """What was given back, as a positive amount."""

    @property
    def net(self) -> Decimal:
        """What was kept."""
        return self.gross - self.refunded


def revenue(session: Session, clock: Clock, *, client_id: int, months: int = 12) -> list[Revenue]:
    """Return a client's revenue of the last months, the newest first; months without are left out.

    One query over the client's orders. Raises InvalidError for the months.
    """
    starts = last_months(clock.now(), months)
    month = month_of(O.occurred_at, starts)
    query = (
        select(month, O.currency, *_sums(OrderKind.ORDER), *_sums(OrderKind.REFUND))
        .where(O.client_id == client_id, O.occurred_at >= starts[-1])
        .where(O.occurred_at <= clock.now())
        .group_by(month, O.currency)
        .order_by(month.desc(), O.currency)
    )
    return [
        Revenue(row[0], row[1], row[2], row[4], money(row[3]), -money(row[5]))
        for row in session.execute(query)
    ]


def _sums(kind: OrderKind) -> Sequence[Any]:
    return func.count().filter(O.kind == kind), func.sum(UNITS).filter(O.kind == kind)


def money(units: int | Decimal | None) -> Decimal:
    """Return the amount of so many units."""
    return (Decimal(units or 0) * CENT).quantize(CENT)


def total_revenue(session: Session, client_id: int) -> dict[str, Decimal]:
    """Return what a client ever kept, by currency."""
    query = select(O.currency, func.sum(UNITS)).where(O.client_id == client_id).group_by(O.currency)
    return {currency: money(many) for currency, many in session.execute(query.order_by(O.currency))}
