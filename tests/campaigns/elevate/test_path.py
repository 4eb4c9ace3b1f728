"""Mirrors campaigns/elevate/path.py and stage.py: nodes, stars, locks; no database."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.client_settings import GATES, STEPS
from accounts.foundation import FACTS
from campaigns.elevate.metrics import names
from campaigns.elevate.path import (
    FEWEST_PEOPLE,
    Gate,
    Node,
    Rules,
    Seen,
    State,
    path,
    percent,
    stars,
)
from campaigns.elevate.rates import RATES, Counted
from campaigns.elevate.stage import STAGES, Group
from campaigns.journeys.ast import Elevate
from core.condition.text import parse

HOOK, GIFT, IDENTIFY = STAGES[Elevate.HOOK], STAGES[Elevate.GIFT], STAGES[Elevate.IDENTIFY]
NOTHING = {stage: Seen() for stage in STAGES}
COUNTS = st.integers(0, 40).flatmap(
    lambda all_: st.builds(Counted, st.integers(0, all_), st.just(all_))
)
SEEN = st.fixed_dictionaries(
    {stage: st.builds(Seen, st.booleans(), st.booleans(), COUNTS) for stage in STAGES}
)
RULES = st.builds(
    Rules,
    st.sampled_from(Gate),
    st.frozensets(st.sampled_from(Elevate)),
    st.dictionaries(st.sampled_from(Elevate), st.fractions(0, 1, max_denominator=20)),
)


def launched(numerator: int, denominator: int) -> Seen:
    return Seen(True, True, Counted(numerator, denominator))


def states(nodes: list[Node]) -> list[State]:
    return [one.state for one in nodes]


def test_every_step_has_its_rate_and_a_condition_that_can_be_read() -> None:
    assert list(STAGES) == list(Elevate)
    assert tuple(STAGES) == STEPS
    assert tuple(Gate) == GATES
    assert [one.group for one in STAGES.values()] == [group for group in Group for _ in range(3)]
    assert {one.rate for one in STAGES.values()} == {rate.name for rate in RATES}
    for one in STAGES.values():
        parse(one.done)
        assert 0 < one.works < one.great <= 1
    for rate in RATES:
        parse(f"({rate.of.format(days=30)}) and ({rate.did.format(days=30)})")


def test_the_page_tells_the_conditions_the_metrics_and_the_facts_there_are() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/elevate.md").read_text("utf-8")

    for step, one in STAGES.items():
        assert f"| {step} | `{one.done}` |\n" in page
    assert all(f"`{name}`" in page for name in (*names(), *FACTS))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Seen(), 0),
        (Seen(started=True), 0),
        # A rate without a journey of one's own earns nothing.
        (Seen(counted=Counted(10, 10)), 0),
        (launched(0, 0), 1),
        (launched(1, 100), 1),
        (launched(2, 100), 2),
        (launched(5, 100), 3),
        # Of too few people it says nothing.
        (launched(FEWEST_PEOPLE - 1, FEWEST_PEOPLE - 1), 1),
        (launched(FEWEST_PEOPLE, FEWEST_PEOPLE), 3),
    ],
)
def test_one_star_is_to_do_it_two_that_it_works_three_that_it_is_great(
    seen: Seen, expected: int
) -> None:
    assert stars(HOOK, seen) == expected


def test_the_third_star_is_the_clients_own_target() -> None:
    assert stars(HOOK, launched(10, 100), Fraction(1, 2)) == 2
    assert stars(HOOK, launched(50, 100), Fraction(1, 2)) == 3
    # A target below what works asks for no less than that.
    assert stars(HOOK, launched(1, 100), Fraction(1, 100)) == 1


def test_a_step_opens_when_the_one_before_has_a_star() -> None:
    start = path(NOTHING, {}, Rules(), practice=True)
    later = path(NOTHING | {Elevate.HOOK: launched(0, 0)}, {}, Rules(), practice=True)

    assert states(start) == [State.OPEN, *[State.LOCKED] * 8]
    assert start[1].reason == "earn a star in Hook first"
    assert states(later)[:3] == [State.DONE, State.OPEN, State.LOCKED]
    assert (later[0].stars, later[0].practice) == (0, 1)
    assert percent(later) == 100 // 27


def test_a_draft_is_in_progress() -> None:
    (hook, *_) = path(NOTHING | {Elevate.HOOK: Seen(started=True)}, {}, Rules(), practice=False)

    assert hook.state is State.IN_PROGRESS


@pytest.mark.parametrize("gate", [Gate.TEACHER, Gate.PAYMENT])
def test_identify_waits_for_teacher_or_payment(gate: Gate) -> None:
    held = {(Elevate.HOOK, False): 1, (Elevate.GIFT, False): 1}
    closed = path(NOTHING, held, Rules(gate), practice=False)
    opened = path(NOTHING, held, Rules(gate, frozenset({Elevate.IDENTIFY})), practice=False)

    assert (closed[2].state, opened[2].state) == (State.LOCKED, State.OPEN)
    assert gate in (closed[2].reason or "")


def test_a_teacher_opens_any_step() -> None:
    nodes = path(NOTHING, {}, Rules(opened=frozenset({Elevate.UPSELL})), practice=False)

    assert [one.stage.step for one in nodes if one.state is State.OPEN] == [
        Elevate.HOOK, Elevate.UPSELL,
    ]  # fmt: skip


def test_practice_and_live_stars_stand_apart() -> None:
    seen = NOTHING | {Elevate.HOOK: launched(50, 100)}
    held = {(Elevate.HOOK, True): 1}
    (live, *_) = path(seen, held, Rules(), practice=False)

    assert (live.stars, live.practice) == (3, 1)


def test_progress_is_told_in_numbers() -> None:
    (hook, *_) = path(NOTHING | {Elevate.HOOK: launched(1, 80)}, {}, Rules(), practice=False)

    assert hook.progress == "1.2 % of 2 % (1 of 80 people)"
    assert [one.met for one in hook.criteria] == [True, False, False]
    assert path(NOTHING, {}, Rules(), practice=False)[0].progress == "not measured yet"


@given(st.lists(st.tuples(SEEN, RULES, st.booleans()), min_size=1, max_size=6))
def test_stars_are_never_lost(history: list[tuple[dict[Elevate, Seen], Rules, bool]]) -> None:
    """Whatever happens: customers go, targets rise, gates close, practice begins again."""
    held: dict[tuple[Elevate, bool], int] = {}
    for seen, rules, practice in history:
        nodes = path(seen, held, rules, practice=practice)
        now = {(one.stage.step, False): one.stars for one in nodes}
        now |= {(one.stage.step, True): one.practice for one in nodes}
        for key, number in held.items():
            assert now[key] >= number
        for one in nodes:
            assert (one.state is State.DONE) == (one.stars + one.practice > 0)
            assert (one.reason is not None) == (one.state is State.LOCKED)
        held = now
