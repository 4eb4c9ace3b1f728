"""Mirrors campaigns/preflight.py."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from accounts.client import update_client
from campaigns.campaign import update_campaign
from campaigns.errors import CampaignNotFoundError
from campaigns.preflight import Preflight, check
from campaigns.template import new_version
from channels.channel import Channel
from communications.account import pause_account
from communications.communication import Communication
from core.clock import ManualClock
from core.db import Sessions, read, write
from members.address import AddressState
from members.segment import create_segment
from tests.campaigns.conftest import Launch, MakeCampaign, MakeMember, MakeTemplate

Check = Callable[[int], Preflight]


def test_a_sound_campaign_has_no_blocker_and_a_plan(
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    inspect: Check,
    account_ids: dict[Channel, int],
) -> None:
    make_member()

    found = inspect(make_campaign(Channel.EMAIL, priority="urgent"))

    assert found.blockers == []
    assert found.audience == 1
    assert found.plan is not None
    (lane,) = found.plan.lanes
    assert (lane.channel, lane.provider_account_id) == (
        Channel.EMAIL,
        account_ids[Channel.EMAIL],
    )
    assert lane.fields == ("first_name", "attributes.city")
    assert found.plan.priority == 0


def test_an_empty_audience_is_blocked(make_campaign: MakeCampaign, inspect: Check) -> None:
    found = inspect(make_campaign())

    assert blocked(found) == ["empty_audience"]
    assert found.plan is None


def test_a_campaign_without_a_message_is_blocked(
    make_member: MakeMember, make_campaign: MakeCampaign, inspect: Check
) -> None:
    make_member()

    assert blocked(inspect(make_campaign(variants=[]))) == ["no_template"]


def test_a_channel_without_an_active_account_is_blocked(
    sessions: Sessions,
    clock: ManualClock,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    inspect: Check,
    account_ids: dict[Channel, int],
) -> None:
    make_member()
    with write(sessions) as session:
        pause_account(session, clock, account_id=account_ids[Channel.SMS], reason="test")

    found = inspect(make_campaign(Channel.EMAIL, Channel.SMS))

    assert blocked(found) == ["no_provider"]
    assert found.blockers[0].channel is Channel.SMS
    assert "add a provider account for sms" in found.blockers[0].remedy


def test_an_account_chosen_by_hand_must_be_active_itself(
    sessions: Sessions,
    clock: ManualClock,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    inspect: Check,
    account_ids: dict[Channel, int],
    template_ids: dict[Channel, int],
) -> None:
    make_member()
    chosen = account_ids[Channel.EMAIL]
    variant = {
        "channel": "email",
        "template_id": template_ids[Channel.EMAIL],
        "provider_account_id": chosen,
    }
    campaign_id = make_campaign(variants=[variant])
    assert blocked(inspect(campaign_id)) == []

    with write(sessions) as session:
        pause_account(session, clock, account_id=chosen, reason="test")

    assert blocked(inspect(campaign_id)) == ["no_provider"]


def test_several_wordings_of_a_channel_share_a_lane_and_one_warning(
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    make_template: MakeTemplate,
    inspect: Check,
) -> None:
    make_member()
    unsafe = make_template(Channel.EMAIL, subject="{{ tier }}", html="<p>Hello</p>")
    ids = [make_template(Channel.EMAIL), make_template(Channel.EMAIL)]
    variants = [{"channel": "email", "template_id": id, "weight": 2} for id in ids]

    found = inspect(make_campaign(variants=variants))

    assert found.plan is not None
    (lane,) = found.plan.lanes
    assert [(share.name, share.weight) for share in lane.shares] == [("A", 2), ("B", 2)]
    assert lane.shares[0].template_version_id == lane.template_version_id
    assert lane.fields == ("first_name", "attributes.city")
    assert sorted(one.code for one in found.warnings) == [
        "no_client_address", "small_test"
    ]  # fmt: skip
    variants[1]["template_id"] = unsafe
    assert blocked(inspect(make_campaign(variants=variants))) == ["no_unsubscribe"]


@pytest.mark.parametrize(("seconds_ago", "codes"), [(61, ["past_schedule"]), (59, []), (-60, [])])
def test_a_time_that_has_passed_is_blocked(
    clock: ManualClock,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    inspect: Check,
    seconds_ago: int,
    codes: list[str],
) -> None:
    """B091."""
    make_member()
    at = clock.now() - timedelta(seconds=seconds_ago)

    assert blocked(inspect(make_campaign(schedule_type="scheduled", scheduled_at=at))) == codes


@pytest.mark.parametrize(
    ("category", "codes"), [("marketing", ["no_unsubscribe"]), ("transactional", [])]
)
def test_marketing_email_needs_a_way_out(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    template_ids: dict[Channel, int],
    inspect: Check,
    category: str,
    codes: list[str],
) -> None:
    make_member()
    campaign_id = make_campaign(Channel.EMAIL, category=category)
    with write(sessions) as session:
        new_version(
            session,
            clock,
            client_id=client_id,
            template_id=template_ids[Channel.EMAIL],
            subject="Hello",
            html="<p>No way out</p>",
        )

    assert blocked(inspect(campaign_id)) == codes


def test_marketing_email_without_a_postal_address_is_warned_about(
    make_member: MakeMember, make_campaign: MakeCampaign, inspect: Check
) -> None:
    make_member()

    warnings = inspect(make_campaign(Channel.EMAIL)).warnings

    assert [finding.code for finding in warnings] == ["no_client_address"]


def test_what_only_a_journey_knows_is_blocked_and_a_missing_fact_warned_about(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    template_ids: dict[Channel, int],
    inspect: Check,
) -> None:
    make_member(addresses={"sms": "+14155550100"})
    campaign_id = make_campaign(Channel.SMS)
    told = {"client_id": client_id, "template_id": template_ids[Channel.SMS]}
    facts = {"foundation": {"offer": "Lessons"}}
    with write(sessions) as session:
        update_client(session, clock, client_id=client_id, settings=facts)
        text = "{{ foundation.offer }} {{ foundation.gift }}"
        new_version(session, clock, **told, text=text)

    found = inspect(campaign_id)
    with write(sessions) as session:
        new_version(session, clock, **told, text="{{ event.total }} {{ journey.crm.score }}")
    refused = inspect(campaign_id)

    assert blocked(found) == []
    (warning,) = found.warnings
    assert warning.code == "no_foundation"
    assert "foundation.gift" in warning.message
    assert blocked(refused) == ["journey_only", "journey_only"]


def test_a_segment_that_is_gone_is_blocked(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    inspect: Check,
) -> None:
    make_member()
    with write(sessions) as session:
        segment = create_segment(session, clock, client_id=client_id, name="all", rule="everyone")
    by_id = make_campaign(target_audience={"segment_id": segment.id})
    by_name = make_campaign(target_audience={"rule": 'in segment "all"'})
    assert inspect(by_id).audience == inspect(by_name).audience == 1

    with write(sessions) as session:
        session.get_one(type(segment), segment.id).deleted_at = clock.now()

    assert blocked(inspect(by_id)) == blocked(inspect(by_name)) == ["no_audience"]


def test_everything_that_is_wrong_is_told_at_once(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    make_campaign: MakeCampaign,
    inspect: Check,
) -> None:
    campaign_id = make_campaign(schedule_type="scheduled", scheduled_at=clock.now())
    with write(sessions) as session:
        update_campaign(session, clock, client_id=client_id, campaign_id=campaign_id, variants=[])
    clock.advance(hours=1)

    found = inspect(campaign_id)

    assert blocked(found) == ["past_schedule", "empty_audience", "no_template"]
    assert all(finding.remedy for finding in found.blockers)


def test_what_is_announced_is_what_the_fan_out_does(
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    inspect: Check,
    start: Launch,
    expand: Callable[[], int],
    log: Callable[[], list[Communication]],
) -> None:
    make_member()
    make_member(addresses={"email": "shared@example.com", "sms": "+12015550101"})
    make_member(addresses={"email": "shared@example.com"})
    make_member(state=AddressState.INVALID)
    make_member(withdrawn=["email"])
    campaign_id = make_campaign(Channel.EMAIL, Channel.SMS)

    found = inspect(campaign_id)
    start(campaign_id)
    expand()

    assert found.reach == {Channel.EMAIL: 2, Channel.SMS: 1}
    assert found.skipped[Channel.EMAIL] == {
        "duplicate_address": 1,
        "invalid_address": 1,
        "no_consent": 1,
    }
    rows = Counter((row.channel, row.reason) for row in log())
    assert rows == {
        (Channel.EMAIL, None): 2,
        (Channel.SMS, None): 1,
        **{(ch, why): n for ch, whys in found.skipped.items() for why, n in whys.items()},
    }


def test_a_channel_on_which_nobody_can_be_reached_is_warned_about(
    make_member: MakeMember, make_campaign: MakeCampaign, inspect: Check
) -> None:
    make_member()

    found = inspect(make_campaign(Channel.PUSH))

    assert [finding.code for finding in found.warnings] == ["nobody_reachable"]
    assert found.skipped == {Channel.PUSH: {"no_address": 1}}


def test_a_campaign_of_another_client_does_not_exist(
    sessions: Sessions, clock: ManualClock, client_id: int, make_campaign: MakeCampaign
) -> None:
    campaign_id = make_campaign()

    with read(sessions) as session, pytest.raises(CampaignNotFoundError):
        check(session, clock, client_id=client_id + 1, campaign_id=campaign_id)


def blocked(found: Preflight) -> list[str]:
    return [finding.code for finding in found.blockers]


@pytest.fixture
def inspect(sessions: Sessions, clock: ManualClock, client_id: int) -> Check:
    def look(campaign_id: int) -> Preflight:
        with read(sessions) as session:
            return check(session, clock, client_id=client_id, campaign_id=campaign_id)

    return look
