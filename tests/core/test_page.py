"""Mirrors core/page.py."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidError
from core.page import Page, decode_cursor, encode_cursor, limited, page_of

VALUES = st.lists(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.text(max_size=20)),
    max_size=4,
)


@given(VALUES)
def test_a_cursor_gives_its_values_back(values: list[str | int | None]) -> None:
    assert decode_cursor(encode_cursor(*values)) == values


def test_an_instant_travels_as_text() -> None:
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)

    assert decode_cursor(encode_cursor(noon, 7)) == ["2026-11-21T12:00:00+00:00", 7]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "é",
        "AAAA",
        "W",
        "bnVsbA",
        "MQ",
        "e30",
        "W1tdXQ",
        "W3t9XQ",
        "W" * 5000,
        "W1sg" * 200,
    ],
)
def test_a_forged_cursor_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(InvalidError) as refused:
        decode_cursor(text)

    assert refused.value.field == "cursor"


@given(st.text(max_size=50))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        decode_cursor(text)
    except InvalidError:
        return


@pytest.mark.parametrize("limit", [-1, 0, 201, 10**9])
def test_a_limit_has_bounds(limit: int) -> None:
    with pytest.raises(InvalidError) as refused:
        limited(limit)

    assert refused.value.field == "limit"


def test_a_page_knows_whether_there_is_more() -> None:
    assert limited(200) == 200
    assert page_of([1, 2, 3], 2, str) == Page([1, 2], "2")
    assert page_of([1, 2], 2, str) == Page([1, 2], None)
    assert page_of([], 2, str) == Page([], None)
