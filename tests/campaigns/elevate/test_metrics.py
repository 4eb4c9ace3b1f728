"""Mirrors campaigns/elevate/metrics.py, rates.py, money.py and snapshot.py."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from campaigns.elevate.metrics import Metric, Source, metrics, names
from campaigns.elevate.snapshot import save_snapshot, snapshots_page
from communications.communication import Communication
from core.db import read, write
from core.errors import InvalidError
from tests.campaigns.journeys.conftest import Shop

SEED = {
    "hook_AvgCTR", "gift_OptInRate", "gift_CPL", "attract_LeadsTotal",
    "engage_AssistedConversionRate", "sell_ConversionRate", "sell_AOV_Initial",
    "nurture_EmailConvRate", "nurture_RetargetingROAS", "convert_TotalSales", "convert_CPA",
    "upsell_TakeRate", "upsell_AOV_Final", "educate_RepeatPurchaseRate", "educate_CSAT_NPS",
    "share_ReviewRate", "grow_CLTV_Estimate", "overallROI",
}  # fmt: skip
UPSELL = """
journey "Upsell"
  when event purchase by order_id
  stage upsell
    send email "offer"
"""


def measured(shop: Shop, days: int = 30) -> dict[str, Metric]:
    with read(shop.sessions) as session:
        found = metrics(session, shop.clock, client_id=shop.client_id, days=days)
    return {one.name: one for one in found}


def test_an_empty_shop_measures_nothing(shop: Shop) -> None:
    shop.member()
    found = measured(shop)

    assert found.keys() >= SEED
    assert set(names()) == found.keys()
    assert {one.value for one in found.values()} == {None}
    assert {one.source for one in found.values()} == {Source.MISSING}


def test_rates_are_members_of_members(shop: Shop) -> None:
    for key in ("ana", "bo", "cy", "di"):
        shop.member(member_id=key)
        shop.did(key, "visited")
    for key in ("ana", "bo"):
        shop.did(key, "opted_in")
    shop.did("ana", "purchase", {"total": 40})
    shop.clock.advance(hours=1)
    shop.did("ana", "purchase", {"total": 60})
    shop.did("ana", "refund", {"total": -10})
    shop.did("ana", "review", {"rating": 5})
    for key, nps in (("ana", 10), ("bo", 9), ("cy", 3), ("di", 7)):
        shop.did(key, "feedback", {"nps": nps})
    found = measured(shop)

    def share(name: str) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        one = found[name]
        return one.numerator, one.denominator, one.value

    assert share("gift_OptInRate") == (2, 4, Decimal("0.5"))
    assert share("sell_ConversionRate") == (1, 2, Decimal("0.5"))
    assert share("educate_RepeatPurchaseRate") == (1, 1, 1)
    assert share("share_ReviewRate") == (1, 1, 1)
    assert share("educate_CSAT_NPS") == (100, 4, 25)
    assert found["attract_LeadsTotal"].value == 2
    assert found["convert_TotalSales"].value == 90
    assert found["sell_AOV_Initial"].value == 40
    assert found["upsell_AOV_Final"].value == 90
    assert found["grow_CLTV_Estimate"].value == 100
    # Nobody told what messages or advertisements cost.
    for name in ("gift_CPL", "convert_CPA", "overallROI", "nurture_RetargetingROAS"):
        assert (found[name].value, found[name].source) == (None, Source.MISSING)


def test_the_period_leaves_out_what_was_before(shop: Shop) -> None:
    shop.member(member_id="ana")
    shop.did("ana", "opted_in")
    shop.did("ana", "purchase", {"total": 40})
    shop.clock.advance(days=40)
    found = measured(shop)

    assert found["attract_LeadsTotal"].value == 0
    assert found["convert_TotalSales"].value is None
    assert found["grow_CLTV_Estimate"].value == 40
    assert measured(shop, days=60)["convert_TotalSales"].value == 40


def test_the_take_rate_is_of_those_a_journey_brought_there(shop: Shop) -> None:
    shop.template("offer")
    shop.member(member_id="before")
    shop.did("before", "purchase", {"order_id": "o0", "total": 10})
    shop.publish(UPSELL)
    for key in ("ana", "bo"):
        shop.member(member_id=key)
        shop.did(key, "purchase", {"order_id": f"{key}1", "total": 10})
    shop.settle()
    shop.did("ana", "purchase", {"order_id": "ana2", "total": 90})
    shop.settle()
    one = measured(shop)["upsell_TakeRate"]

    assert (one.numerator, one.denominator, one.value) == (1, 2, Decimal("0.5"))


def test_costs_that_providers_told_count(shop: Shop) -> None:
    shop.template("offer")
    shop.publish(UPSELL)
    ana = shop.member(member_id="ana")
    shop.did("ana", "opted_in")
    shop.did("ana", "purchase", {"order_id": "o1", "total": 11})
    shop.settle()
    with write(shop.sessions) as session:
        session.get_one(Communication, shop.log(ana)[0].id).cost = Decimal("0.5")
    found = measured(shop)

    assert found["gift_CPL"].value == Decimal("0.5")
    assert found["convert_CPA"].value == Decimal("0.5")
    assert found["overallROI"].value == 21


def test_a_snapshot_keeps_what_was_measured_and_takes_what_was_entered(shop: Shop) -> None:
    shop.member(member_id="ana")
    shop.did("ana", "opted_in")
    entered = {"gift_CPL": "1.50", "attract_LeadsTotal": 99}
    with write(shop.sessions) as session:
        now = save_snapshot(
            session, shop.clock, client_id=shop.client_id, period="Last 7 days", days=7,
            entered=entered, notes="spring",
        )  # fmt: skip
        april = save_snapshot(
            session, shop.clock, client_id=shop.client_id, period="April",
            day=date(2026, 4, 30), entered={"overallROI": 2},
        )  # fmt: skip
    shop.clock.advance(days=1)
    shop.did("ana", "purchase", {"total": 5})

    with read(shop.sessions) as session:
        last, first = snapshots_page(session, shop.client_id, before=None, limit=5)
    assert (last.id, last.day) == (april.id, date(2026, 4, 30))
    assert last.numbers == {"overallROI": {"value": "2", "source": "entered"}}
    assert (first.id, first.day) == (now.id, shop.clock.now().date() - timedelta(days=1))
    # What is measured is not overruled by hand; what nobody knows is not there.
    assert first.numbers["attract_LeadsTotal"] == {"value": "1", "source": "measured"}
    assert first.numbers["gift_CPL"] == {"value": "1.50", "source": "entered"}
    assert "convert_TotalSales" not in first.numbers


@pytest.mark.parametrize("entered", [{"gift_CLP": 1}, {"gift_CPL": "much"}, {"gift_CPL": "NaN"}])
def test_a_snapshot_refuses_what_is_no_number_of_the_funnel(
    shop: Shop, entered: dict[str, object]
) -> None:
    with write(shop.sessions) as session, pytest.raises(InvalidError) as caught:
        save_snapshot(
            session, shop.clock, client_id=shop.client_id, period="April", entered=entered
        )

    assert (caught.value.field or "").startswith("entered")
