"""Mirrors core/token.py."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.token import MAC_BYTES, MAX_NUMBER, Signer

PURPOSES = ("attempt", "click", "open", "unsubscribe")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
NUMBERS = st.lists(st.integers(0, MAX_NUMBER), max_size=4)

signer = Signer(b"k" * 32)


@given(st.sampled_from(PURPOSES), NUMBERS)
def test_a_token_gives_its_numbers_back(purpose: str, numbers: list[int]) -> None:
    token = signer.sign(purpose, *numbers)

    assert re.fullmatch("[A-Za-z0-9_-]+", token)
    assert signer.verify(purpose, token, len(numbers)) == tuple(numbers)


@given(st.sampled_from(PURPOSES), st.sampled_from(PURPOSES), NUMBERS)
def test_a_token_of_one_purpose_never_verifies_for_another(
    made: str, asked: str, numbers: list[int]
) -> None:
    verified = signer.verify(asked, signer.sign(made, *numbers), len(numbers))

    assert (verified is not None) == (made == asked)


@given(NUMBERS, st.data())
def test_one_changed_character_is_refused(numbers: list[int], data: st.DataObject) -> None:
    token = signer.sign("click", *numbers)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(ALPHABET.replace(token[place], "")))

    changed = token[:place] + other + token[place + 1 :]

    assert signer.verify("click", changed, len(numbers)) is None


@given(st.text(max_size=80))
def test_any_other_text_is_none_and_never_an_error(text: str) -> None:
    assert signer.verify("attempt", text, 2) is None


@pytest.mark.parametrize("padding", ["=", "==", "\n", " ", "é", "A", "."])
def test_a_token_has_one_spelling(padding: str) -> None:
    token = signer.sign("open", 7)

    assert signer.verify("open", token + padding, 1) is None
    assert signer.verify("open", padding + token, 1) is None


def test_the_number_of_numbers_counts() -> None:
    token = signer.sign("attempt", 5, 6)

    assert signer.verify("attempt", token, 1) is None
    assert signer.verify("attempt", token, 3) is None


def test_another_key_is_refused() -> None:
    assert Signer(b"l" * 32).verify("open", signer.sign("open", 1), 1) is None


def test_the_longest_reference_fits_forty_characters() -> None:
    assert len(signer.sign("attempt", MAX_NUMBER, MAX_NUMBER)) <= 40


@pytest.mark.parametrize("number", [-1, MAX_NUMBER + 1])
def test_numbers_no_column_holds_are_not_signed(number: int) -> None:
    with pytest.raises(ValueError, match="2\\^63"):
        signer.sign("open", number)


@pytest.mark.parametrize("key", [b"k" * 32, b"k" * 64, b"k" * 200])
def test_the_proof_is_plain_hmac_sha256(key: bytes) -> None:
    token = Signer(key).sign("open", 300)

    data = urlsafe_b64decode(token + "=" * (-len(token) % 4))

    assert data[:-MAC_BYTES] == b"\xac\x02"
    mac = hmac.digest(key, b"open\0\xac\x02", hashlib.sha256)
    assert data[-MAC_BYTES:] == mac[:MAC_BYTES]


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Signer(b"short")
