"""Mirrors campaigns/trial.py."""

from dataclasses import replace
from itertools import count
from random import Random

import pytest

from campaigns.plan import Share
from campaigns.trial import (
    Counts,
    Goal,
    Guard,
    Recommendation,
    Standing,
    Trial,
    Verdict,
    judge,
)
from channels.channel import Channel

TESTS, LOOKS, EACH = 100, 40, 100
"""So many tests, each looked at after every 100 messages."""
NAMES = "ABCD"


def seen(*arms: tuple[int, int], weights: tuple[int, ...] = (), **standing: bool) -> Trial:
    """Judge arms of so many messages and goals each."""
    counts = [Counts(people, people, goals, 0, 0) for people, goals in arms]
    return judged(counts, weights, **standing)


def judged(counts: list[Counts], weights: tuple[int, ...] = (), **standing: bool) -> Trial:
    each = zip(NAMES, weights or (1,) * len(counts), count(1), strict=False)
    shares = [Share(*one) for one, _ in zip(each, counts, strict=False)]
    return judge(Channel.EMAIL, shares, counts, Goal.CLICK, Standing(**standing))


def looked_at(seed: int, rates: tuple[float, ...], weights: tuple[int, ...]) -> set[str]:
    """Send messages one by one to people drawn by lot; return the leaders named at any look."""
    dice, named = Random(seed), set()
    people, goals = [0] * len(rates), [0] * len(rates)
    for _ in range(LOOKS):
        for arm in dice.choices(range(len(rates)), weights, k=EACH):
            people[arm] += 1
            goals[arm] += dice.random() < rates[arm]
        leader = seen(*zip(people, goals, strict=True), weights=weights).leader
        named |= {leader} if leader else set()
    return named


@pytest.mark.parametrize(
    ("rates", "weights"),
    [((0.05, 0.05), (1, 1)), ((0.3, 0.3), (4, 1)), ((0.1, 0.1, 0.1, 0.1), (1, 1, 1, 1))],
)
def test_without_a_difference_hardly_any_test_is_ever_clear(
    rates: tuple[float, ...], weights: tuple[int, ...]
) -> None:
    wrong = sum(bool(looked_at(seed, rates, weights)) for seed in range(TESTS))

    assert wrong <= TESTS * 0.05


@pytest.mark.parametrize(
    ("rates", "weights"),
    [((0.05, 0.1), (1, 1)), ((0.1, 0.18), (3, 1)), ((0.1, 0.1, 0.2), (1, 1, 1))],
)
def test_a_real_difference_is_found_and_the_right_arm_named(
    rates: tuple[float, ...], weights: tuple[int, ...]
) -> None:
    named = [looked_at(seed, rates, weights) for seed in range(20)]

    assert sum(one == {NAMES[len(rates) - 1]} for one in named) >= 18


def test_the_four_words_and_what_to_do() -> None:
    clear = seen((1000, 50), (1000, 100))
    assert (clear.verdict, clear.recommendation) == (Verdict.CLEAR, Recommendation.STOP)
    assert (clear.leader, clear.remedy) == ("B", "send B from now on")
    assert clear.says.startswith("Clear: 10.0% clicked of B, 5.0% of A; the uplift is between +")
    likely = seen((1000, 60), (1000, 97))
    assert (likely.verdict, likely.recommendation) == (Verdict.LIKELY, Recommendation.CONTINUE)
    assert likely.p_value is not None
    assert 0.05 < likely.p_value <= 0.1
    close = seen((1000, 90), (1000, 100))
    assert (close.verdict, close.recommendation) == (Verdict.TOO_CLOSE, Recommendation.CONTINUE)
    assert close.remedy == "wait for more"
    assert {one.leader for one in (likely, close)} == {None}


