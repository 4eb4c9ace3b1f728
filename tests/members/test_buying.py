"""Mirrors members/buying.py and core/minimise.py: customers made up with known parameters."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.minimise import minimise
from members.buying import Amounts, Purchases, Rates, chance_alive, fit_amounts, fit_rates, future

RATES = Rates(r=0.8, alpha=40.0, a=0.8, b=3.0)
AMOUNTS = Amounts(p=6.0, q=4.0, y=30.0)
HORIZON = 365.0


def simulated(customers: int, seed: int) -> list[tuple[Purchases, float]]:
    """Customers as the models say they are, with what each leaves in the next year."""
    dice = random.Random(seed)
    made = []
    for _ in range(customers):
        rate = dice.gammavariate(RATES.r, 1 / RATES.alpha)
        lost = dice.betavariate(RATES.a, RATES.b)
        age = dice.uniform(100, 700)
        price = dice.gammavariate(AMOUNTS.q, 1 / AMOUNTS.y)
        at, days, span, spent, later = 0.0, 0, 0.0, 0.0, 0.0
        while at < age + HORIZON:
            paid = dice.gammavariate(AMOUNTS.p, 1 / price)
            if at <= age:
                days, span, spent = days + 1, at, spent + paid
            else:
                later += paid
            # The first purchase makes a customer; each further one may be the last.
            if days + (at > age) > 1 and dice.random() < lost:
                break
            at += dice.expovariate(rate)
        made.append((Purchases(days, span, age, spent / days), later))
    return made


@pytest.fixture(scope="module")
def customers() -> list[tuple[Purchases, float]]:
    return simulated(2500, seed=7)


def test_rates_are_found_again(customers) -> None:
    found = fit_rates([known for known, _ in customers])

    assert found.r / found.alpha == pytest.approx(RATES.r / RATES.alpha, rel=0.15)
    assert found.r == pytest.approx(RATES.r, rel=0.25)
    assert found.a / (found.a + found.b) == pytest.approx(0.8 / 3.8, rel=0.2)


def test_amounts_are_found_again(customers) -> None:
    found = fit_amounts([known for known, _ in customers])

    mean = AMOUNTS.p * AMOUNTS.y / (AMOUNTS.q - 1)
    assert found.p * found.y / (found.q - 1) == pytest.approx(mean, rel=0.1)
    assert found.p == pytest.approx(AMOUNTS.p, rel=0.25)


def test_the_future_comes_as_it_was_expected() -> None:
    """Over all customers the sum is right, and the interval holds four times in five or more."""
    customers = simulated(6000, seed=3)
    expected = [future(RATES, AMOUNTS, known, HORIZON) for known, _ in customers]
    came = [later for _, later in customers]
    within = sum(
        one.low <= later <= one.high for one, later in zip(expected, came, strict=True)
    ) / len(came)

    assert sum(one.amount for one in expected) == pytest.approx(sum(came), rel=0.06)
    assert 0.8 <= within <= 0.93


def test_those_expected_to_leave_most_leave_more(customers) -> None:
    """Also with parameters fitted on half, for the other half."""
    half, other = customers[:1200], customers[1200:]
    known = [one for one, _ in half]
    rates, amounts = fit_rates(known), fit_amounts(known)
    ranked = sorted(other, key=lambda one: future(rates, amounts, one[0], HORIZON).amount)
    few, many = ranked[: len(ranked) // 2], ranked[len(ranked) // 2 :]

    assert sum(later for _, later in many) > 3 * sum(later for _, later in few)
    total = sum(future(rates, amounts, one, HORIZON).amount for one, _ in other)
    assert total == pytest.approx(sum(later for _, later in other), rel=0.2)


people = st.builds(
    lambda days, span, more, mean: Purchases(days, span if days > 1 else 0.0, span + more, mean),
    st.integers(1, 200),
    st.floats(0, 3000),
    st.floats(0, 3000),
    st.floats(0, 1e5),
)


@given(people, st.floats(1, 1000))
def test_what_is_expected_is_possible(one: Purchases, horizon: float) -> None:
    seen = future(RATES, AMOUNTS, one, horizon)

    assert 0 <= seen.alive <= 1
    assert 0 <= seen.low <= seen.high
    assert seen.orders >= 0
    assert math.isfinite(seen.high)
    assert future(RATES, AMOUNTS, one, horizon * 2).orders >= seen.orders - 1e-9


@given(people, st.floats(1, 1000))
def test_whoever_stays_away_longer_is_rather_lost(one: Purchases, longer: float) -> None:
    later = Purchases(one.days, one.span, one.age + longer, one.mean)

    assert chance_alive(RATES, later) <= chance_alive(RATES, one) + 1e-12


def test_a_valley_is_followed_to_its_end() -> None:
    def rosenbrock(at) -> float:
        x, y = at
        return (1 - x) ** 2 + 100 * (y - x * x) ** 2

    assert minimise(rosenbrock, [-1.0, 1.0], tolerance=1e-14) == pytest.approx([1, 1], abs=1e-3)
