"""Mirrors communications/status.py."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.adapter import EventType
from communications.status import (
    FACTS,
    OPERATOR_STEPS,
    PERHAPS_SENT,
    STATUS_OF,
    STEPS,
    Fact,
    Rank,
    Status,
    Step,
    learn,
)
from tests.communications.status_page import PAGE, page


def paths(status: Status, taken: tuple[Step, ...], length: int) -> list[tuple[Step, ...]]:
    """Every sequence of our own unasked steps from `status`."""
    if length == 0:
        return [taken]
    found = [taken]
    for step, (allowed, target) in STEPS.items():
        if status in allowed and step not in OPERATOR_STEPS:
            found += paths(target, (*taken, step), length - 1)
    return found


def test_no_path_of_our_own_steps_sends_again_after_a_perhaps_sent() -> None:
    for path in paths(Status.QUEUED, (), 6):
        for number, step in enumerate(path):
            if step in PERHAPS_SENT:
                assert Step.INTEND not in path[number:], path


def test_a_send_starts_from_queued_and_from_nowhere_else() -> None:
    assert STEPS[Step.INTEND][0] == {Status.QUEUED}
    assert [step for step, (_, target) in STEPS.items() if target is Status.SENDING] == [
        Step.INTEND
    ]


def test_only_an_operator_or_evidence_moves_unknown() -> None:
    movers = {step for step, (allowed, _) in STEPS.items() if Status.UNKNOWN in allowed}

    assert movers == {Step.RESEND, Step.GIVE_UP, Step.ACCEPT}


@given(st.lists(st.sampled_from(list(Fact)), max_size=8), st.randoms())
def test_facts_in_any_order_and_any_number_give_one_result(facts: list[Fact], random) -> None:
    def fold(order: list[Fact]) -> Rank:
        rank = Rank.OPEN
        for fact in order:
            rank = learn(rank, fact)
        return rank

    shuffled = facts * 2
    random.shuffle(shuffled)

    assert fold(shuffled) == fold(facts)


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        # one rule a line
        ((Fact.SENT, Fact.DELIVERED, Fact.OPENED, Fact.CLICKED, Fact.REPLIED), Status.REPLIED),
        ((Fact.SENT, Fact.UNDELIVERED), Status.FAILED),
        ((Fact.DELIVERED, Fact.UNDELIVERED), Status.DELIVERED),
        ((Fact.BOUNCED_SOFT, Fact.DELIVERED), Status.DELIVERED),
        ((Fact.DELIVERED, Fact.BOUNCED_HARD), Status.BOUNCED),
        ((Fact.BOUNCED_HARD, Fact.OPENED), Status.READ),
        ((Fact.CLICKED, Fact.DELIVERED), Status.CLICKED),
    ],
)
def test_the_rules_of_provider_events_hold_in_every_order(
    facts: tuple[Fact, ...], status: Status
) -> None:
    for order in permutations(facts):
        rank = Rank.OPEN
        for fact in order:
            rank = learn(rank, fact)
        assert STATUS_OF[rank] is status, order


def test_every_fact_is_an_event_type_and_has_its_own_rank() -> None:
    assert {fact.value for fact in Fact} <= {event.value for event in EventType}
    assert len({rank for rank, _, _ in FACTS.values()}) == len(Fact)


def test_the_reference_page_equals_the_table() -> None:
    written = PAGE.read_text()

    assert written == page(), "run `python -m tests.communications.status_page`"
