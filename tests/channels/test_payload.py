"""Mirrors channels/payload.py."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.adapter import MalformedWebhookError
from channels.payload import clean, fingerprint, from_unix, load_form, load_json, text_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(document=JSON)
def test_nothing_read_breaks_a_database(document: object) -> None:
    found = load_json(json.dumps(document).encode())
    text = json.dumps(found, ensure_ascii=False)
    text.encode()
    assert "\\u0000" not in text.replace("\\\\", "")


@given(document=JSON)
def test_equal_content_has_an_equal_fingerprint(document: object) -> None:
    assert fingerprint(document) == fingerprint(json.loads(json.dumps(document)))


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 200_000])
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedWebhookError):
        load_json(body)


def test_a_form_keeps_blanks_and_the_last_of_a_name() -> None:
    assert load_form(b"a=1&b=&a=2&c=%00x") == {"a": "2", "b": "", "c": "x"}
    with pytest.raises(MalformedWebhookError):
        load_form(b"&".join(b"a=1" for _ in range(600)))
    with pytest.raises(MalformedWebhookError):
        load_form(b"\xff=1")


def test_half_a_surrogate_pair_is_replaced_and_a_whole_one_kept() -> None:
    assert clean("a\ud83c") == "a\ufffd"
    assert clean("🎁") == "🎁"


@pytest.mark.parametrize("value", [None, True, "soon", "", [], {}, 1e30, float("nan"), "9" * 40])
def test_what_is_no_time_is_none(value: object) -> None:
    assert from_unix(value) is None


@pytest.mark.parametrize("value", [1_790_000_000, "1790000000", 1_790_000_000.0])
def test_a_unix_time_is_an_instant(value: object) -> None:
    assert from_unix(value) == datetime.fromtimestamp(1_790_000_000, UTC)


def test_a_field_is_plain_text_or_nothing() -> None:
    row = {"a": "x" * 20, "n": 5, "b": True, "l": ["x"], "e": ""}
    assert text_of(row, "a", 10) == "x" * 10
    assert text_of(row, "n") == "5"
    assert [text_of(row, name) for name in ("b", "l", "e", "missing")] == [None] * 4
