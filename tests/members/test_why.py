"""Mirrors members/why.py and members/facts.py."""

from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import select

from core.condition.text import parse
from members.facts import facts_of
from members.match import Happened, matches
from members.member import Member
from members.messages import Message
from members.rule import compile_rule
from members.why import Answer, deciding, explained, why
from tests.members.conditions import NOW, conditions
from tests.members.population import PERSON, facts, fill, people

BUYER = PERSON | {
    "tags": {"vip"},
    "tier": "premium",
    "external": {("shop", "1"), ("shop", "22")},
    "events": (Happened("purchase", NOW - timedelta(days=3), Decimal("20.5")),),
    "messages": (Message("email", "clicked", "Gift guide", {"clicked_at": NOW}),),
}


def asked(sessions, client_id, text: str) -> Answer:
    with sessions() as session:
        member = session.scalars(select(Member).where(Member.client_id == client_id)).one()
        return why(session, member, parse(text), now=NOW)


@pytest.mark.parametrize(
    ("text", "yes", "found"),
    [
        (
            "did purchase at least 2 times in the last 30 days",
            False,
            "purchase 1 time in the last 30 days, at least 2 wanted",
        ),
        ("sum of total of purchase > 20", True, "20.5 in all"),
        ("last purchase in the last 2 days", False, "the last was on 2026-11-18 12:00 UTC"),
        ('first "opted in" after "2026-01-01"', False, "never"),
        ('clicked "Gift guide"', True, "1 message, the latest on 2026-11-21"),
        ("was sent any campaign by sms", False, "no such message among 1"),
        ('tier = "elite"', False, "it is “premium”"),
        ("engagement_score > 3", False, "nothing is known"),
        ('in segment "vips"', True, ""),
        ('external_id.shop = "3"', False, "it is “1, 22”"),
        ("external_id.till is not set", True, "nothing is known"),
    ],
)
def test_each_leaf_says_what_was_found(text, yes, found, sessions, client_id) -> None:
    fill(sessions, client_id, [BUYER])

    answer = asked(sessions, client_id, text)

    assert (answer.yes, answer.found, answer.decides) == (yes, found, True)


def test_the_fewest_leaves_decide(sessions, client_id) -> None:
    fill(sessions, client_id, [BUYER])
    text = 'has tag "vip" and has tag "x" or not (tier = "premium" and did login) or did purchase'

    answer = asked(sessions, client_id, text)

    assert answer.yes
    assert [leaf.text for leaf in deciding(answer)] == ["did login"]
    assert [part.decides for part in answer.parts] == [False, True, False]


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(condition=conditions())
def test_leaves_that_decide_do_so_whatever_the_others_say(condition) -> None:
    for person in PEOPLE:
        answer = explained(condition, person, NOW)
        assert answer.yes == matches(condition, person, NOW)
        for others in (True, False):
            assert _supposing(answer, others) == answer.yes


PEOPLE = [facts(person, number) for number, person in enumerate(people(Random(5), 5), 1)]


def _supposing(answer: Answer, others: bool) -> bool:
    """Return the whole's answer if every leaf that does not decide said `others`."""
    if answer.kind == "leaf":
        return answer.yes if answer.decides else others
    parts = [_supposing(part, others) for part in answer.parts]
    return {"and": all(parts), "or": any(parts), "not": not parts[0]}[answer.kind]


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(condition=conditions())
def test_facts_loaded_mean_what_the_database_means(condition, stored, sessions, client_id) -> None:
    with sessions() as session:
        for member in session.scalars(select(Member).where(Member.client_id == client_id)):
            known = facts_of(session, member, condition, now=NOW)
            rule = compile_rule(session, condition, client_id=client_id, now=NOW)
            found = session.scalar(select(Member.id).where(Member.id == member.id, rule))
            assert matches(condition, known, NOW) == (found is not None)


@pytest.fixture
def stored(sessions, client_id) -> None:
    fill(sessions, client_id, people(Random(3), 4))
