"""Text and JSON accept the same conditions: core/condition/leaf.py, normal.py and check.py."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.condition.ast import (
    And,
    Compare,
    Did,
    HasTag,
    Op,
)
from core.condition.check import ConditionError
from core.condition.json import from_json, to_json
from core.condition.leaf import Known, checked
from core.condition.text import format, parse

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


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ('has tag "  Warm  LEAD "', HasTag("warm lead")),
        ('tier = "Elite"', Compare("tier", Op.EQ, "elite")),
        ('member_id in ("AB 1")', Compare("member_id", Op.IN, ("ab 1",))),
        ('email = "Ana@X.Example"', Compare("email", Op.EQ, "ana@x.example")),
        ('email contains "@X."', Compare("email", Op.CONTAINS, "@x.")),
        ('phone = "+1 (201) 555-0123"', Compare("phone", Op.EQ, "+12015550123")),
        ('phone starts with "+1 (201)"', Compare("phone", Op.STARTS_WITH, "+1201")),
        ('first_name = " Ana "', Compare("first_name", Op.EQ, " Ana ")),
    ],
)
def test_values_are_folded_as_they_are_stored(text, normal) -> None:
    assert parse(text) == normal
    assert from_json(to_json(normal)) == normal


FOLDED = st.sampled_from(["email", "phone", "member_id", "tier", "first_name"])


@given(FOLDED, st.sampled_from([Op.EQ, Op.STARTS_WITH]), st.text(max_size=12))
def test_folding_is_a_fixed_point(field, op, value) -> None:
    with contextlib.suppress(ConditionError):
        once = checked(Compare(field, op, value))
        assert checked(once) == once
        assert parse(format(once)) == once


EVENT_JSON = st.fixed_dictionaries(
    {"event": st.text(max_size=4)},
    optional={
        "measure": st.sampled_from(["count", "sum", "first", "last", "x"]),
        "op": st.sampled_from([">=", "=", "before", "in the last", "in"]),
        "value": st.integers(-1, 3) | st.sampled_from(["2026-01-01", True, 1.5, None]),
        "days": st.integers(-1, 3) | st.none() | st.booleans(),
        "where": st.lists(
            st.fixed_dictionaries(
                {"field": st.sampled_from(["total", "has", "Tier", "x y", "firstname"])},
                optional={"op": st.sampled_from(["=", "is set"]), "value": st.integers()},
            ),
            max_size=2,
        )
        | st.none(),
    },
)
MESSAGE_JSON = st.fixed_dictionaries(
    {"message": st.sampled_from(["sent", "read", "bounced", "x"])},
    optional={
        "campaign": st.text(max_size=3) | st.booleans() | st.none(),
        "channel": st.sampled_from(["email", "Email", "fax", ""]) | st.none(),
        "days": st.integers(-1, 3),
    },
)


@given(JSON | EVENT_JSON | MESSAGE_JSON)
def test_text_says_whatever_json_says(data) -> None:
    with contextlib.suppress(ConditionError):
        condition = from_json(data)
        assert parse(format(condition)) == condition


@given(st.text(alphabet='did not purchase where total and "x" > 5 in', max_size=60))
def test_json_says_whatever_text_says(text) -> None:
    with contextlib.suppress(ConditionError):
        condition = parse(text)
        assert from_json(to_json(condition)) == condition


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (f'has tag "{"x" * 65}"', {"tag": "x" * 65}),
        ('has tag " "', {"tag": " "}),
        (f'in segment "{"x" * 201}"', {"segment": "x" * 201}),
        (f'did "{"x" * 101}"', {"event": "x" * 101}),
        ('did ""', {"event": ""}),
        ('consent email topic ""', {"consent": "email", "topic": ""}),
        ("did x within 0 days", {"event": "x", "days": 0}),
        ("did x at least 0 times", {"event": "x", "value": 0}),
        ("first x = 3", {"event": "x", "measure": "first", "op": "=", "value": 3}),
        ("random 0 of 10", {"random": 0, "of": 10}),
        ('clicked ""', {"message": "clicked", "campaign": ""}),
        (f"total_spend > {10**15}", {"field": "total_spend", "op": ">", "value": 10**15}),
    ],
)
def test_both_faces_refuse_the_same(text, data) -> None:
    with pytest.raises(ConditionError):
        parse(text)
    with pytest.raises(ConditionError):
        from_json(data)


def test_b013_depth_nine_and_a_thousand_leaves_are_refused_in_both_faces() -> None:
    deep: object = {"tag": "x"}
    for _ in range(8):
        deep = {"and": [deep, {"tag": "x"}]}
    wide = {"or": [{"or": [{"tag": "x"}] * 50}] * 20}
    tests = " and ".join(["a = 1"] * 8)

    for refused in (deep, wide, {"or": [{"tag": "x"}] * 1_000}):
        with pytest.raises(ConditionError):
            from_json(refused)
    for text in (
        "(" * 9 + "everyone" + ' and has tag "x")' * 9,
        " or ".join(['has tag "x"'] * 1_000),
        " or ".join([f"did x where {tests}"] * 8),
        "did x where " + " and ".join(["a = 1"] * 9),
    ):
        with pytest.raises(ConditionError):
            parse(text)


def test_b013_a_long_list_is_refused_in_both_faces() -> None:
    values = [f"customer number {number}" for number in range(2_000)]

    with pytest.raises(ConditionError, match="characters"):
        from_json({"field": "member_id", "op": "in", "value": values})
    with pytest.raises(ConditionError, match="characters"):
        parse("member_id in (" + ", ".join(f'"{value}"' for value in values) + ")")


def test_a_name_nobody_uses_is_an_error_when_names_are_known() -> None:
    known = Known(
        events=frozenset({"purchase"}),
        tags=frozenset({"vip"}),
        segments=frozenset(),
        campaigns=frozenset({"Gift guide"}),
    )

    assert parse('did purchase and has tag "VIP"', known) == And((Did("purchase"), HasTag("vip")))
    for text, nearest in (
        ("everyone and did purchse", "purchase"),
        ('everyone and has tag "vpi"', "vip"),
        ('everyone and clicked "gift guide"', "Gift guide"),
        ('everyone and in segment "x"', ""),
    ):
        with pytest.raises(ConditionError) as refused:
            parse(text, known)
        assert refused.value.column == 14
        assert nearest in (refused.value.remedy or "")
        with pytest.raises(ConditionError) as refused:
            from_json(to_json(parse(text)), known)
        assert refused.value.field == "rule/and/1"
