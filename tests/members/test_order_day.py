"""Mirrors members/order_day.py: what is kept of each day adds up to the orders."""

from datetime import timedelta
from decimal import Decimal
from random import Random

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from core.clock import ManualClock
from core.db import Sessions, write
from core.sql import utc_day
from members.order import CENT, Order, OrderKind
from members.order_day import COUNTS, OrderDay, join_order_days
from tests.conftest import only_postgresql
from tests.factories import Factory

MADE = 40


def summed(session: Session) -> dict[tuple[object, ...], tuple[int, ...]]:
    keys = (OrderDay.client_id, OrderDay.day, OrderDay.currency)
    sums = [func.sum(getattr(OrderDay, name)) for name in COUNTS]
    rows = session.execute(select(*keys, *sums).group_by(*keys))
    found = {tuple(row[:3]): tuple(int(one) for one in row[3:]) for row in rows}
    return {key: counts for key, counts in found.items() if any(counts)}


def recounted(session: Session) -> dict[tuple[object, ...], tuple[int, ...]]:
    found: dict[tuple[object, ...], tuple[int, ...]] = {}
    columns = (Order.client_id, utc_day(Order.occurred_at), Order.currency)
    for *key, kind, amount in session.execute(select(*columns, Order.kind, Order.amount)):
        units = int(amount / CENT)
        order, refund = (int(kind is one) for one in (OrderKind.ORDER, OrderKind.REFUND))
        sums = zip(found.get(tuple(key), (0, 0, 0, 0)), (
            order, refund, units * order, units * refund
        ), strict=True)  # fmt: skip
        found[tuple(key)] = tuple(held + more for held, more in sums)
    return found


@only_postgresql  # SQLite counts the orders each time
def test_what_is_kept_adds_up_to_the_orders_whatever_was_done_to_them(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    draw = Random(9)
    member = Factory(sessions, clock, client_id).member()
    with write(sessions) as session:
        for turn in range(3):
            session.execute(insert(Order), [
                {
                    "client_id": client_id,
                    "member_id": member,
                    "order_id": f"{turn}-{number}",
                    "kind": kind,
                    "amount": Decimal("12.3401") * (1 if kind is OrderKind.ORDER else -1),
                    "currency": draw.choice(["EUR", "USD"]),
                    "occurred_at": clock.now() - timedelta(hours=draw.randint(0, 72)),
                    "created_at": clock.now(),
                }
                for number in range(MADE)
                for kind in [draw.choice(list(OrderKind))]
            ])  # fmt: skip
            assert summed(session) == recounted(session)
            ids = list(session.scalars(select(Order.id)))
            some = update(Order).where(Order.id.in_(draw.sample(ids, 10)))
            session.execute(some.values(amount=Order.amount * 2, currency="EUR"))
            session.execute(delete(Order).where(Order.id.in_(draw.sample(ids, 10))))
            assert summed(session) == recounted(session)
        apart = session.scalar(select(func.count(OrderDay.id))) or 0

        assert not join_order_days(session)

        assert summed(session) == recounted(session)
        assert 0 < (session.scalar(select(func.count(OrderDay.id))) or 0) < apart
        session.execute(delete(Order))
        join_order_days(session)
        assert session.scalar(select(func.count(OrderDay.id))) == 0
