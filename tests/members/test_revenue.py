"""Mirrors members/revenue.py."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.clock import ManualClock
from core.db import Sessions, read, write
from core.errors import InvalidError
from members.order import Order, OrderKind
from members.revenue import revenue, total_revenue
from tests.factories import Factory


def test_revenue_is_exact_by_month_and_currency(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    make = Factory(sessions, clock, client_id)
    other = make.another_client()
    sold = [
        # at, amount, currency
        (datetime(2026, 11, 1, tzinfo=UTC), "0.1000", "EUR"),
        (datetime(2026, 11, 2, tzinfo=UTC), "0.2000", "EUR"),
        (datetime(2026, 11, 3, tzinfo=UTC), "-0.0001", "EUR"),
        (datetime(2026, 11, 3, tzinfo=UTC), "9999999999.9999", "USD"),
        (datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC), "7", "EUR"),
        (datetime(2025, 10, 1, tzinfo=UTC), "5", "EUR"),
    ]
    for factory, rows in ((make, sold), (other, sold[:1])):
        member = factory.member()
        with write(sessions) as session:
            for number, (at, amount, currency) in enumerate(rows):
                kind = OrderKind.REFUND if amount.startswith("-") else OrderKind.ORDER
                session.add(
                    Order(
                        client_id=factory.client_id,
                        member_id=member,
                        order_id=f"o{number}",
                        kind=kind,
                        amount=Decimal(amount),
                        currency=currency,
                        occurred_at=at,
                        created_at=at,
                    )
                )

    with read(sessions) as session:
        found = revenue(session, clock, client_id=client_id)
        ever = total_revenue(session, client_id)
        with pytest.raises(InvalidError):
            revenue(session, clock, client_id=client_id, months=25)

    assert [(one.month, one.currency, one.orders, one.refunds, one.net) for one in found] == [
        ("2026-11", "EUR", 2, 1, Decimal("0.2999")),
        ("2026-11", "USD", 1, 0, Decimal("9999999999.9999")),
        ("2026-10", "EUR", 1, 0, Decimal("7.0000")),
    ]
    assert (found[0].gross, found[0].refunded) == (Decimal("0.3000"), Decimal("0.0001"))
    assert ever == {"EUR": Decimal("12.2999"), "USD": Decimal("9999999999.9999")}
