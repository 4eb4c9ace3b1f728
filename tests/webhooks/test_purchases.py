"""Mirrors webhooks/purchases.py and the adapters of shops: what they tell becomes orders, once."""

import base64
import hmac
import itertools
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from channels.channel import Channel
from channels.settings import ConfigError
from communications.account import add_account
from core.clock import ManualClock, SystemClock
from core.db import Sessions, read, write
from members.event import Event
from members.member import Member
from members.order import Order
from members.signal import Signal, listen
from tests.factories import Factory
from tests.webhooks.conftest import Desk
from tests.webhooks.providers import Provider
from webhooks.inbox import InboxItem, InboxState

WHEN = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
Rows = Callable[[type[Any]], list[Any]]


class Stripe(Provider):
    adapter, channel = "stripe", Channel.WEBHOOK
    key = "whsec_of_a_test"

    def config(self) -> dict[str, Any]:
        return {"signing_secret": self.key}

    def signed(self, body: bytes, ago: int = 0, key: str | None = None) -> dict[str, str]:
        told = str(int(SystemClock().now().timestamp()) - ago)
        made = hmac.new((key or self.key).encode(), f"{told}.".encode() + body, "sha256")
        return {"Stripe-Signature": f"t={told},v1={'0' * 64},v1={made.hexdigest()},v0=x"}

    def post(self, kind: str, row: dict[str, Any], before: dict[str, Any] | None = None) -> int:
        data = {"object": row} | ({"previous_attributes": before} if before else {})
        event = {"id": "evt_1", "type": kind, "created": int(WHEN.timestamp()), "data": data}
        body = json.dumps(event).encode()
        return self.web.post(self.path, data=body, headers=self.signed(body)).status_code


class Shopify(Provider):
    adapter, channel = "shopify", Channel.WEBHOOK

    def config(self) -> dict[str, Any]:
        return {"secret": "a secret of a test"}

    def post(self, topic: str, row: Any, key: bytes = b"a secret of a test") -> int:
        body = json.dumps(row).encode()
        made = base64.b64encode(hmac.digest(key, body, "sha256")).decode()
        headers = {"X-Shopify-Hmac-Sha256": made, "X-Shopify-Topic": topic}
        return self.web.post(self.path, data=body, headers=headers).status_code


@pytest.fixture
def stripe(make: Factory, web: FlaskClient) -> Stripe:
    return Stripe(make, web)


@pytest.fixture
def shopify(make: Factory, web: FlaskClient) -> Shopify:
    return Shopify(make, web)


SESSION = {
    "id": "cs_1", "payment_status": "paid", "amount_total": 4990, "currency": "eur",
    "payment_intent": "pi_1", "invoice": None,
    "customer_details": {"email": "Ana@Example.com", "phone": None, "name": "Ana Maria Lopez"},
}  # fmt: skip
CHARGE = {"id": "ch_1", "payment_intent": "pi_1", "currency": "eur"}
ORDER = {
    "id": 450789469, "name": "#1001", "total_price": "199.00", "current_total_price": "189.50",
    "currency": "USD", "email": "bo@example.com", "phone": None, "test": False,
    "processed_at": "2026-11-20T05:00:00-05:00",
    "customer": {"first_name": "Bo", "last_name": "Berg", "phone": "+12015550123"},
}  # fmt: skip
REFUND = {
    "id": 509562969, "order_id": 450789469, "created_at": "2026-11-20T12:00:00Z",
    "transactions": [
        {"kind": "refund", "status": "success", "amount": "89.50", "currency": "USD"},
        {"kind": "refund", "status": "failure", "amount": "100.00", "currency": "USD"},
        {"kind": "void", "status": "success", "amount": "1.00", "currency": "USD"},
    ],
}  # fmt: skip


def told(all_rows: Rows) -> list[tuple[str, Decimal, str]]:
    return [(one.order_id, one.amount, one.currency) for one in all_rows(Order)]


def test_a_stripe_payment_is_an_order_of_a_new_member(
    stripe: Stripe, work: Callable[[], None], all_rows: Rows
) -> None:
    assert stripe.post("checkout.session.completed", SESSION) == 204
    work()

    [order], [member], [event] = all_rows(Order), all_rows(Member), all_rows(Event)
    assert (order.order_id, order.amount, order.currency) == ("stripe:pi_1", Decimal("49.9"), "EUR")
    assert order.occurred_at == WHEN
    assert (member.email, member.first_name, member.last_name) == (
        "ana@example.com", "Ana", "Maria Lopez",
    )  # fmt: skip
    assert member.total_spend == Decimal("49.9")
    assert event.name == "purchase"
    assert event.properties == {
        "source": "stripe", "order_id": "stripe:pi_1", "currency": "EUR", "total": 49.9,
    }  # fmt: skip