@pytest.mark.parametrize("arms", [((99, 0), (5000, 900)), ((5000, 9), (5000, 0)), ((0, 0), (0, 0))])
def test_nobody_leads_before_there_is_enough(arms: tuple[tuple[int, int], ...]) -> None:
    weights = (1, 50) if arms[0][0] == 99 else (1, 1)
    early = seen(*arms, weights=weights)

    assert (early.verdict, early.leader) == (Verdict.TOO_EARLY, None)
    assert early.recommendation is Recommendation.CONTINUE
    assert "Too early" in early.says
    again = seen(*arms, weights=weights, over=True)
    assert again.remedy == "test again with more people"


def test_no_difference_is_said_when_none_can_matter_or_no_more_can_come() -> None:
    same = seen((200_000, 20_000), (200_000, 20_010))
    assert same.recommendation is Recommendation.NO_DIFFERENCE
    assert same.verdict is Verdict.TOO_CLOSE
    assert seen((1000, 90), (1000, 100), over=True).recommendation is Recommendation.NO_DIFFERENCE


def test_an_uplift_is_beside_the_best_of_the_others() -> None:
    a, b, c = seen((1000, 50), (1000, 60), (1000, 90)).arms

    assert [one.uplift.against for one in (a, b, c) if one.uplift] == ["C", "C", "B"]
    assert c.uplift is not None
    assert c.uplift.value == pytest.approx(0.5)
    assert c.uplift.low < 0.5 < (c.uplift.high or 0)
    assert (c.rate, c.low < 0.09 < c.high) == (0.09, True)
    nothing = seen((1000, 0), (1000, 12)).arms[1].uplift
    assert nothing is not None
    assert (nothing.value, nothing.high) == (None, None)
    assert nothing.low > -1


def test_with_more_arms_a_pair_needs_more() -> None:
    two, three = seen((1000, 50), (1000, 82)), seen((1000, 50), (1000, 82), (1000, 10))
    assert two.p_value is not None
    assert three.p_value == pytest.approx(3 * two.p_value)


def test_a_draw_that_is_not_as_planned_says_nothing_else() -> None:
    skewed = seen((600, 10), (400, 100))
    assert skewed.verdict is Verdict.SAMPLE_RATIO_MISMATCH
    assert (skewed.leader, skewed.recommendation) == (None, Recommendation.STOP)
    assert "A 600, B 400 drawn" in skewed.says
    assert "test again" in (skewed.remedy or "")
    assert seen((600, 10), (400, 100), weights=(3, 2)).verdict is Verdict.CLEAR


def test_messages_that_did_not_leave_alike_are_no_test_once_all_have_left() -> None:
    counts = [Counts(1000, 1000, 60, 0, 0), Counts(1000, 700, 100, 0, 0)]

    assert judged(counts).verdict is Verdict.CLEAR, "a batch of A may be ahead"
    assert judged(counts, done=True).verdict is Verdict.SAMPLE_RATIO_MISMATCH


def test_fair_draws_are_not_called_skewed() -> None:
    called = 0
    for seed in range(TESTS):
        dice = Random(seed)
        first = sum(dice.random() < 0.5 for _ in range(2000))
        verdict = seen((first, 100), (2000 - first, 100), done=True).verdict
        called += verdict is Verdict.SAMPLE_RATIO_MISMATCH
    assert called <= 1


def test_an_arm_that_people_flee_from_is_named() -> None:
    calm = [Counts(5000, 5000, 500, 10, 3), Counts(5000, 5000, 700, 14, 4)]
    assert [arm.worse for arm in judged(calm).arms] == [[], []]

    bad = [calm[0], replace(calm[1], unsubscribed=60, complained=40)]
    trial = judged(bad)

    assert [arm.worse for arm in trial.arms] == [[], list(Guard)]
    assert "B has more people who unsubscribed than chance explains." in trial.says
    assert "complained" in trial.says
    assert trial.leader == "B", "it is said, and left to people"


def test_one_wording_or_no_tracking_is_no_test() -> None:
    alone = seen((1000, 50))
    assert (alone.verdict, alone.recommendation) == (Verdict.NO_TEST, None)
    assert alone.p_value is None
    assert alone.arms[0].uplift is None
    blind = seen((1000, 0), (1000, 0), tracked=False)
    assert (blind.verdict, blind.remedy) == (Verdict.NO_TEST, "turn tracking on")
