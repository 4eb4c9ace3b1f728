"""Roi: what a campaign cost and what it earned, with the model named and an interval.

Revenue is credited to the message whose link a member clicked last before an order, within the
client's window (members.spending); refunds are taken off. That is not proof that the message
caused the order: for that it takes a control group, which no campaign has yet.
"""

from dataclasses import dataclass
from decimal import Decimal
from math import ceil, sqrt

from sqlalchemy import BigInteger, Float, cast, func, select
from sqlalchemy.orm import Session

from campaigns.queries import campaign as find_campaign
from communications.communication import Communication
from communications.day import amount_of, sum_of
from communications.report import Chosen, counts_of
from members.order import Order, OrderKind, spend_currency
from members.revenue import UNITS, money

C = Communication
MODEL = "last_click"
ENOUGH = 10
"""Orders below which an interval would be a guess."""
Z = 1.96
"""Nineteen times in twenty."""
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Roi:
    """What a campaign cost and earned, in the client's currency."""

    model: str
    currency: str | None
    messages: int
    """Those that a provider took."""
    cost: Decimal
    """As providers told it."""
    estimated: Decimal
    """Of the messages without a price yet: cost_per_message each, 0 where that is not known."""
    unpriced: int
    orders: int
    revenue: Decimal
    low: Decimal | None
    high: Decimal | None
    """Nineteen times in twenty such a campaign earns between low and high; null: too few orders."""
    return_on_cost: float | None
    """(revenue - cost - estimated) ÷ (cost + estimated); null where nothing was paid."""
    break_even_orders: int | None
    """Orders of the mean amount that pay for it; null before the first order."""
    lift: None = None
    """Not measured: it takes a control group."""


def roi(session: Session, client_id: int, campaign_id: int) -> Roi:
    """Return a campaign's costs and revenue. Raises CampaignNotFoundError.

    Costs and orders in other currencies than the client's are left out.
    """
    campaign = find_campaign(session, client_id, campaign_id)
    currency = spend_currency(session, client_id)
    counts = counts_of(session, client_id, Chosen(campaign_id=campaign_id))
    counted = counts.c.currency == currency if currency else counts.c.currency.is_not(None)
    paid = func.coalesce(func.sum(counts.c.units).filter(counted), 0)
    messages, unpriced, units = session.execute(
        select(sum_of(counts, "taken"), sum_of(counts, "unpriced"), cast(paid, BigInteger))
    ).one()
    earned = _earned(session, client_id, campaign_id, currency)
    cost = amount_of(units)
    estimated = unpriced * (campaign.cost_per_message or Decimal(0))
    low, high = _interval(earned, messages)
    spent = cost + estimated
    mean = earned.gross / earned.orders if earned.orders else Decimal(0)
    return Roi(
        model=MODEL,
        currency=currency,
        messages=messages,
        cost=cost,
        estimated=estimated,
        unpriced=unpriced,
        orders=earned.orders,
        revenue=earned.revenue,
        low=low,
        high=high,
        return_on_cost=float((earned.revenue - spent) / spent) if spent else None,
        break_even_orders=ceil(spent / mean) if mean > 0 else None,
    )


@dataclass(frozen=True, slots=True)
class _Earned:
    """The orders and refunds credited to a campaign."""

    orders: int
    gross: Decimal
    """Before refunds."""
    revenue: Decimal
    squares: float
    """The sum of the squares of all amounts."""


def _earned(session: Session, client_id: int, campaign_id: int, currency: str | None) -> _Earned:
    exact = cast(Order.amount, Float)
    bought = Order.kind == OrderKind.ORDER
    query = (
        select(
            func.count().filter(bought),
            func.sum(UNITS).filter(bought),
            func.sum(UNITS),
            func.coalesce(func.sum(exact * exact), 0.0),
        )
        .join(C, C.id == Order.communication_id)
        .where(
            Order.client_id == client_id,
            Order.currency == currency,
            C.client_id == client_id,
            C.campaign_id == campaign_id,
        )
    )
    orders, gross, revenue, squares = session.execute(query).one()
    return _Earned(orders, money(gross), money(revenue), squares)


def _interval(earned: _Earned, messages: int) -> tuple[Decimal | None, Decimal | None]:
    """Return between what the revenue of as many messages lies, most of which earn nothing."""
    if earned.orders < ENOUGH or messages < earned.orders:
        return None, None
    total = float(earned.revenue)
    mean = total / messages
    error = Z * sqrt(max(0.0, earned.squares / messages - mean * mean) / messages) * messages
    return Decimal(total - error).quantize(CENT), Decimal(total + error).quantize(CENT)
