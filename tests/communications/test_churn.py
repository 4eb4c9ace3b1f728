"""Mirrors communications/churn.py and logistic.py: made-up members, whose rates we know."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from communications.activity import Act, Activity
from communications.churn import (
    SIZES,
    Case,
    backtest,
    binned,
    compute_churn,
    fit_churn,
    judged,
    measured,
    store_churn,
)
from communications.logistic import fit, probability, solve
from core.clock import ManualClock
from core.db import Sessions, read, write
from members.event import EventDay
from members.member import Member
from members.score import ScoreKind, ScoreModel, scores_of, store_model

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
THEN = NOON - timedelta(days=60)


def life(dice: random.Random) -> list[float]:
    """The days ago on which a made-up member was active: at a rate of its own, until it leaves."""
    gap = dice.lognormvariate(2.6, 0.9)
    start = dice.uniform(70, 425)
    stays = dice.expovariate(1 / 250)
    at, days = start, []
    while at > max(0.0, start - stays):
        days.append(at)
        at -= max(dice.expovariate(1 / gap), 0.5)
    return days


def cases(members: int, seed: int) -> list[Case]:
    dice = random.Random(seed)
    made = []
    for number in range(members):
        days = life(dice)
        one = Activity([Act("visit", NOON - timedelta(days=day)) for day in days])
        found = measured(one, THEN)
        if found is None:
            continue
        before = Activity([act for act in one.acts if act.at <= THEN])
        found = measured(before, THEN)
        if found is not None:
            made.append(Case(number, binned(found), not any(day < 60 for day in days)))
    return made


def test_predictions_come_true_on_members_that_were_not_seen() -> None:
    weights, _ = judged(cases(6000, seed=1))
    fresh = cases(6000, seed=2)
    tested = backtest([(probability(weights, one.bins, SIZES), one.churned) for one in fresh])

    assert tested["skill"] > 0.15
    for tenth in tested["calibration"]:
        assert tenth["predicted"] == pytest.approx(tenth["observed"], abs=0.06)


def test_shuffled_outcomes_foretell_nothing() -> None:
    made = cases(4000, seed=3)
    outcomes = [one.churned for one in made]
    random.Random(4).shuffle(outcomes)
    shuffled = [
        Case(one.member_id, one.bins, outcome) for one, outcome in zip(made, outcomes, strict=True)
    ]
    _, honest = judged(made)
    _, tested = judged(shuffled)

    assert tested["skill"] < 0.01
    assert honest["skill"] > 0.15


def test_the_table_of_thresholds_is_what_it_says() -> None:
    tested = backtest([(0.9, True), (0.8, True), (0.7, False), (0.2, True), (0.1, False)])
    table = {row["threshold"]: row for row in tested["thresholds"]}

    assert (table[0.5]["flagged"], table[0.5]["precision"], table[0.5]["recall"]) == (
        3,
        0.6667,
        0.6667,
    )
    assert table[0.9] == {"threshold": 0.9, "flagged": 1, "precision": 1.0, "recall": 0.3333}
    assert tested["base_rate"] == 0.6


def test_an_oracle_has_skill_one_and_the_average_none() -> None:
    happened = [True, False, False, True]
    assert backtest([(float(one), one) for one in happened])["skill"] == 1
    assert backtest([(0.5, one) for one in happened])["skill"] == 0


class Crowd:
    """A client with made-up members."""

    def __init__(self, sessions: Sessions, clock: ManualClock, client_id: int) -> None:
        self.sessions, self.clock, self.client_id = sessions, clock, client_id

    def live(self, lives: Sequence[Sequence[float]]) -> list[int]:
        now = self.clock.now()
        rows = [
            {
                "client_id": self.client_id,
                "member_id": f"c{len(lives)}-{n}",
                "created_at": now,
                "updated_at": now,
            }
            for n in range(len(lives))
        ]
        with write(self.sessions) as session:
            ids = list(session.scalars(insert(Member).returning(Member.id), rows))
            days = {
                (one, at.date()): at
                for one, ago in zip(ids, lives, strict=True)
                for at in (now - timedelta(days=day) for day in ago)
            }
            session.execute(
                insert(EventDay),
                [
                    {
                        "client_id": self.client_id,
                        "name": "visit",
                        "day": day,
                        "member_id": one,
                        "count": 1,
                        "amount": 0,
                        "first_at": at,
                        "last_at": at,
                    }
                    for (one, day), at in days.items()
                ],
            )
        return ids

    def learn(self) -> ScoreModel:
        with write(self.sessions) as session:
            fitted = fit_churn(session, self.clock, client_id=self.client_id)
            return store_model(session, self.clock, client_id=self.client_id, fitted=fitted)


@pytest.fixture
def crowd(sessions: Sessions, clock: ManualClock, client_id: int) -> Crowd:
    return Crowd(sessions, clock, client_id)


def test_a_client_with_a_past_learns_from_it(crowd: Crowd) -> None:
    dice = random.Random(5)
    lives = [life(dice) for _ in range(1500)]
    ids = crowd.live(lives)
    loyal, silent = crowd.live(
        [[n * 7.0 for n in range(1, 40)], [130.0 + 7 * n for n in range(30)]]
    )
    model = crowd.learn()

    assert model.method == "logistic on bins"
    assert model.quality["skill"] > 0.1
    assert len(model.quality["thresholds"]) == 9
    with write(crowd.sessions) as session:
        store_churn(session, crowd.clock, model, member_ids=[loyal, silent, ids[0]])
    with read(crowd.sessions) as session:
        stay, leave = (
            scores_of(session, crowd.client_id, one)[ScoreKind.CHURN_RISK]
            for one in (loyal, silent)
        )
        (again,) = compute_churn(session, crowd.clock, model, member_ids=[silent])
    assert stay.value < 0.3 < 0.6 < leave.value
    assert (again.value, again.reasons) == (leave.value, leave.reasons)
    assert {one["reason"] for one in leave.reasons["top"]} >= {"silence", "rhythm"}
    assert any("130 days ago" in one["found"] for one in leave.reasons["top"])


def test_a_client_without_a_past_is_told_so(crowd: Crowd) -> None:
    ids = crowd.live([[100.0, 90.0, 10.0]] * 20)
    model = crowd.learn()
    with read(crowd.sessions) as session:
        (found, *_) = compute_churn(session, crowd.clock, model, member_ids=ids)

    assert model.method == "not enough data"
    assert found.value is None
    assert "20 members" in found.reasons["missing"]


def test_a_past_of_pure_chance_is_told_so(crowd: Crowd) -> None:
    """Who is active again was drawn by lot: the model has no skill, so there is none."""
    dice = random.Random(6)
    crowd.live(
        [
            [65.0 + dice.uniform(0, 100), *([dice.uniform(1, 59)] if dice.random() < 0.5 else [])]
            for _ in range(800)
        ]
    )
    model = crowd.learn()

    assert model.method == "not enough data"
    assert "does not foretell" in model.quality["missing"]


def test_whoever_did_nothing_for_a_year_has_no_features() -> None:
    assert measured(Activity([Act("visit", NOON - timedelta(days=366))]), NOON) is None


@given(st.lists(st.floats(0, 364), min_size=1, max_size=60))
def test_every_member_falls_into_a_bin(days: list[float]) -> None:
    found = measured(Activity([Act("visit", NOON - timedelta(days=day)) for day in days]), NOON)

    assert found is not None
    assert -1 <= found["slope"] <= 1
    assert all(0 <= one < size for one, size in zip(binned(found), SIZES, strict=True))


def test_a_fit_is_calibrated_bin_by_bin() -> None:
    cells = {(0, 0): (4000, 400), (0, 1): (3000, 900), (1, 0): (2000, 900), (1, 1): (1000, 800)}
    weights = fit(cells, (2, 2))

    for feature in (0, 1):
        for one in (0, 1):
            mine = {bins: held for bins, held in cells.items() if bins[feature] == one}
            told = sum(probability(weights, bins, (2, 2)) * n for bins, (n, _) in mine.items())
            assert told == pytest.approx(sum(yes for _, yes in mine.values()), rel=0.01)


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=3))
def test_equations_are_solved(wanted: list[float]) -> None:
    matrix = [[0.0, 2.0, 1.0], [3.0, 1.0, 0.0], [1.0, 0.0, 4.0]]
    right = [sum(a * x for a, x in zip(row, wanted, strict=True)) for row in matrix]

    assert solve(matrix, right) == pytest.approx(wanted, abs=1e-8)
