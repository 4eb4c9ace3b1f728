"""Money: what members bought in a period, and what messages cost, added up in the database.

Amounts are those of events `purchase` and `refund`, in whatever currency they were told in.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from communications.communication import Communication, Direction
from core.clock import Clock
from members.event import Event, EventDay, EventTotal

PURCHASE, REFUND = "purchase", "refund"


@dataclass(frozen=True, slots=True)
class Money:
    """Sums of one period; Decimal, major units."""

    sales: Decimal
    """Purchases less refunds."""
    buyers: int
    first_orders: int
    first_sales: Decimal
    """What the first orders of new buyers came to."""
    spent_ever: Decimal
    buyers_ever: int
    cost: Decimal | None
    """What the messages of the period cost; None while no provider told."""


def money(session: Session, clock: Clock, *, client_id: int, days: int) -> Money:
    """Add up the last days: whole UTC days, today among them. Five queries over rollups."""
    today = clock.now().date()
    first = today - timedelta(days=days - 1)
    bought, buyers = _sums(session, client_id, PURCHASE, first)
    returned, _ = _sums(session, client_id, REFUND, first)
    orders, amount = _first_orders(session, client_id, first)
    ever, buyers_ever = _ever(session, client_id)
    return Money(
        sales=bought - abs(returned),
        buyers=buyers,
        first_orders=orders,
        first_sales=amount,
        spent_ever=ever,
        buyers_ever=buyers_ever,
        cost=_cost(session, client_id, first),
    )


def _sums(session: Session, client_id: int, name: str, first: date) -> tuple[Decimal, int]:
    query = select(func.sum(EventDay.amount), func.count(EventDay.member_id.distinct())).where(
        EventDay.client_id == client_id, EventDay.name == name, EventDay.day >= first
    )
    amount, members = session.execute(query).one()
    return Decimal(amount or 0), members


def _first_orders(session: Session, client_id: int, first: date) -> tuple[int, Decimal]:
    """Return how many bought for the first time, and for how much."""
    same: ColumnElement[bool] = and_(
        Event.member_id == EventTotal.member_id,
        Event.name == EventTotal.name,
        Event.occurred_at == EventTotal.first_at,
    )
    query = (
        select(func.count(EventTotal.member_id.distinct()), func.sum(Event.amount))
        .join(Event, same)
        .where(
            EventTotal.client_id == client_id,
            EventTotal.name == PURCHASE,
            EventTotal.first_at >= _start(first),
        )
    )
    orders, amount = session.execute(query).one()
    return orders, Decimal(amount or 0)


def _ever(session: Session, client_id: int) -> tuple[Decimal, int]:
    query = select(func.sum(EventTotal.amount), func.count()).where(
        EventTotal.client_id == client_id, EventTotal.name == PURCHASE
    )
    amount, members = session.execute(query).one()
    return Decimal(amount or 0), members


def _cost(session: Session, client_id: int, first: date) -> Decimal | None:
    told: Any = session.scalar(
        select(func.sum(Communication.cost)).where(
            Communication.client_id == client_id,
            Communication.direction == Direction.OUTBOUND,
            Communication.created_at >= _start(first),
        )
    )
    return None if told is None else Decimal(told)


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
