"""Mirrors campaigns/usage.py; and what pins and references do to audiences."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from campaigns.audience import frozen, size
from campaigns.campaign import Campaign, CampaignStatus
from campaigns.usage import Delta, change, delete, effect, usage
from core.clock import ManualClock
from core.condition.ast import Not, Or
from core.condition.json import from_json, to_json
from core.condition.text import format, parse
from core.db import Sessions, read, write
from members.errors import SegmentInUseError, SegmentKindError, SegmentNotFoundError
from members.membership import track, tracking
from members.pin import set_pins
from members.segment import (
    Pin,
    Segment,
    SegmentKind,
    belonging,
    create_segment,
    delete_segment,
    update_segment,
)
from tests.campaigns.conftest import MakeCampaign, MakeMember

ELITE = 'tier = "elite"'


def test_pins_hold_in_a_frozen_audience(
    sessions: Sessions, clock: ManualClock, client_id: int, make_member: MakeMember
) -> None:
    elite, put_in, kept_out, _other = (
        make_member(tier=tier) for tier in ("elite", "basic", "elite", "basic")
    )
    with write(sessions) as session:
        segment = made(session, clock, client_id)
        set_pins(session, clock, segment=segment, member_ids=[put_in])
        set_pins(session, clock, segment=segment, member_ids=[kept_out], pin=Pin.EXCLUDE)
        outer = made(session, clock, client_id, "B", 'in segment "A"')

        kept = [
            frozen(session, client_id, {"segment_id": segment.id}),
            frozen(session, client_id, {"segment_id": outer.id}),
            frozen(session, client_id, {"rule": {"segment": "A"}}),
        ]
        update_segment(session, clock, segment, rule='tier = "basic"', name="Z")

        assert kept[0] == kept[1] == kept[2]
        assert size(session, kept[0], client_id=client_id, now=clock.now()) == 2
        assert parse(format(kept[0])) == kept[0]
    assert elite


def test_a_frozen_list_outlives_its_name(
    sessions: Sessions, clock: ManualClock, client_id: int, make_member: MakeMember
) -> None:
    one = make_member()
    with write(sessions) as session:
        segment = made(session, clock, client_id, kind=SegmentKind.STATIC)
        set_pins(session, clock, segment=segment, member_ids=[one])
        kept = frozen(session, client_id, {"rule": {"segment": "A"}})
        update_segment(session, clock, segment, name="Z")
        delete_segment(session, clock, segment)

        assert size(session, kept, client_id=client_id, now=clock.now()) == 1


def test_all_that_uses_a_segment_is_listed(
    sessions: Sessions, clock: ManualClock, client_id: int, make_campaign: MakeCampaign
) -> None:
    with write(sessions) as session:
        segment = made(session, clock, client_id)
        outer = made(session, clock, client_id, "B", f'not in segment "A" or {ELITE}')
        outmost = made(session, clock, client_id, "C", 'in segment "B"')
        made(session, clock, client_id, "D")
        reference = to_json(Or((belonging(segment), Not(belonging(outer)))))
    by_id = make_campaign(target_audience={"segment_id": segment.id})
    by_rule = make_campaign(target_audience={"rule": 'has tag "x" and in segment "A"'})
    by_reference = make_campaign()
    with write(sessions) as session:  # as one was stored when rules could still hold references
        session.get_one(Campaign, by_reference).target_audience = {"rule": reference}
    through = make_campaign(target_audience={"segment_id": outmost.id})
    make_campaign()
    ended = make_campaign(target_audience={"segment_id": segment.id})
    become(sessions, ended, CampaignStatus.COMPLETED)

    with read(sessions) as session:
        uses = usage(session, client_id=client_id, segment_id=segment.id)

    assert [(use.kind, use.id, use.direct) for use in uses] == [
        ("segment", outer.id, True),
        ("segment", outmost.id, False),
        ("campaign", by_id, True),
        ("campaign", by_rule, True),
        ("campaign", by_reference, True),
        ("campaign", through, False),
    ]
    assert not any(use.live for use in uses)


def test_an_edit_is_weighed_before_it_is_saved(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
) -> None:
    for tier, status in (
        ("elite", "active"), ("elite", "pending"), ("basic", "active"), ("basic", "pending"),
    ):  # fmt: skip
        make_member(tier=tier, status=status)
    pinned = make_member(tier="premium")
    with write(sessions) as session:
        segment = made(session, clock, client_id)
        set_pins(session, clock, segment=segment, member_ids=[pinned])
    later: dict[str, Any] = {
        "schedule_type": "scheduled",
        "scheduled_at": clock.now() + timedelta(days=1),
    }
    live = make_campaign(target_audience={"rule": 'in segment "A" and status = "active"'}, **later)
    become(sessions, live, CampaignStatus.ACTIVE)
    make_campaign(target_audience={"segment_id": segment.id}, **later)  # a draft

    with read(sessions) as session:
        found = effect(
            session,
            clock,
            client_id=client_id,
            segment_id=segment.id,
            rule='tier = "elite" and status = "active" or tier = "basic"',
        )
        assert session.get_one(Segment, segment.id).version == 1

    assert found.segment == Delta(added=2, removed=1, members=4)
    ((use, delta),) = found.uses
    assert (use.id, use.live, use.status) == (live, True, "active")
    assert delta == Delta(added=1, removed=0, members=3)


def test_a_new_name_is_known_everywhere(
    sessions: Sessions, clock: ManualClock, client_id: int, make_campaign: MakeCampaign
) -> None:
    with write(sessions) as session:
        segment = made(session, clock, client_id)
        outer = made(session, clock, client_id, "B", 'in segment "A"')
    campaign_id = make_campaign(target_audience={"rule": 'in segment "A"'})
    with write(sessions) as session:
        before = frozen(session, client_id, {"segment_id": outer.id})
        change(session, clock, client_id=client_id, segment_id=segment.id, name=" Z ")

        campaign = session.get_one(Campaign, campaign_id)
        assert format(from_json(campaign.target_audience["rule"])) == 'in segment "Z"'
        assert campaign.version == 2
        assert frozen(session, client_id, campaign.target_audience) == before
        assert frozen(session, client_id, {"segment_id": outer.id}) == before


def test_a_used_segment_is_not_deleted(
    sessions: Sessions, clock: ManualClock, client_id: int, make_campaign: MakeCampaign
) -> None:
    with write(sessions) as session:
        segment = made(session, clock, client_id)
        track(session, clock, segment)
    campaign_id = make_campaign(target_audience={"segment_id": segment.id})
    args = {"client_id": client_id, "segment_id": segment.id}

    with write(sessions) as session, pytest.raises(SegmentInUseError, match=f"{campaign_id}"):
        delete(session, clock, **args)
    become(sessions, campaign_id, CampaignStatus.ARCHIVED)
    with write(sessions) as session:
        delete(session, clock, **args)
        assert tracking(session) == []
        with pytest.raises(SegmentNotFoundError):
            usage(session, **args)


def test_a_list_has_no_rule_to_weigh(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        segment = made(session, clock, client_id, kind=SegmentKind.STATIC)
        with pytest.raises(SegmentKindError):
            effect(session, clock, client_id=client_id, segment_id=segment.id, rule="everyone")


def made(
    session: Session,
    clock: ManualClock,
    client_id: int,
    name: str = "A",
    rule: str = ELITE,
    kind: SegmentKind = SegmentKind.DYNAMIC,
) -> Segment:
    return create_segment(session, clock, client_id=client_id, name=name, rule=rule, kind=kind)


def become(sessions: Sessions, campaign_id: int, status: CampaignStatus) -> None:
    with write(sessions) as session:
        session.get_one(Campaign, campaign_id).status = status
