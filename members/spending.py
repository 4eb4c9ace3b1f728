"""Spending: orders and refunds become what a member has spent, once each.

Only the client's currency is added to `members.total_spend`: `settings.currency` of the client, or
else that of its first order.

Invariants
    1. One order id of a client is one row, however often it is told.
    2. The refunds of an order never come to more than the order.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import column, func, select, table, update
from sqlalchemy.orm import Session

from accounts.client import Client
from core.address import AddressHasher
from core.clock import Clock
from core.db import UtcDateTime
from members.errors import OrderChangedError, OrderInvalidError
from members.member import Member
from members.order import CENT, Order, OrderKind, order_named, refunded, spend_currency, told_before
from members.queries import member as member_of
from members.referral import settle_commission
from members.tracking import ToldEvent, happened_at, track
from members.upsert import take_turn

LARGEST = Decimal(10) ** 10
CURRENCY = re.compile(r"[A-Z]{3}").fullmatch
MAX_ORDER_ID = 100
ATTRIBUTION_DAYS = 7
"""A click so long before an order is credited with it, unless `settings.attribution_days` says
otherwise."""
COMMUNICATIONS = table(
    "communications",
    column("id"), column("client_id"), column("member_id"), column("clicked_at", UtcDateTime()),
)  # fmt: skip
"""Named here, not imported: the log is a layer above."""
EVENTS = {OrderKind.ORDER: "purchase", OrderKind.REFUND: "refund"}


@dataclass(frozen=True, slots=True)
class Recorded:
    """An order, and whether it was new."""

    order: Order
    new: bool


def record_order(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    member_id: int,
    order_id: str,
    amount: Decimal,
    currency: str,
    occurred_at: datetime | None = None,
    properties: Mapping[str, Any] | None = None,
) -> Recorded:
    """Keep an order, its event `purchase` and what it adds to the member's spend.

    An order told again changes nothing. Raises OrderInvalidError with the field, OrderChangedError
    when the same id was told with another amount, currency or member, MemberNotFoundError.
    """
    take_turn(session, client_id)
    found = member_of(session, client_id, member_id)
    order = Order(
        client_id=client_id,
        member_id=found.id,
        order_id=_checked_id("order_id", order_id),
        kind=OrderKind.ORDER,
        amount=_checked_amount(amount),
        currency=_checked_currency(currency),
        occurred_at=happened_at(occurred_at, None, clock.now()),
        created_at=clock.now(),
    )
    return _kept(session, clock, hasher, found, order, properties or {})


def record_refund(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    order_id: str,
    refund_id: str,
    amount: Decimal | None = None,
    occurred_at: datetime | None = None,
) -> Recorded:
    """Keep a refund of an order: `amount`, positive, or all that is left of it.

    Raises OrderNotFoundError, OrderInvalidError when more is given back than was paid,
    OrderChangedError.
    """
    take_turn(session, client_id)
    paid = order_named(session, client_id, order_id)
    known = told_before(session, client_id, _checked_id("refund_id", refund_id))
    left = paid.amount + refunded(session, paid)
    back = left if amount is None else _checked_amount(amount)
    if known is not None and amount is None:
        back = -known.amount
    if known is None and (back > left or back <= 0):
        raise OrderInvalidError(
            f"{left:.2f} {paid.currency} of this order can be refunded",
            field="amount",
            remedy="give less, or nothing for all of it",
        )
    refund = Order(
        client_id=client_id,
        member_id=paid.member_id,
        order_id=refund_id,
        kind=OrderKind.REFUND,
        amount=-back,
        currency=paid.currency,
        refund_of=paid.order_id,
        occurred_at=happened_at(occurred_at, None, clock.now()),
        communication_id=paid.communication_id,
        created_at=clock.now(),
    )
    found = member_of(session, client_id, paid.member_id)
    return _kept(session, clock, hasher, found, refund, {"refund_of": paid.order_id})


def _kept(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    member: Member,
    order: Order,
    properties: Mapping[str, Any],
) -> Recorded:
    known = told_before(session, order.client_id, order.order_id)
    if known is not None:
        _same(known, order)
        return Recorded(known, new=False)
    if order.communication_id is None:
        order.communication_id = _credited(session, order)
    session.add(order)
    session.flush()
    if order.currency == spend_currency(session, order.client_id):
        session.execute(
            update(Member)
            .where(Member.id == member.id)
            .values(total_spend=func.coalesce(Member.total_spend, 0) + order.amount)
        )
        session.expire(member, ["total_spend"])
    settle_commission(session, clock, order)
    told = ToldEvent(
        name=EVENTS[order.kind],
        message_id=f"order:{order.order_id}",
        person={"member_id": member.member_id},
        properties={
            **properties,
            "order_id": order.order_id,
            "currency": order.currency,
            "total": float(order.amount),
        },
        occurred_at=order.occurred_at,
        ours=True,
    )
    track(session, clock, hasher, client_id=order.client_id, events=[told])
    return Recorded(order, new=True)


def _same(known: Order, told: Order) -> None:
    for name in ("member_id", "amount", "currency", "kind", "refund_of"):
        before, now = getattr(known, name), getattr(told, name)
        if before != now:
            raise OrderChangedError(
                f"“{told.order_id}” was told before with another {name}",
                field=name,
                remedy="refund it, or give the new one an id of its own",
            )


def _credited(session: Session, order: Order) -> int | None:
    """Return the message the member clicked in last before the order."""
    client = session.get_one(Client, order.client_id)
    days = int(client.settings.get("attribution_days", ATTRIBUTION_DAYS))
    c = COMMUNICATIONS.c
    query = (
        select(c.id)
        .where(
            c.client_id == order.client_id,
            c.member_id == order.member_id,
            c.clicked_at <= order.occurred_at,
            c.clicked_at > order.occurred_at - timedelta(days=days),
        )
        .order_by(c.clicked_at.desc(), c.id.desc())
        .limit(1)
    )
    return session.scalar(query)


def _checked_id(field: str, order_id: str) -> str:
    if not 1 <= len(order_id) <= MAX_ORDER_ID or "\x00" in order_id:
        raise OrderInvalidError(
            f"{field} is no text of 1 to {MAX_ORDER_ID} characters", field=field
        )
    return order_id


def _checked_amount(amount: Decimal) -> Decimal:
    if not amount.is_finite() or not 0 < amount < LARGEST or amount != amount.quantize(CENT):
        raise OrderInvalidError(
            f"“{amount}” is no amount of money",
            field="amount",
            remedy="write it as 49.90; what is given back is a refund of the order",
        )
    return amount.quantize(CENT)


def _checked_currency(currency: str) -> str:
    if CURRENCY(currency) is None:
        raise OrderInvalidError(
            f"“{currency[:10]}” is no currency", field="currency", remedy="write it as EUR"
        )
    return currency