def test_a_shopify_order_is_an_order_of_who_has_the_address(
    shopify: Shopify, make: Factory, work: Callable[[], None], all_rows: Rows
) -> None:
    known = make.member(email="bo@example.com")
    make.address(known, "email", "bo@example.com")

    assert shopify.post("orders/paid", ORDER) == 200
    assert shopify.post("refunds/create", REFUND) == 200
    work()

    assert told(all_rows) == [
        ("shopify:450789469", Decimal("189.5"), "USD"),
        ("shopify:509562969", Decimal("-89.5"), "USD"),
    ]
    [member] = all_rows(Member)
    assert (member.id, member.total_spend) == (known, Decimal(100))
    names = {event.name: event.properties for event in all_rows(Event)}
    assert names["purchase"]["source"] == "shopify"
    assert names["purchase"]["order_name"] == "#1001"
    assert names["refund"]["refund_of"] == "shopify:450789469"


@pytest.mark.parametrize(
    ("currency", "amount", "expected"),
    [("jpy", 500, "500"), ("kwd", 5120, "5.12"), ("isk", 500, "5"), ("usd", 1, "0.01")],
)
def test_each_currency_has_its_smallest_unit(
    stripe: Stripe, work: Callable[[], None], all_rows: Rows,
    currency: str, amount: int, expected: str,
) -> None:  # fmt: skip
    stripe.post(
        "checkout.session.completed", SESSION | {"currency": currency, "amount_total": amount}
    )
    work()

    assert told(all_rows) == [("stripe:pi_1", Decimal(expected), currency.upper())]


def test_a_subscription_told_by_session_and_invoice_counts_once(
    stripe: Stripe, work: Callable[[], None], all_rows: Rows
) -> None:
    invoice = {
        "id": "in_1", "amount_paid": 4990, "currency": "eur", "customer_email": "ana@example.com",
        "customer_name": "Ana Lopez", "customer_phone": None,
    }  # fmt: skip
    stripe.post("invoice.paid", invoice)
    stripe.post("checkout.session.completed", SESSION | {"invoice": "in_1"})
    stripe.post("invoice.paid", invoice | {"id": "in_2"})
    work()

    assert [row[0] for row in told(all_rows)] == ["stripe:in_1", "stripe:in_2"]
    assert len(all_rows(Member)) == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_refunds_count_once_in_any_order_and_however_often(
    stripe: Stripe, work: Callable[[], None], all_rows: Rows, clock: ManualClock,
    order: tuple[int, ...],
) -> None:  # fmt: skip
    posts: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = [
        ("checkout.session.completed", SESSION, None),
        ("charge.refunded", CHARGE | {"amount_refunded": 1000}, {"amount_refunded": 0}),
        ("charge.refunded", CHARGE | {"amount_refunded": 4990}, {"amount_refunded": 1000}),
    ]
    for place in order:
        for _ in range(random.Random(place).randrange(1, 3)):
            assert stripe.post(*posts[place]) == 204
            work()
    clock.advance(minutes=5)
    work()
    # The same told in other bytes.
    stripe.post("charge.refunded", posts[1][1] | {"livemode": True}, posts[1][2])
    work()

    assert sorted(told(all_rows)) == [
        ("stripe:ch_1:1000", Decimal(-10), "EUR"),
        ("stripe:ch_1:4990", Decimal("-39.9"), "EUR"),
        ("stripe:pi_1", Decimal("49.9"), "EUR"),
    ]
    assert [one.total_spend for one in all_rows(Member)] == [0]
    assert {one.state for one in all_rows(InboxItem)} == {InboxState.APPLIED}


