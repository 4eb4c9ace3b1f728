"""Mirrors campaigns/queries.py."""

import pytest

from campaigns.campaign import CampaignStatus, CampaignType
from campaigns.errors import CampaignNotFoundError, RunNotFoundError
from campaigns.queries import (
    campaign,
    campaigns_page,
    run,
    runs,
    template_named,
    templates_page,
)
from channels.channel import Channel
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.page import Walk
from tests.campaigns.conftest import Launch, MakeCampaign, MakeMember
from tests.factories import Factory


def test_campaigns_come_newest_first_a_page_at_a_time(
    sessions: Sessions, client_id: int, make_campaign: MakeCampaign
) -> None:
    first, second, third = (make_campaign() for _ in range(3))

    with read(sessions) as session:
        page = campaigns_page(session, client_id, limit=2)
        rest = campaigns_page(session, client_id, walk=Walk(descending=True, edge=(page[-1].id,)))

    assert [found.id for found in page] == [third, second]
    assert [found.id for found in rest] == [first]


def test_campaigns_can_be_asked_for_by_status_and_type(
    sessions: Sessions,
    client_id: int,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
) -> None:
    make_member()
    draft, active = make_campaign(type="email"), make_campaign()
    start(active)

    with read(sessions) as session:
        drafts = campaigns_page(session, client_id, status=CampaignStatus.DRAFT)
        mixed = campaigns_page(session, client_id, type=CampaignType.MIXED)

    assert [found.id for found in drafts] == [draft]
    assert [found.id for found in mixed] == [active]


def test_templates_come_newest_first_and_by_channel(
    sessions: Sessions, client_id: int, template_ids: dict[Channel, int]
) -> None:
    with read(sessions) as session:
        every = templates_page(session, client_id)
        sms = templates_page(session, client_id, channel=Channel.SMS)
        older = templates_page(
            session, client_id, walk=Walk(descending=True, edge=(every[0].id,)), limit=1
        )

    assert [found.id for found in every] == sorted(template_ids.values(), reverse=True)
    assert [found.id for found in sms] == [template_ids[Channel.SMS]]
    assert [found.id for found in older] == [every[1].id]


def test_nothing_of_another_client_is_shown(
    sessions: Sessions,
    client_id: int,
    other_client_id: int,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
) -> None:
    make_member()
    campaign_id = make_campaign()
    run_id = start(campaign_id).id

    with read(sessions) as session:
        assert campaigns_page(session, other_client_id) == []
        assert templates_page(session, other_client_id) == []
        with pytest.raises(CampaignNotFoundError):
            campaign(session, other_client_id, campaign_id)
        with pytest.raises(CampaignNotFoundError):
            runs(session, other_client_id, campaign_id)
        with pytest.raises(RunNotFoundError):
            run(session, other_client_id, run_id)
        assert [found.id for found in runs(session, client_id, campaign_id)] == [run_id]
        assert run(session, client_id, run_id).campaign_id == campaign_id


def test_a_deleted_campaign_is_gone(
    sessions: Sessions, clock: ManualClock, client_id: int, make_campaign: MakeCampaign
) -> None:
    campaign_id = make_campaign()
    with write(sessions) as session:
        campaign(session, client_id, campaign_id).deleted_at = clock.now()

    with read(sessions) as session:
        assert campaigns_page(session, client_id) == []
        with pytest.raises(CampaignNotFoundError):
            campaign(session, client_id, campaign_id)


def test_a_template_is_found_by_name_at_its_own_client_only(
    sessions: Sessions, clock: ManualClock, client_id: int, template_ids: dict[Channel, int]
) -> None:
    stranger = Factory(sessions, clock, client_id).another_client().client_id
    with read(sessions) as session:
        mine = template_named(session, client_id, "sms")
        theirs = template_named(session, stranger, "sms")
    assert mine is not None
    assert (mine.id, theirs) == (template_ids[Channel.SMS], None)
