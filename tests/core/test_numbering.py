"""Mirrors core/numbering.py."""

import random

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.address import AddressError, _odd_phone, normalise_phone
from core.numbering import surely_valid

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
KINDS = (
    phonenumbers.PhoneNumberType.MOBILE,
    phonenumbers.PhoneNumberType.FIXED_LINE,
    phonenumbers.PhoneNumberType.PREMIUM_RATE,
    phonenumbers.PhoneNumberType.TOLL_FREE,
)


def the_long_way(text: str) -> str | None:
    try:
        return _odd_phone(text, None)
    except AddressError:
        return None


@pytest.mark.parametrize("text", ["+12015550123", "+33612345678", "+4915123456789", "+79123456789"])
def test_ordinary_numbers_are_answered_quickly(text: str) -> None:
    assert surely_valid(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "12015550123",
        "+1 2015550123",
        "+19005550123",
        "+12010000000",
        "+99912345678",
        "+77012345678",
    ],
)
def test_whatever_is_not_sure_goes_the_long_way(text: str) -> None:
    assert not surely_valid(text)


@given(st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True))
def test_a_quick_yes_is_the_long_ways_answer(text: str) -> None:
    assert not surely_valid(text) or the_long_way(text) == text


def test_a_quick_yes_is_the_long_ways_answer_around_the_numbers_of_every_country() -> None:
    dice = random.Random(20261121)
    said_yes = 0
    for region in REGIONS:
        for kind in KINDS:
            known = phonenumbers.example_number_for_type(region, kind)
            if known is None:
                continue
            digits = list(phonenumbers.format_number(known, phonenumbers.PhoneNumberFormat.E164))
            for changes in range(4):
                for _ in range(changes):
                    digits[dice.randrange(1, len(digits))] = dice.choice("0123456789")
                text = "".join(digits)
                if surely_valid(text):
                    said_yes += 1
                    assert the_long_way(text) == text
    assert said_yes > len(REGIONS)


@given(
    st.sampled_from(["12015550123", "442079460123", "33612345678", "39061234567", "4930231251"]),
    st.lists(st.sampled_from(["", "", "", " ", "-", ".", "(", ")", " (", ") "]), min_size=12),
)
def test_what_stands_between_the_digits_changes_nothing(digits: str, between: list[str]) -> None:
    text = "+" + "".join(f"{sign}{digit}" for digit, sign in zip(digits, between, strict=False))

    try:
        quick = normalise_phone(text, None)
    except AddressError:
        quick = None
    assert quick == the_long_way(text)