def test_what_was_told_first_stays(
    stripe: Stripe, work: Callable[[], None], all_rows: Rows
) -> None:
    stripe.post("checkout.session.completed", SESSION)
    stripe.post("checkout.session.completed", SESSION | {"amount_total": 1})
    work()

    assert told(all_rows) == [("stripe:pi_1", Decimal("49.9"), "EUR")]
    assert {one.state for one in all_rows(InboxItem)} == {InboxState.APPLIED}


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("checkout.session.completed", SESSION | {"payment_status": "unpaid"}),
        ("checkout.session.completed", SESSION | {"amount_total": 0}),
        ("checkout.session.completed", SESSION | {"customer_details": None}),
        ("charge.refunded", CHARGE | {"amount_refunded": 0}),
        ("customer.created", {"id": "cus_1"}),
    ],
)
def test_what_is_no_sale_is_nothing(
    stripe: Stripe, work: Callable[[], None], all_rows: Rows, kind: str, row: dict[str, Any]
) -> None:
    assert stripe.post(kind, row) == 204
    work()

    assert told(all_rows) == []
    assert [one.state for one in all_rows(InboxItem)] == [InboxState.APPLIED]


def test_shopify_s_tests_and_other_topics_are_nothing(
    shopify: Shopify, work: Callable[[], None], all_rows: Rows
) -> None:
    shopify.post("orders/paid", ORDER | {"test": True})
    shopify.post("orders/create", ORDER)
    shopify.post("refunds/create", REFUND | {"transactions": []})
    work()

    assert told(all_rows) == []


def test_a_bad_address_does_not_hide_the_other(
    shopify: Shopify, work: Callable[[], None], all_rows: Rows
) -> None:
    shopify.post("orders/paid", ORDER | {"email": "bo at example"})
    work()

    [member] = all_rows(Member)
    assert (member.email, member.phone, member.first_name) == (None, "+12015550123", "Bo")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Stripe-Signature": ""},
        {"Stripe-Signature": "t=,v1="},
        {"Stripe-Signature": "t=99999999999999999999,v1=00"},
        {"Stripe-Signature": "v1=" + "0" * 64},
        {"Stripe-Signature": "t=²,v1=é".encode().decode("latin-1")},
    ],
)
def test_a_signature_that_is_none_is_refused(
    stripe: Stripe, all_rows: Rows, headers: dict[str, str]
) -> None:
    """B025."""
    assert stripe.web.post(stripe.path, data=b"{}", headers=headers).status_code == 403
    assert all_rows(InboxItem) == []


@pytest.mark.parametrize(("ago", "status"), [(290, 204), (310, 403), (-310, 403)])
def test_a_stale_request_is_refused(stripe: Stripe, ago: int, status: int) -> None:
    """B026: where the provider signs a time and repeats with another."""
    body = b'{"type": "x", "data": {"object": {}}}'
    posted = stripe.web.post(stripe.path, data=body, headers=stripe.signed(body, ago))
    assert posted.status_code == status


def test_a_forged_request_is_refused(stripe: Stripe, shopify: Shopify, all_rows: Rows) -> None:
    """B025 and B027."""
    body = json.dumps({"type": "invoice.paid", "data": {"object": {"id": "in_1"}}}).encode()
    good = stripe.signed(body)
    other = stripe.signed(body, key="whsec_of_another")

    assert stripe.web.post(stripe.path, data=body + b" ", headers=good).status_code == 403
    assert stripe.web.post(stripe.path, data=body, headers=other).status_code == 403
    assert shopify.post("orders/paid", ORDER, key=b"another") == 403
    assert all_rows(InboxItem) == []


@pytest.mark.parametrize(
    "row", [{}, {"id": 1}, {"id": 1, "total_price": "a lot"}, {"id": 1, "total_price": "NaN"}, []]
)
def test_a_body_of_another_shape_is_malformed(shopify: Shopify, row: Any) -> None:
    assert shopify.post("orders/paid", row) == 400


def test_an_order_lets_a_member_into_a_journey(
    shopify: Shopify, work: Callable[[], None], sessions: Sessions, client_id: int
) -> None:
    with write(sessions) as session:
        listen(session, client_id=client_id, names=["event:purchase"])
    shopify.post("orders/paid", ORDER)
    work()

    with read(sessions) as session:
        [signal] = session.scalars(select(Signal))
        assert signal.name == "event:purchase"


def test_an_account_is_added_like_a_provider_s(desk: Desk, client_id: int) -> None:
    with write(desk.sessions) as session:
        made = add_account(
            session, desk.clock, desk.vault, client_id=client_id, name="Shop", adapter="shopify",
            config={"secret": "x"},
        )  # fmt: skip
        assert made.channel is Channel.WEBHOOK
        with pytest.raises(ConfigError) as caught:
            add_account(
                session, desk.clock, desk.vault, client_id=client_id, name="Pay", adapter="stripe",
                config={"signing_secret": "sk_live_1"},
            )  # fmt: skip
    assert caught.value.field == "config.signing_secret"
