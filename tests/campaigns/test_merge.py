"""Mirrors campaigns/merge.py."""

from datetime import UTC, date, datetime
from decimal import Decimal

from sqlalchemy import select

from accounts.client import update_client
from campaigns.merge import NOTHING, merge_of
from channels.names import ATTRIBUTES, MEMBER_FIELDS
from core.clock import ManualClock
from core.db import Sessions, read, write
from members.member import Member
from tests.campaigns.conftest import MakeMember


def test_every_field_a_template_may_use_can_be_copied(
    sessions: Sessions, make_member: MakeMember
) -> None:
    make_member()
    fields = sorted(MEMBER_FIELDS - {ATTRIBUTES})

    with read(sessions) as session:
        merged = session.execute(select(merge_of(fields))).scalar_one()

    assert sorted(merged) == fields


def test_values_are_what_a_message_should_show_on_both_databases(
    sessions: Sessions, make_member: MakeMember
) -> None:
    make_member(
        tier="premium",
        engagement_score=71.0,
        total_spend=Decimal("120.50"),
        date_of_birth=date(1990, 2, 28),
        last_active=datetime(2026, 11, 20, 8, 30, 15, 250, tzinfo=UTC),
        attributes={"city": "Köln", "orders": 3, "vip": True, "rate": 0.5},
    )

    with read(sessions) as session:
        merged = session.execute(
            select(
                merge_of(
                    [
                        "first_name",
                        "last_name",
                        "tier",
                        "engagement_score",
                        "total_spend",
                        "date_of_birth",
                        "last_active",
                        "attributes.city",
                        "attributes.orders",
                        "attributes.vip",
                        "attributes.rate",
                        "attributes.shoe size",
                    ]
                )
            )
        ).scalar_one()

    assert merged == {
        "first_name": "Ana 1",
        "last_name": None,
        "tier": "premium",
        "engagement_score": 71,
        "total_spend": 120.5,
        "date_of_birth": "1990-02-28",
        "last_active": "2026-11-20T08:30:15Z",
        "attributes.city": "Köln",
        "attributes.orders": 3,
        "attributes.vip": True,
        "attributes.rate": 0.5,
        "attributes.shoe size": None,
    }


def test_a_message_that_shows_nothing_has_an_empty_object(
    sessions: Sessions, make_member: MakeMember
) -> None:
    make_member()

    with read(sessions) as session:
        assert session.execute(select(NOTHING).select_from(Member)).scalar_one() == {}


def test_the_foundation_is_copied_from_the_members_own_client(
    sessions: Sessions, clock: ManualClock, client_id: int, make_member: MakeMember,
    other_client_id: int,
) -> None:  # fmt: skip
    make_member()
    facts = {"offer": "Lessons", "pains": ["no time", "no list"]}
    with write(sessions) as session:
        update_client(session, clock, client_id=client_id, settings={"foundation": facts})
        other = {"foundation": {"offer": "Not this"}}
        update_client(session, clock, client_id=other_client_id, settings=other)

    with read(sessions) as session:
        fields = ["first_name", "foundation.offer", "foundation.pains", "foundation.gift"]
        merged = session.execute(select(merge_of(fields))).scalar_one()

    assert merged == {
        "first_name": "Ana 1",
        "foundation.offer": "Lessons",
        "foundation.pains": ["no time", "no list"],
        "foundation.gift": None,
    }


def test_what_only_a_journey_knows_is_null(sessions: Sessions, make_member: MakeMember) -> None:
    make_member(attributes={"total": 3})

    with read(sessions) as session:
        merged = session.execute(select(merge_of(["event.total", "journey.crm"]))).scalar_one()

    assert merged == {"event.total": None, "journey.crm": None}
