"""Mirrors members/rule.py, members/did.py, members/comparison.py and members/match.py."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from core.condition.ast import CHOICES, each_leaf
from core.condition.check import ConditionError
from core.condition.text import format, parse
from core.db import write
from members.match import Happened, matches
from members.member import Gender, Member, MemberStatus, Tier
from members.rule import compile_rule
from members.segment import create_segment
from tests.members.conditions import NOW, conditions
from tests.members.population import PERSON, World, crowds, facts, fill, store, world


@pytest.fixture
def made(sessions, client_id) -> World:
    return world(sessions, client_id)


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(rules=st.lists(conditions(), min_size=1, max_size=4), persons=crowds())
def test_text_sql_and_memory_mean_the_same_members(rules, persons, made, sessions) -> None:
    with sessions() as session:
        ids = store(session, made, persons)
        known = [facts(person, one) for one, person in zip(ids, persons, strict=True)]
        # Each part by itself too: what is wrong about it may not show in the whole.
        for rule in {*rules, *[leaf for one in rules for leaf in each_leaf(one)]}:
            again = parse(format(rule))
            where = compile_rule(session, again, client_id=made.client_id, now=NOW)
            found = set(session.scalars(select(Member.id).where(where)))
            assert again == rule
            assert found == {one.id for one in known if matches(rule, one, NOW)}, format(rule)


def test_the_words_of_the_language_are_those_members_have() -> None:
    enums = {"tier": Tier, "status": MemberStatus, "gender": Gender}

    assert {field: tuple(enum) for field, enum in enums.items()} == CHOICES


def test_of_several_ids_in_a_system_one_will_do(sessions, client_id) -> None:
    both = PERSON | {"external": {("shop", "1"), ("shop", "22"), ("till", "3")}}
    fill(sessions, client_id, [both, PERSON])

    counts = {
        text: count(sessions, client_id, f"external_id.shop {text}")
        for text in ('= "22"', '!= "22"', '!= "3"', 'starts with "2"', "is set", "is not set")
    }

    assert counts == {
        '= "22"': 1, '!= "22"': 1, '!= "3"': 2, 'starts with "2"': 1, "is set": 1, "is not set": 1
    }  # fmt: skip


def count(sessions, client_id, text) -> int:
    with sessions() as session:
        where = compile_rule(session, parse(text), client_id=client_id, now=NOW)
        return len(session.scalars(select(Member.id).where(where)).all())


ANA = PERSON | {"first_name": "Ana", "attributes": {"city": "Berlin"}}


@pytest.mark.parametrize(
    "value", ["' OR 1=1--", "); DROP TABLE members;--", "%", "_", "\\", '"', "Berlin' --"]
)
def test_b011_a_hostile_value_is_only_ever_a_value(value, sessions, client_id) -> None:
    event = Happened("purchase", NOW, None, {"category": "hats"})
    fill(sessions, client_id, [ANA | {"events": (event,)}])
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')

    for op in ("=", "contains", "starts with"):
        for field in ("first_name", "attributes.city"):
            assert count(sessions, client_id, f'{field} {op} "{quoted}"') == 0
        assert count(sessions, client_id, f'did purchase where category {op} "{quoted}"') == 0
    assert count(sessions, client_id, f'did "{quoted}"') == 0
    assert count(sessions, client_id, "everyone") == 1


def test_b013_a_segment_that_contains_itself_is_refused(sessions, clock, client_id) -> None:
    with write(sessions) as session:
        for name, other in (("a", "b"), ("b", "a")):
            rule = f'in segment "{other}"'
            create_segment(session, clock, client_id=client_id, name=name, rule=rule)

    with pytest.raises(ConditionError, match="contains itself"):
        count(sessions, client_id, 'in segment "a"')


def test_b014_wildcards_of_like_are_letters(sessions, client_id) -> None:
    names = ("50% off", "500 off", "a_b", "axb", "a\\b")
    fill(sessions, client_id, [PERSON | {"first_name": name} for name in names])

    assert count(sessions, client_id, 'first_name contains "%"') == 1
    assert count(sessions, client_id, 'first_name starts with "50%"') == 1
    assert count(sessions, client_id, 'first_name contains "a_"') == 1
    assert count(sessions, client_id, 'first_name contains "\\\\"') == 1


def test_b014_a_pattern_is_no_pattern_and_ends_at_once(sessions, client_id) -> None:
    fill(sessions, client_id, [PERSON | {"attributes": {"long": "a" * 50_000}}])

    assert count(sessions, client_id, 'attributes.long contains "(a+)+$"') == 0


def test_what_a_member_does_not_have_matches_only_its_absence(sessions, client_id) -> None:
    fill(sessions, client_id, [ANA | {"attributes": {}}])

    assert count(sessions, client_id, 'attributes.city = "Berlin"') == 0
    assert count(sessions, client_id, 'not attributes.city = "Berlin"') == 1
    assert count(sessions, client_id, 'attributes.city != "Berlin"') == 1
    assert count(sessions, client_id, "attributes.city is not set") == 1


def test_a_segment_or_campaign_nobody_made_is_refused(sessions, client_id) -> None:
    fill(sessions, client_id, [])

    with pytest.raises(ConditionError, match="no segment"):
        count(sessions, client_id, 'in segment "ghosts"')
    with pytest.raises(ConditionError, match="no campaign") as refused:
        count(sessions, client_id, 'clicked "Gift gide"')
    assert "Gift guide" in (refused.value.remedy or "")


def test_money_is_compared_as_it_is_not_rounded(sessions, client_id) -> None:
    fill(sessions, client_id, [PERSON | {"total_spend": Decimal("2.0000")}])

    assert count(sessions, client_id, "total_spend = 2") == 1
    assert count(sessions, client_id, "total_spend < 2.00004") == 1
    assert count(sessions, client_id, "total_spend = 2.00004") == 0
    assert count(sessions, client_id, "total_spend < 999999999999999") == 1


def bought(*amounts: str, at: datetime = NOW) -> tuple[Happened, ...]:
    return tuple(Happened("purchase", at, Decimal(amount)) for amount in amounts)


def test_a_window_is_whole_days_with_today(sessions, client_id) -> None:
    edge = datetime(2026, 11, 15, tzinfo=UTC)  # midnight that begins the seventh day
    early = bought("1", at=datetime(2026, 11, 14, 23, 59, tzinfo=UTC))
    fill(
        sessions, client_id, [PERSON | {"events": bought("1", at=edge)}, PERSON | {"events": early}]
    )

    assert count(sessions, client_id, "did purchase within 7 days") == 1
    assert count(sessions, client_id, "did purchase in the last 8 days") == 2
    assert count(sessions, client_id, "last purchase in the last 7 days") == 1
    assert count(sessions, client_id, 'first purchase before "2026-11-15"') == 1


def test_the_day_named_is_neither_before_nor_after_itself(sessions, client_id) -> None:
    tomorrow = datetime(2026, 11, 22, tzinfo=UTC)
    born = {"date_of_birth": NOW.date(), "last_active": NOW, "events": bought("1", at=tomorrow)}
    fill(sessions, client_id, [PERSON | born])

    for field in ("date_of_birth", "last_active"):
        assert count(sessions, client_id, f'{field} after "2026-11-21"') == 0
        assert count(sessions, client_id, f'{field} before "2026-11-21"') == 0
        assert count(sessions, client_id, f'{field} after "2026-11-20"') == 1
        assert count(sessions, client_id, f'{field} before "2026-11-22"') == 1
    assert count(sessions, client_id, "did purchase within 1 day where total > 0") == 0
    assert count(sessions, client_id, "did purchase where total > 0") == 1


def test_sums_of_money_are_exact_and_nothing_is_zero(sessions, client_id) -> None:
    persons = [PERSON | {"events": bought("0.1", "0.1", "0.1")}, PERSON]
    fill(sessions, client_id, persons)

    for tail in ("", " in the last 7 days", " where total > 0"):
        assert count(sessions, client_id, f"sum of total of purchase = 0.3{tail}") == 1
        assert count(sessions, client_id, f"sum of total of purchase > 0.3{tail}") == 0
        assert count(sessions, client_id, f"sum of total of purchase <= 0.3{tail}") == 2


def test_at_most_means_also_those_who_never_did(sessions, client_id) -> None:
    fill(sessions, client_id, [PERSON | {"events": bought("1", "1")}, PERSON])

    assert count(sessions, client_id, "did purchase at most 1 time") == 1
    assert count(sessions, client_id, "did purchase at most 2 times") == 2
    assert count(sessions, client_id, "did purchase exactly 0 times") == 1
    assert count(sessions, client_id, "did not purchase") == 1
    assert count(sessions, client_id, "did not purchase at least 3 times in the last 7 days") == 2
