"""Mirrors members/value.py: what members have left, and what is expected of them."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import insert, select

from core.clock import ManualClock
from core.db import Sessions, read, write
from members.member import Member
from members.order import Order, OrderKind
from members.score import Score, ScoreModel, scores_of, store_model
from members.value import compute_values, fit_values, store_values
from tests.factories import Factory
from tests.members.test_buying import simulated


class Till:
    """Writes orders directly: (member, days ago, amount, currency)."""

    def __init__(self, sessions: Sessions, clock: ManualClock, client_id: int) -> None:
        self.make, self.clock, self.number = Factory(sessions, clock, client_id), clock, 0
        self.sessions, self.client_id = sessions, client_id

    def members(self, count: int) -> list[int]:
        now = self.clock.now()
        rows = [
            {
                "client_id": self.client_id,
                "member_id": f"c{n}",
                "created_at": now,
                "updated_at": now,
            }
            for n in range(count)
        ]
        with write(self.sessions) as session:
            return list(session.scalars(insert(Member).returning(Member.id), rows))

    def sell(self, *sales: tuple[int, float, float] | tuple[int, float, float, str]) -> None:
        rows = []
        for member_id, ago, amount, *currency in sales:
            self.number += 1
            rows.append(
                {
                    "client_id": self.client_id,
                    "member_id": member_id,
                    "order_id": f"o{self.number}",
                    "kind": OrderKind.ORDER if amount > 0 else OrderKind.REFUND,
                    "amount": Decimal(str(amount)),
                    "currency": currency[0] if currency else "EUR",
                    "occurred_at": self.at(ago),
                    "created_at": self.clock.now(),
                }
            )
        with write(self.sessions) as session:
            session.execute(insert(Order), rows)

    def at(self, ago: float) -> datetime:
        return self.clock.now() - timedelta(days=ago)

    def learn(self) -> ScoreModel:
        with write(self.sessions) as session:
            fitted = fit_values(session, self.clock, client_id=self.client_id)
            return store_model(session, self.clock, client_id=self.client_id, fitted=fitted)

    def value(self, model: ScoreModel, member_id: int) -> Score:
        with write(self.sessions) as session:
            store_values(session, self.clock, model, member_ids=[member_id])
        with read(self.sessions) as session:
            return next(iter(scores_of(session, self.client_id, member_id).values()))


@pytest.fixture
def till(sessions: Sessions, clock: ManualClock, client_id: int) -> Till:
    return Till(sessions, clock, client_id)


def test_history_is_orders_less_refunds_in_the_clients_own_currency(till: Till) -> None:
    (ana,) = till.members(1)
    till.sell((ana, 40, 100), (ana, 20, 50.5), (ana, 10, -20.25), (ana, 5, 70, "USD"))
    found = till.value(till.learn(), ana)

    assert (found.value, found.low, found.high) == (130.25, None, None)
    assert found.reasons["method"] == "not enough data"
    assert (found.reasons["currency"], found.reasons["foreign_orders"]) == ("EUR", 1)
    assert "1 customers" in found.reasons["missing"]
    with read(till.sessions) as session:
        assert session.get_one(Member, ana).lifetime_value == Decimal("130.25")


def test_who_never_ordered_is_left_alone(till: Till) -> None:
    ana, bo = till.members(2)
    till.sell((ana, 40, 100))
    with write(till.sessions) as session:
        session.get_one(Member, bo).lifetime_value = Decimal(7)
    model = till.learn()
    with write(till.sessions) as session:
        assert store_values(session, till.clock, model, member_ids=[ana, bo]) == [ana]
        assert store_values(session, till.clock, model, member_ids=[ana, bo]) == []
    with read(till.sessions) as session:
        assert session.get_one(Member, bo).lifetime_value == Decimal(7)
        assert session.scalars(select(Score.member_id)).all() == [ana]


def test_a_few_customers_are_expected_to_do_as_others_did(till: Till) -> None:
    """Ten who ordered once before the last 90 days left 20 on average since."""
    known = till.members(10)
    till.sell(*[(one, 100, 50) for one in known])
    till.sell(*[(one, 30, 40) for one in known[:5]])
    new = known[-1]
    found = till.value(till.learn(), new)

    assert found.reasons["method"] == "cohort mean"
    assert found.reasons["horizon_days"] == 90
    assert found.reasons["expected"] == "20.00"
    assert (found.value, found.low, found.high) == (70, 50, 90)


def test_many_customers_make_a_model_whose_values_fit_what_comes(till: Till) -> None:
    made = simulated(700, seed=11)
    ids = till.members(len(made))
    sales = []
    for one, (known, _) in zip(ids, made, strict=True):
        gaps = max(known.days - 1, 1)
        for n in range(known.days):
            sales.append((one, known.age - known.span * n / gaps, round(known.mean + 0.01, 2)))
    till.sell(*sales)
    model = till.learn()

    assert model.method == "bg/nbd"
    assert model.quality["customers"] == 700
    with read(till.sessions) as session:
        computed = compute_values(session, till.clock, model, member_ids=ids)
    for one in computed:
        assert float(one.reasons["history"]) <= one.low <= one.high
    expected = sum(float(one.reasons["expected"]) for one in computed)
    assert expected == pytest.approx(sum(later for _, later in made), rel=0.3)
    assert {one.reasons["horizon_days"] for one in computed} == {365}


def test_computing_again_gives_what_is_stored(till: Till) -> None:
    known = till.members(12)
    till.sell(*[(one, 100 + n, 50 + n) for n, one in enumerate(known)])
    model = till.learn()
    stored = till.value(model, known[3])
    with read(till.sessions) as session:
        (again,) = compute_values(session, till.clock, model, member_ids=[known[3]])

    assert (again.value, again.low, again.high, again.reasons) == (
        stored.value,
        stored.low,
        stored.high,
        stored.reasons,
    )


def test_orders_of_others_teach_nothing(till: Till, clock: ManualClock) -> None:
    known = till.members(12)
    till.sell(*[(one, 100, 50) for one in known])
    other = till.make.another_client()
    with write(till.sessions) as session:
        fitted = fit_values(session, clock, client_id=other.client_id)
        model = store_model(session, clock, client_id=other.client_id, fitted=fitted)
        assert model.method == "not enough data"
        assert compute_values(session, clock, model, member_ids=known) == []
