"""Mirrors core/sql.py."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import literal, select, text

from core.clock import ManualClock
from core.db import Sessions, is_sqlite, read, write
from core.sql import avoid_nested_loops, insert_into, iso_text, json_at, json_object, plain_number
from members.member import Member
from scheduling.worker import Worker


def test_an_object_holds_text_numbers_null_and_json_alike_on_both_databases(
    sessions: Sessions, member_id: int
) -> None:
    pairs = {
        "name": Member.first_name,
        "missing": Member.last_name,
        "tier": Member.tier,
        "city": json_at(Member.attributes, "city"),
        "first order": json_at(Member.attributes, "first order"),
        "vip": json_at(Member.attributes, "vip"),
        "unknown": json_at(Member.attributes, "unknown"),
        "score": plain_number(Member.engagement_score),
        "spend": plain_number(Member.total_spend),
        "value": plain_number(Member.lifetime_value),
        "cost": plain_number(Member.acquisition_cost),
        "born": Member.date_of_birth,
        "seen": iso_text(Member.last_active),
    }

    assert built(sessions, pairs) == {
        "name": 'An"a',
        "missing": None,
        "tier": "basic",
        "city": "Berlin",
        "first order": 3,
        "vip": True,
        "unknown": None,
        "score": 42,
        "spend": 12.5,
        "value": 12,
        "cost": None,
        "born": "1990-02-28",
        "seen": "2026-11-20T08:30:00Z",
    }


def test_numbers_read_as_a_person_writes_them(sessions: Sessions, member_id: int) -> None:
    pairs = {
        "score": plain_number(Member.engagement_score),
        "value": plain_number(Member.lifetime_value),
        "spend": plain_number(Member.total_spend),
    }

    values = built(sessions, pairs)

    assert [str(values[name]) for name in pairs] == ["42", "12", "12.5"]


@pytest.mark.parametrize("count", [0, 1, 40, 41, 130])
def test_an_object_takes_any_number_of_names(
    sessions: Sessions, member_id: int, count: int
) -> None:
    pairs: dict[str, Any] = {f"field {number}": literal(str(number)) for number in range(count)}

    assert built(sessions, pairs) == {f"field {number}": str(number) for number in range(count)}


def test_an_insert_can_say_on_conflict_on_both_databases(
    sessions: Sessions, clock: ManualClock
) -> None:
    for _ in range(2):
        with write(sessions) as session:
            session.execute(
                insert_into(session, Worker)
                .values(name="a", roles=[], started_at=clock.now(), heartbeat_at=clock.now())
                .on_conflict_do_nothing(index_elements=["name"])
            )

    with read(sessions) as session:
        assert len(session.scalars(select(Worker)).all()) == 1


def test_avoiding_nested_loops_ends_with_the_transaction(sessions: Sessions) -> None:
    for inside, expected in ((True, "off"), (False, "on")):
        with write(sessions) as session:
            if inside:
                avoid_nested_loops(session)
            if not is_sqlite(session):
                assert session.scalar(text("SHOW enable_nestloop")) == expected


def built(sessions: Sessions, pairs: dict[str, Any]) -> dict[str, Any]:
    """Let the database build the object of the one member."""
    with read(sessions) as session:
        found: dict[str, Any] = session.execute(
            select(json_object(pairs)).select_from(Member)
        ).scalar_one()
        return found


@pytest.fixture
def member_id(sessions: Sessions, clock: ManualClock, client_id: int) -> int:
    with write(sessions) as session:
        member = Member(
            client_id=client_id,
            member_id="ana",
            first_name='An"a',
            engagement_score=42.0,
            total_spend=Decimal("12.5"),
            lifetime_value=Decimal("12"),
            date_of_birth=date(1990, 2, 28),
            last_active=datetime(2026, 11, 20, 8, 30, tzinfo=UTC),
            attributes={"city": "Berlin", "first order": 3, "vip": True},
            created_at=clock.now(),
            updated_at=clock.now(),
        )
        session.add(member)
        session.flush()
        return member.id
