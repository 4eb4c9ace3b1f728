"""Lifetime value: what a member has left with the client, and what is expected of the coming year.

History is orders less refunds in the client's own currency; other currencies are told, not counted.
What is expected comes from the client's own customers:

- `bg/nbd` with 100 customers who came back and 90 days of orders: members/buying.py, the next 365
  days.
- `cohort mean` with 10 customers known since before the horizon: what customers with as many orders
  left within it. The horizon is the longest of 365, 180, 90 and 30 days that this is so for.
- `not enough data` else: history alone.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Date, Numeric, case, func, select
from sqlalchemy.orm import Session

from core.clock import Clock
from core.db import UtcDateTime, is_sqlite
from core.rows import among
from members.buying import HIGH, LOW, Amounts, Purchases, Rates, fit_amounts, fit_rates, future
from members.order import Order, OrderKind, spend_currency
from members.score import Computed, Fitted, ScoreKind, ScoreModel, note_values, store_scores

VERSION = "value-1"
BG_NBD, COHORT, NOT_ENOUGH = "bg/nbd", "cohort mean", "not enough data"
REPEATERS, HISTORY_DAYS = 100, 90
COHORT_SIZE = 10
HORIZONS = (365, 180, 90, 30)
SAMPLE = 3000
"""Customers a model is fitted on; more would not move it, and take longer than the few seconds."""
CLASSES = ((4, "4 or more"), (2, "2 or 3"), (1, "1"))
"""From so many purchase days on: the cohort."""
CENT = Decimal("0.01")
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Bought:
    """What one member bought in the client's currency."""

    member_id: int
    days: int
    """Days (UTC) with an order."""
    first_at: datetime | None
    last_at: datetime | None
    net: Decimal
    """Orders less refunds."""
    foreign: int
    """Orders in other currencies, which are not counted."""

    def purchases(self, now: datetime) -> Purchases:
        """Return what the model needs to know; there is at least one day."""
        first, last = self.first_at or now, self.last_at or now
        span = (last - first) / DAY if self.days > 1 else 0.0
        mean = float(self.net) / self.days
        return Purchases(self.days, span, max((now - first) / DAY, span), mean)


def fit_values(session: Session, clock: Clock, *, client_id: int) -> Fitted:
    """Learn from a client's orders what to expect, by the best method they carry; only reads.

    Cost: one pass over the client's orders, and some three seconds where BG/NBD is fitted.
    """
    currency = spend_currency(session, client_id)
    method, parameters, quality = NOT_ENOUGH, {}, {"customers": 0, "came_back": 0}
    if currency is not None:
        customers, came_back, oldest = _counts(session, client_id, currency)
        quality = {"customers": customers, "came_back": came_back}
        part = max(1, math.ceil(customers / SAMPLE))
        old = oldest is not None and oldest <= clock.now() - HISTORY_DAYS * DAY
        if came_back >= REPEATERS and old:
            method = BG_NBD
            parameters = _fitted(session, clock.now(), client_id, currency, part)
        elif customers:
            parameters = _cohorts(session, clock.now(), client_id, currency, part)
            method = COHORT if parameters else NOT_ENOUGH
    return Fitted(ScoreKind.LIFETIME_VALUE, method, parameters | {"currency": currency}, quality)


def compute_values(
    session: Session, clock: Clock, model: ScoreModel, *, member_ids: Sequence[int]
) -> list[Computed]:
    """Return the values of those of the members who have ordered; nothing is stored."""
    currency = model.parameters.get("currency")
    if currency is None:
        return []
    bought = _bought(
        session, model.client_id, currency, among(session, Order.member_id, member_ids)
    )
    return [_value(one, model, clock.now()) for one in bought]


def store_values(
    session: Session, clock: Clock, model: ScoreModel, *, member_ids: Sequence[int]
) -> list[int]:
    """Compute and keep the values of members; return whose `lifetime_value` changed.

    Cost: four statements a set of members.
    """
    computed = compute_values(session, clock, model, member_ids=member_ids)
    store_scores(
        session,
        clock,
        client_id=model.client_id,
        kind=ScoreKind.LIFETIME_VALUE,
        version=VERSION,
        computed=computed,
    )
    return note_values(
        session,
        client_id=model.client_id,
        field="lifetime_value",
        kind=Numeric(14, 4),
        values=[
            (one.member_id, Decimal(str(one.value)).quantize(CENT))
            for one in computed
            if one.value is not None
        ],
    )


def _value(one: Bought, model: ScoreModel, now: datetime) -> Computed:
    """Return one member's value: history, and what the model expects."""
    currency, parameters = model.parameters["currency"], model.parameters
    details: dict[str, Any] = {
        "method": model.method,
        "currency": currency,
        "history": str(one.net.quantize(CENT)),
        "foreign_orders": one.foreign,
    }
    first = one.first_at.date().isoformat() if one.first_at else ""
    told = {
        "reason": "history",
        "points": float(one.net),
        "found": f"{one.days} {'day' if one.days == 1 else 'days'} with orders since {first}",
    }
    if not one.days:
        return Computed(one.member_id, None, details | {"top": [], "method": NOT_ENOUGH})
    if model.method == NOT_ENOUGH:
        details |= {"top": [told], "missing": _missing(model)}
        return Computed(one.member_id, _cents(float(one.net)), details)
    amount, low, high, found = _expected(one, model, now)
    horizon = int(parameters.get("horizon", HORIZONS[0]))
    expected = {"reason": "expected", "points": _cents(amount), "found": found}
    return Computed(
        one.member_id,
        _cents(float(one.net) + amount),
        details
        | {
            "horizon_days": horizon,
            "expected": f"{_cents(amount):.2f}",
            "top": sorted([told, expected], key=lambda each: -float(str(each["points"]))),
        },
        low=_cents(float(one.net) + low),
        high=_cents(float(one.net) + high),
    )


