"""Mirrors campaigns/evidence.py."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.evidence import ALPHA, mismatch, p_value, rate, ratio

COUNT = st.integers(0, 5_000)
SHARE = st.integers(1, 9).map(lambda tenths: tenths / 10)
TESTS, LOOKS, EACH = 200, 50, 100
"""So many tests, each looked at after every 100 messages."""


@given(COUNT, COUNT, SHARE)
def test_the_interval_and_the_p_value_say_the_same(first: int, second: int, share: float) -> None:
    low, high = ratio(first, second, share)
    p = p_value(first, second, share)

    assert 0.0 <= p <= 1.0
    if abs(p - ALPHA) > 1e-9:
        assert (low > 1 or (high is not None and high < 1)) is (p < ALPHA)
    seen = first / second * (1 - share) / share if second else None
    assert seen is None or low <= seen * 1.000001
    assert high is None or (seen is not None and seen <= high * 1.000001)
    assert (high is None) is (second == 0)
    assert ratio(first, second, share, 0.01)[0] <= low


@given(COUNT, COUNT, SHARE)
def test_the_arms_may_change_places(first: int, second: int, share: float) -> None:
    assert p_value(first, second, share) == pytest.approx(
        p_value(second, first, 1 - share), rel=1e-6, abs=1e-12
    )
    low, _ = ratio(first, second, share)
    _, high = ratio(second, first, 1 - share)
    assert low == 0 if high is None else low * high == pytest.approx(1, rel=1e-6)


@given(COUNT, COUNT)
def test_a_rate_is_in_its_interval_that_more_people_make_narrower(hits: int, misses: int) -> None:
    low, high = rate(hits, misses)
    seen = hits / (hits + misses) if hits + misses else 0.5

    assert 0.0 <= low <= seen <= high <= 1.0
    lower, higher = rate(10 * hits, 10 * misses)
    assert higher - lower <= high - low


@pytest.mark.parametrize("truth", [0.01, 0.07, 0.5])
def test_a_rates_interval_covers_the_truth_at_every_look(truth: float) -> None:
    lost = 0
    for seed in range(TESTS):
        dice, hits = Random(seed), 0
        for look in range(1, LOOKS + 1):
            hits += sum(dice.random() < truth for _ in range(EACH))
            low, high = rate(hits, look * EACH - hits)
            if not low <= truth <= high:
                lost += 1
                break
    assert lost <= TESTS * ALPHA


@pytest.mark.parametrize(
    ("one", "other", "weight"), [(0.06, 0.05, 1), (0.4, 0.2, 1), (0.1, 0.1, 3)]
)
def test_a_ratios_interval_covers_the_truth_at_every_look(
    one: float, other: float, weight: int
) -> None:
    """People are drawn one by one, as in a campaign; who has a goal is a toss of their arm's."""
    share, lost = weight / (weight + 1), 0
    for seed in range(TESTS):
        dice, first, second = Random(seed), 0, 0
        for _ in range(LOOKS):
            for _ in range(EACH):
                mine = dice.random() < share
                if dice.random() < (one if mine else other):
                    first, second = first + mine, second + (not mine)
            low, high = ratio(first, second, share)
            if not low <= one / other <= (high or float("inf")):
                lost += 1
                break
    assert lost <= TESTS * ALPHA


@pytest.mark.parametrize(
    ("square", "degrees", "p"),
    [(3.841459, 1, 0.05), (5.991465, 2, 0.05), (7.814728, 3, 0.05), (10.827566, 1, 0.001),
     (16.266236, 3, 0.001)],
)  # fmt: skip
def test_chi_square_is_that_of_the_tables(square: float, degrees: int, p: float) -> None:
    """Arms of 1,000,000 expected each, the first two off by as much as makes the square."""
    people, off = 10**10, (square / 2 * 10**10) ** 0.5
    counts = [round(people + off), round(people - off), *[people] * (degrees - 1)]

    assert mismatch(counts, [1] * (degrees + 1)) == pytest.approx(p, rel=1e-3)


def test_too_few_people_are_no_sample() -> None:
    assert mismatch([9, 0], [1, 1]) is None
    assert mismatch([10, 0], [1, 1]) == pytest.approx(0.00157, rel=0.01)
    assert mismatch([10], [1]) is None
    assert mismatch([0, 0], [1, 1]) is None


def test_a_fair_draw_hardly_ever_looks_skewed_and_a_skewed_one_does() -> None:
    fair = skewed = 0
    for seed in range(TESTS):
        dice = Random(seed)
        first = sum(dice.random() < 0.75 for _ in range(4_000))
        lost = sum(dice.random() < 0.2 for _ in range(first))
        fair += (mismatch([first, 4_000 - first], [3, 1]) or 0) < 0.001
        skewed += (mismatch([first - lost, 4_000 - first], [3, 1]) or 0) < 0.001
    assert fair <= 1
    assert skewed >= TESTS * 0.9
