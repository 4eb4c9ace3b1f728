"""Mirrors campaigns/audience.py."""

from typing import Any

import pytest
from sqlalchemy import select

from campaigns.audience import audience_of, frozen, matching, newest_member, size
from campaigns.errors import CampaignInvalidError
from core.clock import ManualClock
from core.condition.check import ConditionError
from core.condition.text import format, parse
from core.db import Sessions, read, write
from members.errors import SegmentNotFoundError
from members.member import Member, MemberStatus
from members.segment import Segment, SegmentKind, SegmentMember, create_segment, update_segment
from tests.campaigns.conftest import MakeMember


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"rule": 7},
        {"segment_id": "7"},
        {"segment_id": 7, "rule": {"everyone": True}},
        {"everyone": True},
    ],
)
def test_anything_but_a_segment_or_a_rule_is_refused(
    sessions: Sessions, clock: ManualClock, client_id: int, given: dict[str, Any]
) -> None:
    with read(sessions) as session, pytest.raises((CampaignInvalidError, ConditionError)):
        audience_of(session, clock, client_id, given)


def test_a_rule_is_stored_as_json_however_it_was_written(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with read(sessions) as session:
        stored = audience_of(session, clock, client_id, {"rule": 'tier = "premium"'})
        again = audience_of(session, clock, client_id, stored)

    assert stored == again
    assert isinstance(stored["rule"], dict)


def test_a_segment_nobody_knows_is_refused(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with read(sessions) as session:
        with pytest.raises(SegmentNotFoundError):
            audience_of(session, clock, client_id, {"segment_id": 7})
        with pytest.raises(ConditionError):
            audience_of(session, clock, client_id, {"rule": 'in segment "nobody"'})


def test_a_frozen_audience_does_not_change_with_its_segments(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        inner = make_segment(session, clock, client_id, "inner", 'tier = "elite"')
        outer = make_segment(
            session, clock, client_id, "outer", 'in segment "inner" and not has tag "x"'
        )
        kept = frozen(session, client_id, {"segment_id": outer.id})
        update_segment(session, clock, inner, rule='tier = "basic"')

    assert format(kept) == format(parse('tier = "elite" and not has tag "x"'))


def test_segments_that_contain_each_other_are_refused(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        first = make_segment(session, clock, client_id, "first", 'tier = "elite"')
        make_segment(session, clock, client_id, "second", 'in segment "first"')
        update_segment(session, clock, first, rule='in segment "second"')

        with pytest.raises(ConditionError, match="contains itself"):
            frozen(session, client_id, {"segment_id": first.id})


def test_a_static_segment_is_its_list_of_members(
    sessions: Sessions, clock: ManualClock, client_id: int, make_member: MakeMember
) -> None:
    listed, _other = make_member(), make_member()
    with write(sessions) as session:
        segment = make_segment(session, clock, client_id, "list", "everyone")
        segment.kind = SegmentKind.STATIC
        session.add(SegmentMember(segment_id=segment.id, member_id=listed, client_id=client_id))
        session.flush()

        condition = frozen(session, client_id, {"segment_id": segment.id})
        members = matching(session, condition, client_id=client_id, now=clock.now())

        assert session.scalars(select(Member.id).where(*members)).all() == [listed]


def test_an_audience_has_only_members_of_the_client_who_can_be_written_to(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    other_client_id: int,
    make_member: MakeMember,
) -> None:
    for status in MemberStatus:
        make_member(status=status)
    make_member(deleted_at=clock.now())
    make_member(client_id=other_client_id)

    with read(sessions) as session:
        everyone = parse("everyone")
        assert size(session, everyone, client_id=client_id, now=clock.now()) == 3


def test_an_audience_ends_with_the_clients_newest_member(
    sessions: Sessions, client_id: int, other_client_id: int, make_member: MakeMember
) -> None:
    newest = [make_member() for _ in range(2)][-1]
    make_member(client_id=other_client_id)

    with read(sessions) as session:
        assert newest_member(session, client_id) == newest
        assert newest_member(session, other_client_id + 1) == 0


def make_segment(session: Any, clock: ManualClock, client_id: int, name: str, rule: str) -> Segment:
    return create_segment(session, clock, client_id=client_id, name=name, rule=rule)
