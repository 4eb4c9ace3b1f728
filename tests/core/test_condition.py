"""Mirrors core/condition: ast.py, check.py, json.py and text.py."""

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.condition.ast import (
    And,
    Compare,
    Did,
    Everyone,
    HasTag,
    Not,
    Op,
    Or,
)
from core.condition.check import ConditionError
from core.condition.english import sentence
from core.condition.json import from_json, to_json
from core.condition.leaf import Known
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
        (Not(HasTag("vip")), Compare("tier", Op.IN, ("basic",)))
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
        ('everyone and tier = "premuim"', 1, 14, "premium"),
        ('status in ("active", "churnd")', 1, 1, "churned"),
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


def test_a_value_that_no_member_has_is_refused_with_those_there_are() -> None:
    rule = {"field": "tier", "op": "=", "value": "platinum"}

    for wrong in (lambda: from_json(rule, Known()), lambda: parse('tier = "platinum"')):
        with pytest.raises(ConditionError, match="basic, premium, elite, executive"):
            wrong()
    assert from_json(rule) == Compare("tier", Op.EQ, "platinum"), "what is stored is read"
    assert parse('tier contains "platinum"')


def test_an_id_in_another_system_is_text() -> None:
    condition = Compare("external_id.my-shop.2", Op.EQ, "123")

    assert parse('External_ID.My-Shop.2="123 "') == condition
    assert parse(format(condition)) == condition == from_json(to_json(condition))
    assert sentence(condition) == "Members whose id in my-shop.2 is “123”."
    assert parse("did x where a = 1 and external_id.shop is set") == And(
        (Did("x", where=(Compare("a", Op.EQ, 1),)), Compare("external_id.shop", Op.IS_SET))
    )
    for wrong in ('external_id = "1"', 'external_id. = "1"', f'external_id.{"x" * 23} = "1"'):
        with pytest.raises(ConditionError) as refused:
            parse(wrong)
        assert "external_id.shopify" in (refused.value.remedy or "")


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
