"""Mirrors core/condition: ast.py, check.py, json.py and text.py."""

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.condition.ast import And, Compare, Everyone, HasTag, Not, Op, Or
from core.condition.check import ConditionError
from core.condition.json import from_json, to_json
from core.condition.text import format, parse
from tests.members.conditions import conditions


@given(conditions())
def test_text_and_json_read_back_to_the_same_condition(condition) -> None:
    assert parse(format(condition)) == condition
    assert from_json(to_json(condition)) == condition


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_a_condition_error(text) -> None:
    with contextlib.suppress(ConditionError):
        assert parse(format(parse(text))) == parse(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["and", "or", "not", "field", "op", "value", "tag", "x", "everyone"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_condition_or_a_condition_error(data) -> None:
    with contextlib.suppress(ConditionError):
        assert from_json(to_json(from_json(data))) == from_json(data)


def test_and_binds_closer_than_or() -> None:
    assert parse('has tag "a" or has tag "b" and has tag "c"') == Or(
        (HasTag("a"), And((HasTag("b"), HasTag("c"))))
    )


def test_words_may_be_written_in_capitals() -> None:
    assert parse('NOT Has Tag "VIP" AND TIER IN ("basic")') == And(
        (Not(HasTag("VIP")), Compare("tier", Op.IN, ("basic",)))
    )


def test_weeks_are_days() -> None:
    assert parse("last_active in the last 2 weeks") == parse("last_active in the last 14 days")


def test_dates_are_dates_in_every_face() -> None:
    condition = Compare("date_of_birth", Op.BEFORE, date(1990, 1, 31))

    assert parse('date_of_birth before "1990-01-31"') == condition
    assert to_json(condition)["value"] == "1990-01-31"


@pytest.mark.parametrize(
    ("text", "line", "column", "remedy"),
    [
        ('tire = "x"', 1, 1, "tier"),
        ('everyone\n and has tga "x"', 2, 10, "tag"),
        ('tier contans "x"', 1, 6, "contains"),
        ('consent emial', 1, 1, "email"),
        ('everyone adn everyone', 1, 10, "and"),
        ("last_active in the last 3 dais", 1, 27, "days"),
    ],
)  # fmt: skip
def test_an_error_names_its_place_and_the_nearest_word(text, line, column, remedy) -> None:
    with pytest.raises(ConditionError) as refused:
        parse(text)

    assert (refused.value.line, refused.value.column) == (line, column)
    assert f"“{remedy}”" in (refused.value.remedy or "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(everyone",
        '"everyone',
        'engagement_score > "high"',
        "tier > 3",
        "first_name in ()",
        "attributes. = 1",
        "attributes.x; DROP TABLE members",
        'date_of_birth = "soon"',
        "last_active in the last 0 days",
        "not " * 60 + "everyone",
        "(" * 60 + "everyone" + ")" * 60,
        " or ".join(["everyone"] * 65),
        "everyone " * 5000,
    ],
)
def test_what_cannot_be_meant_is_refused(text) -> None:
    with pytest.raises(ConditionError):
        parse(text)


def test_depth_and_leaves_have_bounds_in_json_too() -> None:
    deep: dict = {"everyone": True}
    for _ in range(9):
        deep = {"not": deep}
    with pytest.raises(ConditionError):
        from_json(deep)
    with pytest.raises(ConditionError):
        from_json({"or": [{"and": [{"everyone": True}] * 33}] * 2})


def test_an_error_in_json_points_at_its_place() -> None:
    with pytest.raises(ConditionError) as refused:
        from_json({"and": [{"everyone": True}, {"field": "tire", "op": "=", "value": "x"}]})

    assert refused.value.field == "rule/and/1"
    assert "tier" in (refused.value.remedy or "")


def test_a_single_condition_needs_no_group() -> None:
    assert parse("((everyone))") == Everyone()
