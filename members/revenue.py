"""Revenue: what a client's members paid, by month and currency, exactly."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Select, cast, func, select, union_all
from sqlalchemy.orm import Session

from core.clock import Clock
from core.db import is_sqlite
from core.month import last_months, month_of
from members.order import CENT, Order, OrderKind
from members.order_day import COUNTS, OrderDay

O, D = Order, OrderDay  # noqa: E741
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

    On PostgreSQL whole days are read as they are kept, and today's orders are counted; on SQLite
    all orders are. Raises InvalidError for the months.
    """
    now = clock.now()
    starts = last_months(now, months)
    if is_sqlite(session):
        each = _counted(client_id, starts, starts[-1], now).subquery()
    else:
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        days = (D.client_id == client_id, D.day >= starts[-1].date(), D.day < today.date())
        each = union_all(
            select(
                month_of(D.day, [start.date() for start in starts]).label("month"), D.currency,
                *[getattr(D, name) for name in COUNTS],
            ).where(*days),
            _counted(client_id, starts, today, now),
        ).subquery()  # fmt: skip
    query = (
        select(each.c.month, each.c.currency, *[func.sum(each.c[name]) for name in COUNTS])
        .group_by(each.c.month, each.c.currency)
        .having(func.sum(each.c.orders + each.c.refunds) != 0)
        .order_by(each.c.month.desc(), each.c.currency)
    )
    return [
        Revenue(month, currency, int(orders), int(refunds), money(gross), -money(refunded))
        for month, currency, orders, refunds, gross, refunded in session.execute(query)
    ]


def _counted(
    client_id: int, starts: Sequence[datetime], since: datetime, until: datetime
) -> Select[Any]:
    """Return the counts of orders of a time by month and currency, as `order_days` has them."""
    month = month_of(O.occurred_at, starts).label("month")
    sums = (*_sums(OrderKind.ORDER), *_sums(OrderKind.REFUND))
    names = ("orders", "gross", "refunds", "refunded")
    by_name = dict(zip(names, sums, strict=True))
    return (
        select(month, O.currency, *[by_name[name].label(name) for name in COUNTS])
        .where(O.client_id == client_id, O.occurred_at >= since, O.occurred_at <= until)
        .group_by(month, O.currency)
    )


def _sums(kind: OrderKind) -> Sequence[Any]:
    return func.count().filter(O.kind == kind), func.sum(UNITS).filter(O.kind == kind)


def money(units: int | Decimal | None) -> Decimal:
    """Return the amount of so many units."""
    return (Decimal(units or 0) * CENT).quantize(CENT)


def total_revenue(session: Session, client_id: int) -> dict[str, Decimal]:
    """Return what a client ever kept, by currency."""
    if is_sqlite(session):
        query = select(O.currency, func.sum(UNITS)).where(O.client_id == client_id)
        query = query.group_by(O.currency).order_by(O.currency)
    else:
        query = select(D.currency, func.sum(D.gross + D.refunded)).where(D.client_id == client_id)
        some = func.sum(D.orders + D.refunds) != 0
        query = query.group_by(D.currency).having(some).order_by(D.currency)
    return {currency: money(many) for currency, many in session.execute(query)}
