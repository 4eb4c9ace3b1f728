"""Mirrors members/spending.py and members/order.py: what members bought and got back, once each."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, update

from accounts.client import Client
from core.clock import ManualClock
from core.db import Sessions, read, write
from members.errors import (
    MemberNotFoundError,
    OrderChangedError,
    OrderInvalidError,
    OrderNotFoundError,
)
from members.event import Event, EventTotal
from members.member import Member
from members.order import Order
from members.spending import record_order, record_refund
from members.tracking import ToldEvent, track
from tests.factories import Factory


@pytest.fixture
def make(sessions: Sessions, clock: ManualClock, client_id: int) -> Factory:
    return Factory(sessions, clock, client_id)


@pytest.fixture
def buy(make: Factory):
    """Records an order in a transaction of its own."""

    def run(member_id: int, order_id: str, amount: str, currency: str = "EUR", **more: Any):
        with write(make.sessions) as session:
            return record_order(
                session, make.clock, make.hasher, client_id=make.client_id, member_id=member_id,
                order_id=order_id, amount=Decimal(amount), currency=currency, **more,
            )  # fmt: skip

    return run


@pytest.fixture
def refund(make: Factory):
    def run(order_id: str, refund_id: str, amount: str | None = None):
        with write(make.sessions) as session:
            return record_refund(
                session, make.clock, make.hasher, client_id=make.client_id, order_id=order_id,
                refund_id=refund_id, amount=None if amount is None else Decimal(amount),
            )  # fmt: skip

    return run


def spend(make: Factory, member_id: int) -> Decimal | None:
    with read(make.sessions) as session:
        return session.get_one(Member, member_id).total_spend


def test_an_order_is_spend_and_an_event_once(make, buy) -> None:
    ana = make.member()
    first = buy(ana, "A-1", "49.90", properties={"sku": "lamp"})
    again = buy(ana, "A-1", "49.90")

    assert (first.new, again.new) == (True, False)
    assert first.order.id == again.order.id
    assert spend(make, ana) == Decimal("49.9000")
    with read(make.sessions) as session:
        event = session.scalars(select(Event)).one()
        assert (event.name, event.member_id, event.amount) == ("purchase", ana, Decimal("49.9000"))
        assert event.properties == {
            "order_id": "A-1", "currency": "EUR", "total": 49.9, "sku": "lamp",
        }  # fmt: skip


def test_no_event_told_before_keeps_the_orders_own_from_being(make, buy) -> None:
    ana = make.member()
    told = ToldEvent("viewed", "order:A-1", {"anonymous_id": "v"})
    with write(make.sessions) as session:
        track(session, make.clock, make.hasher, client_id=make.client_id, events=[told])
    buy(ana, "A-1", "49.90")

    with read(make.sessions) as session:
        assert session.scalars(select(Event.name).where(Event.member_id == ana)).all() == [
            "purchase"
        ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": "50"}, "amount"),
        ({"currency": "USD"}, "currency"),
        ({"other": True}, "member_id"),
    ],
)
def test_the_same_id_with_something_else_is_refused(
    changes: dict[str, Any], field: str, make, buy
) -> None:
    ana = make.member()
    buy(ana, "A-1", "49.90")
    who = make.member() if "other" in changes else ana

    with pytest.raises(OrderChangedError) as raised:
        buy(who, "A-1", changes.get("amount", "49.90"), changes.get("currency", "EUR"))
    assert raised.value.field == field
    assert spend(make, ana) == Decimal("49.9000")


@pytest.mark.parametrize(
    ("order_id", "amount", "currency", "field"),
    [
        ("", "1", "EUR", "order_id"),
        ("x" * 101, "1", "EUR", "order_id"),
        ("A", "0", "EUR", "amount"),
        ("A", "-5", "EUR", "amount"),
        ("A", "NaN", "EUR", "amount"),
        ("A", "1e10", "EUR", "amount"),
        ("A", "1.23456", "EUR", "amount"),
        ("A", "1", "eur", "currency"),
        ("A", "1", "EURO", "currency"),
    ],
)
def test_what_is_no_order_is_named(
    order_id: str, amount: str, currency: str, field: str, make, buy
) -> None:
    with pytest.raises(OrderInvalidError) as raised:
        buy(make.member(), order_id, amount, currency)
    assert raised.value.field == field


def test_refunds_take_back_no_more_than_was_paid(make, buy, refund) -> None:
    ana = make.member()
    buy(ana, "A-1", "100")
    refund("A-1", "R-1", "30")

    with pytest.raises(OrderInvalidError, match="70"):
        refund("A-1", "R-2", "70.01")
    assert refund("A-1", "R-1", "30").new is False
    refund("A-1", "R-2")
    assert refund("A-1", "R-2").new is False
    with pytest.raises(OrderInvalidError):
        refund("A-1", "R-3")

    assert spend(make, ana) == 0
    with read(make.sessions) as session:
        totals = {row.name: row for row in session.scalars(select(EventTotal))}
    assert (totals["refund"].count, totals["refund"].amount) == (2, Decimal("-100.0000"))


def test_only_an_order_can_be_refunded(make, buy, refund) -> None:
    with pytest.raises(OrderNotFoundError):
        refund("A-1", "R-1")
    buy(make.member(), "A-1", "5")
    refund("A-1", "R-1", "1")
    with pytest.raises(OrderNotFoundError):
        refund("R-1", "R-2")


def test_spend_is_kept_in_one_currency(make, buy) -> None:
    ana, ben = make.member(), make.member()
    buy(ana, "A-1", "10", "EUR")
    buy(ana, "A-2", "99", "USD")
    assert spend(make, ana) == 10

    with write(make.sessions) as session:
        session.execute(update(Client).values(settings={"currency": "USD"}))
    buy(ben, "B-1", "7", "USD")
    buy(ben, "B-2", "8", "EUR")
    assert spend(make, ben) == 7


def test_an_order_is_credited_to_the_last_click_within_the_window(make, buy, clock) -> None:
    ana = make.member()
    now = clock.now()
    make.message(ana, clicked_at=now - timedelta(days=8))
    make.message(ana, clicked_at=now - timedelta(days=3))
    last = make.message(ana, clicked_at=now - timedelta(days=1))
    make.message(ana, clicked_at=now + timedelta(hours=1))
    make.message(make.member(), clicked_at=now)

    assert buy(ana, "A-1", "10").order.communication_id == last
    assert (
        buy(ana, "A-2", "10", occurred_at=now - timedelta(days=20)).order.communication_id is None
    )


def test_another_clients_member_and_order_are_not_there(make, buy, refund) -> None:
    other = make.another_client()
    with pytest.raises(MemberNotFoundError):
        buy(other.member(), "A-1", "10")
    stranger = other.member()
    with write(make.sessions) as session:
        record_order(
            session, make.clock, make.hasher, client_id=other.client_id, member_id=stranger,
            order_id="A-1", amount=Decimal(10), currency="EUR",
        )  # fmt: skip
    with pytest.raises(OrderNotFoundError):
        refund("A-1", "R-1")
    with read(make.sessions) as session:
        assert len(session.scalars(select(Order)).all()) == 1
