"""Mirrors core/condition/happened.py."""

from datetime import date

import pytest

from core.condition.ast import (
    And,
    Compare,
    Did,
    Lot,
    Measure,
    Messaged,
    Not,
    Op,
    Verb,
)
from core.condition.check import ConditionError
from core.condition.json import from_json, to_json
from core.condition.text import format, parse


@pytest.mark.parametrize(
    ("text", "leaf"),
    [
        ("did purchase", Did("purchase")),
        ('did "opted in" exactly 1 time', Did("opted in", op=Op.EQ, value=1)),
        (
            'did purchase at least 2 times in the last 2 weeks where total > 50 and category = "x"',
            Did(
                "purchase",
                value=2,
                days=14,
                where=(Compare("total", Op.GT, 50), Compare("category", Op.EQ, "x")),
            ),
        ),
        ("did not purchase within 1 day", Not(Did("purchase", days=1))),
        (
            "sum of total of purchase > 100 in the last 90 days",
            Did("purchase", Measure.SUM, Op.GT, 100, 90),
        ),
        (
            'first purchase before "2026-01-01"',
            Did("purchase", Measure.FIRST, Op.BEFORE, date(2026, 1, 1)),
        ),
        (
            "last login in the last 7 days where total is set",
            Did("login", Measure.LAST, Op.IN_LAST, 7, None, (Compare("total", Op.IS_SET),)),
        ),
        ('clicked "Gift guide" within 7 days', Messaged(Verb.CLICKED, "Gift guide", None, 7)),
        ("was sent any campaign by email", Messaged(Verb.SENT, True, "email")),
        ("was not sent any message", Not(Messaged(Verb.SENT))),
        ('replied to "A"', Messaged(Verb.REPLIED, "A")),
        ("bounced", Messaged(Verb.BOUNCED)),
        ('random 10 of 100 salt "x"', Lot(10, 100, "x")),
    ],
)
def test_what_happened_reads_as_english(text, leaf) -> None:
    assert parse(text) == leaf
    assert parse(format(leaf)) == leaf
    assert from_json(to_json(leaf)) == leaf


def test_where_ends_before_what_begins_a_condition() -> None:
    for tail in ('tier = "elite"', 'has tag "x"', "did login", "attributes.n = 1"):
        condition = parse(f"did purchase where total > 50 and {tail}")
        assert condition == And(
            (Did("purchase", where=(Compare("total", Op.GT, 50),)), parse(tail))
        )


def test_a_property_named_like_a_field_is_marked() -> None:
    condition = parse('did purchase where status = "paid" and properties.tier = 2')

    assert condition == Did(
        "purchase", where=(Compare("status", Op.EQ, "paid"), Compare("tier", Op.EQ, 2))
    )
    assert format(condition) == (
        'did purchase where properties.status = "paid" and properties.tier = 2'
    )


@pytest.mark.parametrize(
    ("text", "column", "remedy"),
    [
        ('did purchase where total > 5 and locaton = "x"', 34, "properties.locaton"),
        ("did purchase never", 14, "did not"),
        ("did purchase at lest 2 times", 17, "least"),
        ("clicked by emial", 1, "email"),
        ("random 10 of 5", 1, "random 10 of 100"),
        ("did purchase where tptal > 1 and", 33, None),
        ("first purchase > 3", 1, "before"),
        ("properties.total > 3", 1, "did purchase where"),
        ("did", 4, None),
    ],
)
def test_what_happened_is_corrected_at_its_place(text, column, remedy) -> None:
    with pytest.raises(ConditionError) as refused:
        parse(text)

    assert refused.value.column == column
    assert (remedy or "") in (refused.value.remedy or "")
