"""Mirrors members/lot.py."""

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, cast, literal, select

from core.condition.ast import Lot
from members.lot import drawn, is_drawn


def part(lot: Lot) -> set[int]:
    return {number for number in range(1, 20_001) if is_drawn(lot, number)}


def test_a_lot_is_as_large_as_it_says_and_salts_are_independent() -> None:
    one, other = part(Lot(10, 100)), part(Lot(10, 100, "x"))

    assert 1_850 < len(one) < 2_150
    assert 1_850 < len(other) < 2_150
    assert 140 < len(one & other) < 260


def test_a_smaller_lot_lies_within_a_larger_one() -> None:
    assert part(Lot(10, 100)) < part(Lot(20, 100)) < part(Lot(1, 2))
    assert len(part(Lot(7, 7))) == 20_000


@given(st.integers(1, 100), st.text(max_size=9))
def test_every_window_of_ids_gets_its_share(of, salt) -> None:
    share = sum(is_drawn(Lot(1, 2, salt), number) for number in range(of, of + 1_000))

    assert 400 < share < 600


def test_huge_ids_are_drawn_alike_by_both_databases(sessions) -> None:
    with sessions() as session:
        for salt in ("", "x", "é"):
            lot = Lot(1, 2, salt)
            for huge in (2**31 - 1, 2**31 + 5, 2**62, 2**63 - 1):
                asked = drawn(lot, cast(literal(huge, BigInteger()), BigInteger()))
                assert bool(session.scalar(select(asked))) == is_drawn(lot, huge)
