"""Mirrors campaigns/launch.py."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import select, update

from campaigns.campaign import Campaign, CampaignStatus
from campaigns.control import cancel
from campaigns.errors import CampaignNotFoundError, CampaignStateError, LaunchBlockedError
from campaigns.launch import fire, launch, schedule_key, show_missed
from campaigns.run import Run, RunStatus
from campaigns.template import new_version
from channels.channel import Channel
from communications.account import pause_account
from communications.communication import Communication
from core.clock import ManualClock
from core.db import Sessions, read, write
from scheduling.occurrence import OccurrenceState, occurrences
from scheduling.tick import tick
from tests.campaigns.conftest import Launch, MakeCampaign, MakeMember

CampaignNow = Callable[[int], Campaign]
RunNow = Callable[[int], Run]


def test_a_launch_freezes_what_was_decided_and_activates_the_campaign(
    clock: ManualClock,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    campaign_now: CampaignNow,
    account_ids: dict[Channel, int],
) -> None:
    newest = [make_member() for _ in range(3)][-1]
    campaign_id = make_campaign(Channel.SMS)

    run = start(campaign_id)

    assert run.status is RunStatus.RUNNING
    assert run.occurrence_key == "once"
    assert (run.audience_size, run.last_member_id, run.cursor) == (3, newest, 0)
    assert run.plan["message_type"] == "marketing"
    assert run.plan["channels"]["sms"]["provider_account_id"] == account_ids[Channel.SMS]
    assert run.plan["channels"]["sms"]["fields"] == ["first_name"]
    now = campaign_now(campaign_id)
    assert (now.status, now.launched_at) == (CampaignStatus.ACTIVE, clock.now())
    assert now.audience_size == 3


def test_a_second_launch_returns_the_same_run_and_changes_nothing(
    sessions: Sessions,
    clock: ManualClock,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    campaign_now: CampaignNow,
) -> None:
    make_member()
    campaign_id = make_campaign()
    first = start(campaign_id)
    before = campaign_now(campaign_id).updated_at
    clock.advance(hours=1)

    assert start(campaign_id).id == first.id

    assert campaign_now(campaign_id).updated_at == before


def test_a_double_click_makes_one_run(
    sessions: Sessions, make_member: MakeMember, make_campaign: MakeCampaign, start: Launch
) -> None:
    make_member()
    campaign_id = make_campaign()
    together = Barrier(2)

    def click(_: int) -> int:
        together.wait()
        return start(campaign_id).id

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(click, range(2))

    assert first == second
    with read(sessions) as session:
        assert len(session.scalars(select(Run)).all()) == 1


def test_a_blocked_launch_says_why_and_leaves_the_draft(
    make_campaign: MakeCampaign, start: Launch, campaign_now: CampaignNow
) -> None:
    campaign_id = make_campaign()

    with pytest.raises(LaunchBlockedError) as caught:
        start(campaign_id)

    assert [finding.code for finding in caught.value.findings] == ["empty_audience"]
    assert "import members" in (caught.value.remedy or "")
    assert campaign_now(campaign_id).status is CampaignStatus.DRAFT


def test_a_new_wording_after_the_launch_does_not_slip_in(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    template_ids: dict[Channel, int],
    start: Launch,
    expand: Callable[[], int],
    log: Callable[[], list[Communication]],
) -> None:
    make_member(addresses={"sms": "+12015550101"})
    run = start(make_campaign(Channel.SMS))
    with write(sessions) as session:
        new_version(
            session,
            clock,
            client_id=client_id,
            template_id=template_ids[Channel.SMS],
            text="Something else",
        )

    expand()

    promised = run.plan["channels"]["sms"]["template_version_id"]
    assert [row.template_version_id for row in log()] == [promised]


def test_a_campaign_of_another_client_cannot_be_launched(
    sessions: Sessions, clock: ManualClock, client_id: int, make_campaign: MakeCampaign
) -> None:
    campaign_id = make_campaign()

    with pytest.raises(CampaignNotFoundError), write(sessions) as session:
        launch(session, clock, client_id=client_id + 1, campaign_id=campaign_id)


def test_a_scheduled_campaign_starts_at_its_time_and_not_before(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    scheduled: int,
    campaign_now: CampaignNow,
) -> None:
    with write(sessions) as session:
        launched = launch(session, clock, client_id=client_id, campaign_id=scheduled)

    assert launched is None
    assert campaign_now(scheduled).status is CampaignStatus.ACTIVE
    clock.advance(minutes=59)
    assert tick(sessions, clock, {"campaign": fire}) == 0
    clock.advance(minutes=1)
    assert tick(sessions, clock, {"campaign": fire}) == 1
    assert tick(sessions, clock, {"campaign": fire}) == 0
    (run,) = all_runs(sessions)
    assert run.occurrence_key == "2026-11-21T13:00:00+00:00"
    assert run.started_at == clock.now()


def test_launching_a_scheduled_campaign_twice_plans_one_start(
    sessions: Sessions, clock: ManualClock, client_id: int, scheduled: int
) -> None:
    for _ in range(2):
        with write(sessions) as session:
            assert launch(session, clock, client_id=client_id, campaign_id=scheduled) is None

    with read(sessions) as session:
        assert len(occurrences(session, schedule_key(scheduled))) == 1


def test_what_blocks_a_scheduled_start_pauses_the_campaign_and_says_why(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    scheduled: int,
    account_ids: dict[Channel, int],
    campaign_now: CampaignNow,
) -> None:
    with write(sessions) as session:
        launch(session, clock, client_id=client_id, campaign_id=scheduled)
        pause_account(
            session, clock, account_id=account_ids[Channel.EMAIL], reason="bad credentials"
        )
    clock.advance(hours=1)

    tick(sessions, clock, {"campaign": fire})

    now = campaign_now(scheduled)
    assert now.status is CampaignStatus.PAUSED
    assert now.status_reason == "no active provider account carries email"
    assert all_runs(sessions) == []


def test_a_start_missed_by_more_than_two_hours_never_sends_by_itself_and_says_so(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    scheduled: int,
    campaign_now: CampaignNow,
) -> None:
    """B091."""
    with write(sessions) as session:
        launch(session, clock, client_id=client_id, campaign_id=scheduled)
    clock.advance(hours=3, seconds=1)

    tick(sessions, clock, {"campaign": fire}, {"campaign": show_missed})

    assert all_runs(sessions) == []
    now = campaign_now(scheduled)
    assert now.status is CampaignStatus.PAUSED
    assert "choose a new time" in str(now.status_reason)
    with pytest.raises(CampaignStateError) as caught, write(sessions) as session:
        launch(session, clock, client_id=client_id, campaign_id=scheduled)
    assert "choose a new time" in (caught.value.remedy or "")


def test_a_cancelled_start_can_be_launched_again_for_the_same_time(
    sessions: Sessions, clock: ManualClock, client_id: int, scheduled: int
) -> None:
    with write(sessions) as session:
        launch(session, clock, client_id=client_id, campaign_id=scheduled)
        cancel(session, clock, client_id=client_id, campaign_id=scheduled)
        launch(session, clock, client_id=client_id, campaign_id=scheduled)
    clock.advance(hours=1)

    assert tick(sessions, clock, {"campaign": fire}) == 1

    assert len(all_runs(sessions)) == 1


def test_an_instant_of_a_campaign_that_is_not_active_starts_nothing(
    sessions: Sessions, clock: ManualClock, client_id: int, scheduled: int
) -> None:
    with write(sessions) as session:
        launch(session, clock, client_id=client_id, campaign_id=scheduled)
        session.execute(update(Campaign).values(status=CampaignStatus.ARCHIVED))
    clock.advance(hours=1)

    tick(sessions, clock, {"campaign": fire})

    assert all_runs(sessions) == []
    with read(sessions) as session:
        (planned,) = occurrences(session, schedule_key(scheduled))
        assert planned.state is OccurrenceState.FIRED


def all_runs(sessions: Sessions) -> list[Run]:
    with read(sessions) as session:
        return list(session.scalars(select(Run)))


@pytest.fixture
def scheduled(make_member: MakeMember, make_campaign: MakeCampaign, clock: ManualClock) -> int:
    """A draft for one member, to start in an hour."""
    make_member()
    return make_campaign(
        Channel.EMAIL, schedule_type="scheduled", scheduled_at=clock.now() + timedelta(hours=1)
    )
