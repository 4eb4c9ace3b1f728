"""Mirrors members/duplicates.py."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.db import write
from members import duplicates
from members.duplicates import dismiss_duplicate, duplicates_page, find_duplicates, near
from members.errors import DuplicateNotFoundError
from members.merge import merge, undo_merge
from tests.factories import Factory

BORN = date(1990, 1, 31)


@pytest.fixture
def make(sessions, clock, client_id) -> Factory:
    return Factory(sessions, clock, client_id)


@pytest.fixture
def found(sessions, clock, client_id):
    """Look at everybody; return the pairs with their reasons, the likeliest first."""

    def run() -> list[tuple[int, int, list[str]]]:
        after: int | None = 0
        while after is not None:
            with write(sessions) as session:
                after = find_duplicates(session, clock, client_id=client_id, after=after)
        with sessions() as session:
            pairs = duplicates_page(session, client_id)
            return [(pair.first_id, pair.second_id, pair.reasons) for pair in pairs]

    return run


def test_twins_are_found_with_reasons_the_likeliest_first(make, found) -> None:
    ana = make.member(first_name="Ana", last_name="Li", date_of_birth=BORN)
    anna = make.member(first_name="Anna", last_name="Li", date_of_birth=BORN)
    turned = make.member(first_name="li", last_name="ANA", date_of_birth=BORN)
    make.address(ana, "email", "ana@example.com")
    make.address(turned, "email", "ana@example.com")

    assert found() == [
        (ana, turned, ["same_email", "same_birthday", "same_name"]),
        (anna, turned, ["same_birthday", "similar_name"]),
        (ana, anna, ["same_birthday", "similar_name"]),
    ]


@pytest.mark.parametrize(
    ("one", "other", "reasons"),
    [
        ({"phone": "+12015550123"}, {"phone": "+442015550123"}, ["same_phone_tail", "same_name"]),
        ({"email": "a.li@x.com"}, {"email": "a.li@y.com"}, ["same_name", "same_mailbox_name"]),
        ({}, {}, None),
        ({"date_of_birth": BORN}, {"date_of_birth": date(1990, 1, 30)}, None),
        ({"date_of_birth": BORN}, {"date_of_birth": BORN, "first_name": "Bohdan"}, None),
    ],
)
def test_a_name_alone_is_no_reason(one, other, reasons, make, found) -> None:
    same = {"first_name": "Ana", "last_name": "Li"}
    first, second = make.member(**same | one), make.member(**same | other)

    pairs = found()

    assert pairs == ([(first, second, reasons)] if reasons and pairs else [])
    assert bool(pairs) is (reasons is not None)


def test_nobody_is_the_twin_of_who_is_gone_or_anothers(make, found, clock) -> None:
    ana = make.member()
    other = make.another_client()
    for maker, member_id in (
        (make, ana),
        (make, make.member(deleted_at=clock.now())),
        (other, other.member()),
    ):
        maker.address(member_id, "email", "ana@example.com")

    assert found() == []


def test_a_pair_that_was_dismissed_stays_so(make, found, sessions, clock, client_id) -> None:
    for _ in range(2):
        make.address(make.member(), "sms", "+12015550123")
    assert len(found()) == 1
    with write(sessions) as session:
        (pair,) = duplicates_page(session, client_id)
        with pytest.raises(DuplicateNotFoundError):
            dismiss_duplicate(session, clock, client_id=client_id + 1, duplicate_id=pair.id)
        dismiss_duplicate(session, clock, client_id=client_id, duplicate_id=pair.id)

    assert found() == []
    with sessions() as session:
        assert len(duplicates_page(session, client_id, dismissed=True)) == 1


def test_a_merged_pair_is_gone_until_the_merge_is_undone(
    make, found, sessions, clock, client_id
) -> None:
    ana, twin = make.member(), make.member()
    for one in (ana, twin):
        make.address(one, "email", "ana@example.com")
    before = found()
    with write(sessions) as session:
        done = merge(session, clock, client_id=client_id, survivor_id=ana, absorbed_id=twin).id
    assert found() == []
    with write(sessions) as session:
        undo_merge(session, clock, client_id=client_id, merge_id=done)
    with sessions() as session:
        assert [p.first_id for p in duplicates_page(session, client_id)] == [ana]
    assert found() == before


def test_pairs_are_walked_by_score_and_looked_for_in_steps(
    make, found, sessions, client_id, monkeypatch
) -> None:
    monkeypatch.setattr(duplicates, "LOOK", 2)
    for number in range(3):
        for _ in range(2):
            make.address(make.member(), ["email", "sms", "push"][number])
    for number, kind in enumerate(("email", "sms", "push")):
        for _ in range(2):
            make.address(make.member(), kind, f"twin-{number}")

    assert [reasons for *_, reasons in found()] == [["same_email"], ["same_phone"], ["same_device"]]
    with sessions() as session:
        first = duplicates_page(session, client_id, limit=1)[0]
        rest = duplicates_page(session, client_id, before=(first.score, first.id))
    assert [one.score for one in rest] == [80, 70]


def edits(one: str, other: str) -> int:
    """The textbook's distance."""
    if not one or not other:
        return len(one) + len(other)
    return min(
        edits(one[1:], other) + 1,
        edits(one, other[1:]) + 1,
        edits(one[1:], other[1:]) + (one[0] != other[0]),
    )


@given(one=st.text("ab", max_size=5), other=st.text("ab", max_size=5))
def test_near_is_an_edit_distance_of_two(one, other) -> None:
    assert near(one, other) == (edits(one, other) <= 2)
