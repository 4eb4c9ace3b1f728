"""Mirrors core/condition/english.py."""

import pytest
from hypothesis import given

from core.condition.ast import (
    Everyone,
    Not,
)
from core.condition.english import phrase, sentence
from core.condition.text import parse
from tests.members.conditions import conditions


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("everyone", "All members."),
        (
            'tier in ("basic", "elite") and not has tag "vip"',
            "Members whose tier is “basic” or “elite” and who do not have the tag “vip”.",
        ),
        (
            "did purchase at least 2 times in the last 30 days",
            "Members who did “purchase” at least 2 times in the last 30 days.",
        ),
        (
            'not (clicked "G" within 1 day or did buy)',
            "Members who did not click in the campaign “G” today and who did not do “buy”.",
        ),
        (
            'last x before "2026-05-01" or attributes.n is set and did y',
            "Members whose last “x” is before 1 May 2026 or (whose n is known and who did “y”).",
        ),
        (
            "random 1 of 2 and sum of total of buy > 1",
            "Members who are drawn by lot, 1 of 2 and whose total of “buy” is more than 1.",
        ),
        ("was not sent any campaign by sms", "Members who were not sent any campaign by sms."),
    ],
)
def test_a_condition_is_said_in_english(text, said) -> None:
    assert sentence(parse(text)) == said


@given(conditions())
def test_every_condition_and_its_contrary_can_be_said(condition) -> None:
    assert sentence(condition)
    assert phrase(Not(Not(condition))) == phrase(condition)
    if not isinstance(condition, Everyone):
        assert phrase(Not(condition)) != phrase(condition)
