"""Metrics: the numbers of the funnel, named as the framework names them.

Each is measured from the log and the events, or entered by hand, or missing: what nobody can know
is None, never nought.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from sqlalchemy.orm import Session

from campaigns.elevate.money import Money, money
from campaigns.elevate.rates import LEADS, PERIOD, RATES, count, count_rate
from campaigns.elevate.stage import STAGES, Group
from campaigns.journeys.ast import Elevate
from core.clock import Clock

E = Elevate
PLACES = Decimal("0.0001")


class Unit(StrEnum):
    """What a value is."""

    RATE = "rate"  # from 0 to 1
    MONEY = "money"
    COUNT = "count"
    SCORE = "score"  # from -100 to 100
    RATIO = "ratio"  # 1.5 is half as much again


class Source(StrEnum):
    """Where a value comes from."""

    MEASURED = "measured"
    ENTERED = "entered"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of the funnel."""

    name: str
    group: Group | None
    """None is the whole."""
    stage: Elevate | None
    unit: Unit
    value: Decimal | None
    source: Source
    formula: str
    numerator: Decimal | None = None
    denominator: Decimal | None = None


def metrics(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    days: int,
    entered: Mapping[str, Decimal] | None = None,
) -> list[Metric]:
    """Measure the last days; what was entered by hand fills what cannot be measured.

    Cost: about 25 counts over the client's members, each from an index.
    """
    found = [*_rates(session, clock, client_id, days), *_scores(session, clock, client_id, days)]
    leads = _leads(session, clock, client_id, days)
    told = money(session, clock, client_id=client_id, days=days)
    found += [leads, *_money(told, int(leads.value or 0))]
    return [_filled(one, entered or {}) for one in found]


def names() -> list[str]:
    """Return the names of all metrics that may be entered."""
    nothing = Money(Decimal(0), 0, 0, Decimal(0), Decimal(0), 0, None)
    return [
        *(rate.name for rate in RATES),
        "educate_CSAT_NPS",
        "attract_LeadsTotal",
        *(one.name for one in _money(nothing, 0)),
    ]


def _filled(one: Metric, entered: Mapping[str, Decimal]) -> Metric:
    if one.source is Source.MISSING and one.name in entered:
        return replace(one, value=entered[one.name], source=Source.ENTERED)
    return one


def _rates(session: Session, clock: Clock, client_id: int, days: int) -> Iterator[Metric]:
    for rate in RATES:
        counted = count_rate(session, clock, rate, client_id=client_id, days=days)
        top, bottom = Decimal(counted.numerator), Decimal(counted.denominator)
        group = STAGES[rate.stage].group
        yield _share(rate.name, group, rate.stage, Unit.RATE, top, bottom, rate.formula(days))


def _scores(session: Session, clock: Clock, client_id: int, days: int) -> Iterator[Metric]:
    """Give the net promoter score: promoters less detractors, of all who answered."""
    asked = f"did feedback in the last {days} days where nps "
    promoters, detractors, all_ = (
        count(session, clock, asked + test, client_id=client_id)
        for test in (">= 9", "<= 6", ">= 0")
    )
    formula = "100 * (members whose feedback has nps >= 9, less those with nps <= 6) / all with nps"
    top = Decimal(100 * (promoters - detractors))
    yield _share(
        "educate_CSAT_NPS", Group.GROW, Elevate.EDUCATE, Unit.SCORE, top, Decimal(all_), formula
    )


def _leads(session: Session, clock: Clock, client_id: int, days: int) -> Metric:
    """Give the leads of the period; nought only where leads are told of at all."""
    ever = LEADS.replace(PERIOD, "")
    leads = count(session, clock, LEADS.format(days=days), client_id=client_id)
    known = leads or count(session, clock, ever, client_id=client_id)
    value = Decimal(leads) if known else None
    source = Source.MEASURED if known else Source.MISSING
    formula = LEADS.format(days=days)
    return Metric("attract_LeadsTotal", Group.ATTRACT, None, Unit.COUNT, value, source, formula)


def _money(told: Money, leads: int) -> list[Metric]:
    cost, buyers, nothing = told.cost, Decimal(told.buyers), Decimal(0)
    sold = told.sales if told.buyers else None
    gain = None if cost is None or sold is None else sold - cost
    new, ever = Decimal(told.first_orders), Decimal(told.buyers_ever)
    attract, convert, grow = Group
    money, ratio, one = Unit.MONEY, Unit.RATIO, Decimal(1)
    rows = (
        ("gift_CPL", attract, E.GIFT, money, cost, Decimal(leads), "cost of messages / leads"),
        (
            "sell_AOV_Initial",
            convert,
            E.SELL,
            money,
            told.first_sales,
            new,
            "first orders / buyers",
        ),
        ("nurture_RetargetingROAS", convert, E.NURTURE, ratio, None, nothing, "sales / ad cost"),
        ("convert_TotalSales", convert, None, money, sold, one, "purchases less refunds"),
        ("convert_CPA", convert, None, money, cost, buyers, "cost of messages / buyers"),
        ("upsell_AOV_Final", grow, E.UPSELL, money, sold, buyers, "sales / buyers"),
        ("grow_CLTV_Estimate", grow, None, money, told.spent_ever, ever, "all sales / all buyers"),
        ("overallROI", None, None, ratio, gain, cost or nothing, "(sales - cost) / cost"),
    )
    return [_share(*row) for row in rows]


def _share(
    name: str,
    group: Group | None,
    stage: Elevate | None,
    unit: Unit,
    top: Decimal | None,
    bottom: Decimal,
    formula: str,
) -> Metric:
    """Return one number divided by another; missing where there is nothing to divide."""
    value = None if top is None or bottom <= 0 else (top / bottom).quantize(PLACES)
    source = Source.MISSING if value is None else Source.MEASURED
    return Metric(name, group, stage, unit, value, source, formula, top, bottom)
