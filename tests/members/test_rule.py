"""Mirrors members/rule.py, members/comparison.py and members/match.py."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from core.condition.check import ConditionError
from core.condition.text import parse
from core.db import Sessions, write
from members.address import MemberAddress
from members.consent import ConsentState, CurrentConsent
from members.match import MemberFacts, matches
from members.member import Member, MemberTag
from members.rule import compile_rule
from members.segment import create_segment
from tests.members.conditions import NOW, conditions, people

VALUES = {"email": "a@x.example", "sms": "+12015550100", "push": "token"}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_sql_and_memory_mean_the_same_members(data, sessions, client_id, clock) -> None:
    drawn = data.draw(st.lists(people(), min_size=1, max_size=6))
    rules = data.draw(st.lists(conditions(), min_size=1, max_size=6))
    ids = fill(sessions, client_id, drawn)

    with sessions() as session:
        for rule in rules:
            where = compile_rule(session, rule, client_id=client_id, now=NOW)
            query = select(Member.id).where(Member.client_id == client_id, where)
            expected = {
                member for member, person in zip(ids, drawn, strict=True)
                if matches(rule, facts(person), NOW)
            }  # fmt: skip
            assert set(session.scalars(query)) == expected, rule


def facts(person: dict[str, Any]) -> MemberFacts:
    fields = {k: v for k, v in person.items() if k not in ("attributes", "tags", "consents")}
    return MemberFacts(
        fields=fields
        | {
            "member_id": "some",
            "status": "active",
            "created_at": NOW,
            "updated_at": NOW,
            "email": VALUES["email"] if "email" in person["reachable"] else None,
        },
        attributes=person["attributes"],
        tags=frozenset(person["tags"]),
        consents=frozenset(person["consents"]),
        reachable=frozenset(person["reachable"]),
        segments=frozenset({"vips"} if "vip" in person["tags"] else ()),
    )


def fill(sessions: Sessions, client_id: int, drawn: list[dict[str, Any]]) -> list[int]:
    ids = []
    with write(sessions) as session:
        for table in (MemberTag, CurrentConsent, MemberAddress, Member):
            session.execute(delete(table))
        for number, person in enumerate(drawn):
            columns = {
                k: v for k, v in person.items() if k not in ("tags", "consents", "reachable")
            }
            member = Member(
                client_id=client_id,
                member_id=f"m{number}",
                email=VALUES["email"] if "email" in person["reachable"] else None,
                created_at=NOW,
                updated_at=NOW,
                **columns,
            )
            session.add(member)
            session.flush()
            ids.append(member.id)
            _around(session, client_id, member.id, person)
        if session.scalar(select(Member.id)) and not _has_segment(session):
            _segment(session, client_id)
    return ids


def _has_segment(session) -> bool:
    from members.segment import Segment  # noqa: PLC0415  (used once)

    return session.scalar(select(Segment.id)) is not None


def _segment(session, client_id) -> None:
    from core.clock import ManualClock  # noqa: PLC0415  (used once)

    create_segment(
        session, ManualClock(NOW), client_id=client_id, name="vips", rule='has tag "vip"'
    )


def _around(session, client_id: int, member_id: int, person: dict[str, Any]) -> None:
    owned = {"client_id": client_id, "member_id": member_id}
    for tag in person["tags"]:
        session.execute(insert(MemberTag).values(tag=tag, **owned))
    for channel, topic in person["consents"]:
        session.execute(
            insert(CurrentConsent).values(
                channel=channel, topic=topic, state=ConsentState.GRANTED, occurred_at=NOW, **owned
            )
        )
    for kind in person["reachable"]:
        session.execute(
            insert(MemberAddress).values(
                channel=kind, value=VALUES[kind], hash=kind, created_at=NOW, updated_at=NOW, **owned
            )
        )


def count(sessions, client_id, text) -> int:
    with sessions() as session:
        where = compile_rule(session, parse(text), client_id=client_id, now=NOW)
        return len(session.scalars(select(Member.id).where(where)).all())


PERSON: dict[str, Any] = {
    "first_name": "Ana",
    "attributes": {"city": "Berlin"},
    "tags": set(),
    "consents": set(),
    "reachable": set(),
}


@pytest.mark.parametrize(
    "value", ["' OR 1=1--", "); DROP TABLE members;--", "%", "_", "\\", '"', "Berlin' --"]
)
def test_a_hostile_value_is_only_ever_a_value(value, sessions, client_id) -> None:
    fill(sessions, client_id, [PERSON])
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')

    for field in ("first_name", "attributes.city"):
        for op in ("=", "contains", "starts with"):
            assert count(sessions, client_id, f'{field} {op} "{quoted}"') == 0
    assert count(sessions, client_id, "everyone") == 1


def test_what_a_member_does_not_have_matches_only_its_absence(sessions, client_id) -> None:
    fill(sessions, client_id, [PERSON | {"attributes": {}}])

    assert count(sessions, client_id, 'attributes.city = "Berlin"') == 0
    assert count(sessions, client_id, 'not attributes.city = "Berlin"') == 1
    assert count(sessions, client_id, 'attributes.city != "Berlin"') == 1
    assert count(sessions, client_id, "attributes.city is not set") == 1


def test_a_segment_that_contains_itself_is_refused(sessions, clock, client_id) -> None:
    with write(sessions) as session:
        for name, other in (("a", "b"), ("b", "a")):
            rule = f'in segment "{other}"'
            create_segment(session, clock, client_id=client_id, name=name, rule=rule)

    with pytest.raises(ConditionError, match="contains itself"):
        count(sessions, client_id, 'in segment "a"')


def test_a_segment_nobody_made_is_refused(sessions, client_id) -> None:
    with pytest.raises(ConditionError, match="no segment"):
        count(sessions, client_id, 'in segment "ghosts"')