def _missing(model: ScoreModel) -> str:
    return (
        f"not enough data to expect anything: {model.quality['customers']} customers, "
        f"{model.quality['came_back']} of whom came back; it takes {COHORT_SIZE} known for 30 days"
    )


def _expected(one: Bought, model: ScoreModel, now: datetime) -> tuple[float, float, float, str]:
    """Return what is expected with its interval, and why in words."""
    if model.method == BG_NBD:
        rates, amounts = Rates(**model.parameters["rates"]), Amounts(**model.parameters["amounts"])
        seen = future(rates, amounts, one.purchases(now), HORIZONS[0])
        found = (
            f"a customer still with a chance of {seen.alive:.0%}, who would order on "
            f"{seen.orders:.1f} more days"
        )
        return seen.amount, seen.low, seen.high, found
    cohorts = model.parameters["cohorts"]
    name = _cohort(one.days)
    own = cohorts.get(name) or cohorts["all"]
    who = f"with {name} days of orders" if name in cohorts else "of any kind"
    found = f"what {own['customers']} customers {who} left on average"
    return own["mean"], own["low"], own["high"], found


def _cohort(days: int) -> str:
    return next(name for least, name in CLASSES if days >= least)


def _cents(amount: float) -> float:
    return round(min(amount, 9_999_999_999.0), 2)


def _is_own(currency: str) -> ColumnElement[bool]:
    return Order.currency == currency


def _day(session: Session) -> ColumnElement[Any]:
    at = Order.occurred_at if is_sqlite(session) else func.timezone("UTC", Order.occurred_at)
    return func.date(at, type_=Date())


def _bought(
    session: Session, client_id: int, currency: str, which: ColumnElement[bool]
) -> list[Bought]:
    own = _is_own(currency)
    ordered = own & (Order.kind == OrderKind.ORDER)
    at = case((ordered, Order.occurred_at))
    query = (
        select(
            Order.member_id,
            func.count(func.distinct(case((ordered, _day(session))))),
            func.min(at, type_=UtcDateTime()),
            func.max(at, type_=UtcDateTime()),
            func.coalesce(func.sum(case((own, Order.amount))), 0),
            func.count(case(((Order.kind == OrderKind.ORDER) & ~own, 1))),
        )
        .where(Order.client_id == client_id, which)
        .group_by(Order.member_id)
        .order_by(Order.member_id)
    )
    return [
        Bought(member_id, days, first, last, Decimal(str(net)).quantize(CENT), foreign)
        for member_id, days, first, last, net, foreign in session.execute(query)
    ]


def _counts(session: Session, client_id: int, currency: str) -> tuple[int, int, datetime | None]:
    """Return how many customers there are, how many came back, and when the first one ordered."""
    each = (
        select(
            func.count(func.distinct(_day(session))).label("days"),
            func.min(Order.occurred_at).label("first_at"),
        )
        .where(Order.client_id == client_id, _is_own(currency), Order.kind == OrderKind.ORDER)
        .group_by(Order.member_id)
        .subquery()
    )
    query = select(
        func.count(),
        func.count(case((each.c.days > 1, 1))),
        func.min(each.c.first_at, type_=UtcDateTime()),
    ).select_from(each)
    customers, came_back, oldest = session.execute(query).one()
    return customers, came_back, oldest


def _fitted(
    session: Session, now: datetime, client_id: int, currency: str, part: int
) -> dict[str, Any]:
    sample = [
        one.purchases(now)
        for one in _bought(session, client_id, currency, Order.member_id % part == 0)
        if one.days
    ]
    return {
        "rates": asdict(fit_rates(sample)),
        # Who came once tells nothing of how amounts of one customer scatter.
        "amounts": asdict(fit_amounts([one for one in sample if one.days > 1])),
        "horizon": HORIZONS[0],
    }


def _cohorts(
    session: Session, now: datetime, client_id: int, currency: str, part: int
) -> dict[str, Any]:
    """Return what customers left within the longest horizon that enough of them were known for."""
    for horizon in HORIZONS:
        left = _left_within(session, client_id, currency, part, now - horizon * DAY)
        if sum(len(amounts) for amounts in left.values()) < COHORT_SIZE:
            continue
        groups = left | {"all": [one for amounts in left.values() for one in amounts]}
        return {
            "horizon": horizon,
            "cohorts": {
                name: _summary(amounts)
                for name, amounts in groups.items()
                if len(amounts) >= COHORT_SIZE
            },
        }
    return {}


def _left_within(
    session: Session, client_id: int, currency: str, part: int, cut: datetime
) -> dict[str, list[float]]:
    """Return by cohort at `cut` what each customer of then has left since."""
    before = (Order.occurred_at <= cut) & (Order.kind == OrderKind.ORDER)
    days = func.count(func.distinct(case((before, _day(session)))))
    since = func.coalesce(func.sum(case((Order.occurred_at > cut, Order.amount))), 0)
    query = (
        select(days, since)
        .where(Order.client_id == client_id, _is_own(currency), Order.member_id % part == 0)
        .group_by(Order.member_id)
        .having(days > 0)
    )
    left: dict[str, list[float]] = {}
    for count, amount in session.execute(query):
        left.setdefault(_cohort(count), []).append(float(amount))
    return left


def _summary(amounts: Sequence[float]) -> dict[str, Any]:
    ranked = sorted(amounts)
    last = len(ranked) - 1
    return {
        "customers": len(ranked),
        "mean": sum(ranked) / len(ranked),
        "low": ranked[round(last * LOW)],
        "high": ranked[round(last * HIGH)],
    }
