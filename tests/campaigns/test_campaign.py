"""Mirrors campaigns/campaign.py."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from campaigns.campaign import (
    CampaignCategory,
    CampaignStatus,
    CampaignType,
    Priority,
    ScheduleType,
    create_campaign,
    locked,
    update_campaign,
)
from campaigns.errors import (
    CampaignChangedError,
    CampaignInvalidError,
    CampaignNotFoundError,
    CampaignStateError,
    NameTakenError,
)
from campaigns.queries import campaign
from campaigns.variant import variants_of
from channels.channel import Channel
from core.clock import ManualClock
from core.condition.check import ConditionError
from core.db import Sessions, read, write
from core.errors import EngineError, InvalidError
from tests.campaigns.conftest import Launch, MakeCampaign, MakeMember

EVERYONE = {"rule": {"everyone": True}}


def test_a_campaign_begins_as_a_draft_with_the_usual_settings(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        made = create_campaign(
            session,
            clock,
            client_id=client_id,
            name="  Gift guide ",
            type="email",
            target_audience=EVERYONE,
        )

    assert made.name == "Gift guide"
    assert (made.type, made.status) == (CampaignType.EMAIL, CampaignStatus.DRAFT)
    assert (made.category, made.priority) == (CampaignCategory.MARKETING, Priority.MEDIUM)
    assert made.schedule_type is ScheduleType.IMMEDIATE
    assert made.version == 1


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"type": "emial"}, "type"),
        ({"category": "advertising"}, "category"),
        ({"priority": "highest"}, "priority"),
        ({"schedule_type": "sometime"}, "schedule_type"),
        ({"schedule_type": "recurring"}, "schedule_type"),
        ({"schedule_type": "triggered"}, "schedule_type"),
        ({"schedule_type": "scheduled"}, "scheduled_at"),
        ({"scheduled_at": datetime(2027, 1, 1)}, "scheduled_at"),  # noqa: DTZ001  (naive)
        ({"target_audience": {"all": 1}}, "target_audience"),
        ({"target_audience": {"rule": 'teir = "elite"'}}, "target_audience/rule"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_field_and_a_remedy(
    make_campaign: MakeCampaign, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        make_campaign(**values)

    assert caught.value.field == field
    assert caught.value.remedy


def test_an_immediate_campaign_has_no_time(make_campaign: MakeCampaign, clock: ManualClock) -> None:
    with pytest.raises(CampaignInvalidError) as caught:
        make_campaign(scheduled_at=clock.now() + timedelta(hours=1))

    assert "schedule_type to scheduled" in (caught.value.remedy or "")


def test_a_misspelt_type_is_answered_with_the_nearest(make_campaign: MakeCampaign) -> None:
    with pytest.raises(InvalidError) as caught:
        make_campaign(type="emial")

    assert caught.value.remedy == "did you mean “email”?"


def test_two_campaigns_of_one_client_cannot_share_a_name(make_campaign: MakeCampaign) -> None:
    make_campaign(name="Gift guide")

    with pytest.raises(NameTakenError):
        make_campaign(name="Gift guide ")


def test_a_name_that_is_taken_is_refused_whatever_else_changes(
    sessions: Sessions, clock: ManualClock, client_id: int, make_campaign: MakeCampaign
) -> None:
    make_campaign(name="Gift guide")
    campaign_id = make_campaign()

    with pytest.raises(NameTakenError), write(sessions) as session:
        update_campaign(
            session,
            clock,
            client_id=client_id,
            campaign_id=campaign_id,
            name="Gift guide",
            target_audience=EVERYONE,
            priority="low",
        )


def test_a_campaign_keeps_its_own_name(
    sessions: Sessions, clock: ManualClock, client_id: int, make_campaign: MakeCampaign
) -> None:
    campaign_id = make_campaign(name="Gift guide")

    with write(sessions) as session:
        update_campaign(
            session, clock, client_id=client_id, campaign_id=campaign_id, name="Gift guide"
        )


def test_a_type_allows_only_its_channel(
    make_campaign: MakeCampaign, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with pytest.raises(CampaignInvalidError) as caught:
        make_campaign(Channel.EMAIL, Channel.SMS, type="email")
    assert caught.value.field == "variants"

    campaign_id = make_campaign(Channel.EMAIL, Channel.SMS)
    with pytest.raises(CampaignInvalidError), write(sessions) as session:
        update_campaign(session, clock, client_id=client_id, campaign_id=campaign_id, type="sms")


def test_a_draft_may_change_in_every_way(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    make_campaign: MakeCampaign,
    template_ids: dict[Channel, int],
) -> None:
    campaign_id = make_campaign(Channel.EMAIL)
    at = clock.now() + timedelta(days=1)

    with write(sessions) as session:
        update_campaign(
            session,
            clock,
            client_id=client_id,
            campaign_id=campaign_id,
            version=1,
            name="Renamed",
            priority="urgent",
            schedule_type="scheduled",
            scheduled_at=at,
            target_audience={"rule": 'tier = "elite"'},
            variants=[{"channel": "sms", "template_id": template_ids[Channel.SMS]}],
        )

    with read(sessions) as session:
        now = campaign(session, client_id, campaign_id)
        assert (now.name, now.priority, now.scheduled_at) == ("Renamed", Priority.URGENT, at)
        assert [variant.channel for variant in variants_of(session, campaign_id)] == [Channel.SMS]
        assert now.version == 2


def test_a_change_based_on_an_old_version_is_refused(
    sessions: Sessions, clock: ManualClock, client_id: int, make_campaign: MakeCampaign
) -> None:
    campaign_id = make_campaign()
    with write(sessions) as session:
        update_campaign(session, clock, client_id=client_id, campaign_id=campaign_id, name="A")

    with pytest.raises(CampaignChangedError), write(sessions) as session:
        update_campaign(
            session, clock, client_id=client_id, campaign_id=campaign_id, version=1, name="B"
        )

    with read(sessions) as session:
        assert campaign(session, client_id, campaign_id).name == "A"


def test_what_was_launched_keeps_what_was_promised(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
) -> None:
    make_member()
    campaign_id = make_campaign()
    start(campaign_id)

    with pytest.raises(CampaignStateError) as caught, write(sessions) as session:
        update_campaign(
            session, clock, client_id=client_id, campaign_id=campaign_id, priority="low"
        )
    with write(sessions) as session:
        update_campaign(
            session, clock, client_id=client_id, campaign_id=campaign_id, tags=["autumn"]
        )

    assert caught.value.field == "priority"
    with read(sessions) as session:
        now = campaign(session, client_id, campaign_id)
        assert (now.priority, now.tags) == (Priority.MEDIUM, ["autumn"])


def test_a_refused_change_leaves_nothing_behind(
    sessions: Sessions, clock: ManualClock, client_id: int, make_campaign: MakeCampaign
) -> None:
    campaign_id = make_campaign(Channel.EMAIL)

    with pytest.raises(EngineError), write(sessions) as session:
        update_campaign(
            session,
            clock,
            client_id=client_id,
            campaign_id=campaign_id,
            name="Renamed",
            variants=[{"channel": "sms", "template_id": 999}],
        )

    with read(sessions) as session:
        now = campaign(session, client_id, campaign_id)
        assert (now.name, now.version) == ("Campaign 1", 1)
        assert len(variants_of(session, campaign_id)) == 1


def test_a_campaign_of_another_client_does_not_exist(
    sessions: Sessions, clock: ManualClock, client_id: int, make_campaign: MakeCampaign
) -> None:
    campaign_id = make_campaign()

    with write(sessions) as session:
        with pytest.raises(CampaignNotFoundError):
            locked(session, client_id + 1, campaign_id)
        with pytest.raises(CampaignNotFoundError):
            update_campaign(
                session, clock, client_id=client_id + 1, campaign_id=campaign_id, name="x"
            )


def test_a_rule_nobody_understands_is_refused_with_its_place(make_campaign: MakeCampaign) -> None:
    with pytest.raises(ConditionError) as caught:
        make_campaign(target_audience={"rule": 'tier = "elite" adn everyone'})

    assert caught.value.column == 16
