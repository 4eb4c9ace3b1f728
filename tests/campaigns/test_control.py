"""Mirrors campaigns/control.py."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select

from campaigns.campaign import Campaign, CampaignStatus
from campaigns.control import cancel, pause, resume
from campaigns.errors import CampaignStateError, LaunchBlockedError
from campaigns.fan_out import step
from campaigns.launch import fire, launch
from campaigns.run import Run, RunStatus
from campaigns.statistics import run_statistics
from channels.channel import Channel
from communications.account import pause_account, resume_account
from communications.claim import Claimed, claim
from communications.communication import Communication, Reason
from communications.ledger import intend
from communications.standstill import standstills
from communications.status import Status
from core.clock import ManualClock
from core.db import Sessions, read, write
from scheduling.tick import tick
from tests.campaigns.conftest import Launch, MakeCampaign, MakeMember

Log = Callable[[], list[Communication]]
CampaignNow = Callable[[int], Campaign]
RunNow = Callable[[int], Run]


class Deed:
    """Do something to a campaign in a transaction of its own."""

    def __init__(self, sessions: Sessions, clock: ManualClock, client_id: int) -> None:
        self._sessions, self._clock, self._client_id = sessions, clock, client_id

    def __call__(self, deed: Callable[..., object], campaign_id: int) -> None:
        with write(self._sessions) as session:
            deed(session, self._clock, client_id=self._client_id, campaign_id=campaign_id)


def test_pausing_stops_every_queued_row_also_the_claimed_ones(
    sessions: Sessions,
    clock: ManualClock,
    do: Deed,
    running: Run,
    take: Callable[[int], list[Claimed]],
    campaign_now: CampaignNow,
    run_now: RunNow,
) -> None:
    claimed = take(2)

    do(pause, running.campaign_id)

    assert take(10) == []
    with write(sessions) as session:
        ids = [row.id for row in claimed]
        assert not intend(session, clock, ids=ids, owner="w#1", lease_seconds=120)
    assert campaign_now(running.campaign_id).status is CampaignStatus.PAUSED
    assert run_now(running.id).status is RunStatus.PAUSED


def test_a_pause_is_noted_once_with_who_it_was_until_it_ends(
    sessions: Sessions, clock: ManualClock, do: Deed, running: Run
) -> None:
    begun = clock.now()
    for who in ("user:7", "user:8"):
        do(partial(pause, actor=who, reason="a wrong price"), running.campaign_id)
        clock.advance(hours=1)
    do(resume, running.campaign_id)
    clock.advance(hours=1)
    do(pause, running.campaign_id)
    do(cancel, running.campaign_id)

    with read(sessions) as session:
        subject = f"campaign:{running.campaign_id}"
        first, second = standstills(
            session, running.client_id, [subject], begun, clock.now() + timedelta(hours=1)
        )
    assert (first.actor, first.reason, second.actor) == ("user:7", "a wrong price", None)
    assert first.ended_at is not None
    assert first.ended_at - first.began_at == timedelta(hours=2)
    assert second.ended_at == clock.now()


def test_resuming_goes_on_with_the_untouched_rows(
    sessions: Sessions,
    clock: ManualClock,
    do: Deed,
    running: Run,
    take: Callable[[int], list[Claimed]],
    run_now: RunNow,
) -> None:
    do(pause, running.campaign_id)
    clock.advance(days=2)

    do(resume, running.campaign_id)

    assert len(take(10)) == 5
    assert run_now(running.id).status is RunStatus.RUNNING


def test_a_pause_in_the_middle_of_the_fan_out_lets_no_chunk_through(
    sessions: Sessions,
    clock: ManualClock,
    do: Deed,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Callable[[], int],
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("campaigns.fan_out.FIRST_CHUNK", 2)
    members = [make_member() for _ in range(5)]
    run = start(make_campaign())
    step(sessions, clock)

    do(pause, run.campaign_id)

    assert expand() == 0
    assert [row.held for row in log()] == ["paused", "paused"]
    do(resume, run.campaign_id)
    expand()
    assert [(row.member_id, row.held) for row in log()] == [(member, None) for member in members]


def test_cancelling_leaves_nothing_queued_and_the_sums_hold(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    do: Deed,
    running: Run,
    take: Callable[[int], list[Claimed]],
    log: Log,
    campaign_now: CampaignNow,
    run_now: RunNow,
) -> None:
    on_its_way, _claimed_only = take(2)
    with write(sessions) as session:
        intend(session, clock, ids=[on_its_way.id], owner="w#1", lease_seconds=120)

    do(cancel, running.campaign_id)

    assert Counter((row.status, row.reason) for row in log()) == {
        (Status.SENDING, None): 1,
        (Status.SKIPPED, Reason.CANCELLED): 4,
        (Status.SKIPPED, Reason.NO_ADDRESS): 1,
    }
    with read(sessions) as session:
        numbers = run_statistics(session, client_id, running.id)[Channel.EMAIL]
    assert numbers["audience"] == 6 == numbers["skipped"] + numbers["queued"]
    assert numbers["skipped_reasons"] == {"cancelled": 4, "no_address": 1}
    assert campaign_now(running.campaign_id).status is CampaignStatus.COMPLETED
    assert run_now(running.id).status is RunStatus.CANCELLED
    assert run_now(running.id).finished_at == clock.now()


def test_a_paused_campaign_can_be_cancelled(do: Deed, running: Run, log: Log) -> None:
    do(pause, running.campaign_id)

    do(cancel, running.campaign_id)

    assert {(row.status, row.held) for row in log()} == {(Status.SKIPPED, None)}


def test_a_cancelled_run_is_not_expanded_any_further(
    do: Deed,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Callable[[], int],
    log: Log,
) -> None:
    make_member()
    run = start(make_campaign())

    do(cancel, run.campaign_id)

    assert expand() == 0
    assert log() == []


@pytest.mark.parametrize("deed", [pause, resume, cancel])
def test_every_deed_may_be_repeated(
    do: Deed, running: Run, run_now: RunNow, deed: Callable[..., object]
) -> None:
    if deed is resume:
        do(pause, running.campaign_id)
    do(deed, running.campaign_id)
    after = run_now(running.id)

    do(deed, running.campaign_id)

    again = run_now(running.id)
    assert (again.status, again.finished_at) == (after.status, after.finished_at)


@pytest.mark.parametrize("deed", [pause, resume, cancel])
def test_a_draft_can_only_be_launched(
    do: Deed, make_campaign: MakeCampaign, deed: Callable[..., object]
) -> None:
    campaign_id = make_campaign()

    with pytest.raises(CampaignStateError) as caught:
        do(deed, campaign_id)

    assert caught.value.remedy == "launch it first"


@pytest.mark.parametrize("deed", [pause, resume])
def test_a_cancelled_campaign_is_over(do: Deed, running: Run, deed: Callable[..., object]) -> None:
    do(cancel, running.campaign_id)

    with pytest.raises(CampaignStateError):
        do(deed, running.campaign_id)


def test_another_campaigns_rows_are_left_alone(
    do: Deed,
    running: Run,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Callable[[], int],
    log: Log,
) -> None:
    other = start(make_campaign(Channel.SMS, Channel.EMAIL))
    expand()

    do(pause, running.campaign_id)
    do(cancel, running.campaign_id)

    rows = [row for row in log() if row.run_id == other.id and row.channel is Channel.EMAIL]
    assert Counter(row.status for row in rows) == {Status.QUEUED: 5, Status.SKIPPED: 1}
    assert {row.held for row in rows} == {None}


def test_a_paused_schedule_does_not_start_and_resumed_in_time_it_does(
    sessions: Sessions, clock: ManualClock, do: Deed, scheduled: int
) -> None:
    do(pause, scheduled)
    do(resume, scheduled)
    do(pause, scheduled)
    clock.advance(hours=1)
    assert tick(sessions, clock, {"campaign": fire}) == 0

    do(resume, scheduled)

    assert len(runs(sessions)) == 1
    assert tick(sessions, clock, {"campaign": fire}) == 0


def test_a_schedule_resumed_before_its_time_waits_for_it(
    sessions: Sessions, clock: ManualClock, do: Deed, scheduled: int
) -> None:
    do(pause, scheduled)
    do(resume, scheduled)
    assert runs(sessions) == []
    clock.advance(hours=1)

    assert tick(sessions, clock, {"campaign": fire}) == 1

    assert len(runs(sessions)) == 1


def test_a_schedule_resumed_too_late_is_refused_with_the_remedy(
    sessions: Sessions, clock: ManualClock, do: Deed, scheduled: int, campaign_now: CampaignNow
) -> None:
    do(pause, scheduled)
    clock.advance(hours=3, seconds=1)

    with pytest.raises(CampaignStateError) as caught:
        do(resume, scheduled)

    assert "choose a new time" in (caught.value.remedy or "")
    assert campaign_now(scheduled).status is CampaignStatus.PAUSED


def test_a_blocked_start_can_be_resumed_when_the_cause_is_gone(
    sessions: Sessions,
    clock: ManualClock,
    do: Deed,
    scheduled: int,
    account_ids: dict[Channel, int],
    campaign_now: CampaignNow,
) -> None:
    account_id = account_ids[Channel.EMAIL]
    with write(sessions) as session:
        pause_account(session, clock, account_id=account_id, reason="bad credentials")
    clock.advance(hours=1)
    tick(sessions, clock, {"campaign": fire})

    with pytest.raises(LaunchBlockedError):
        do(resume, scheduled)
    with write(sessions) as session:
        resume_account(session, clock, account_id=account_id)
    do(resume, scheduled)

    assert len(runs(sessions)) == 1
    assert campaign_now(scheduled).status is CampaignStatus.ACTIVE
    assert campaign_now(scheduled).status_reason is None


def test_a_schedule_cancelled_before_its_start_becomes_a_draft(
    sessions: Sessions, clock: ManualClock, do: Deed, scheduled: int, campaign_now: CampaignNow
) -> None:
    do(cancel, scheduled)
    clock.advance(hours=1)

    assert tick(sessions, clock, {"campaign": fire}) == 0

    now = campaign_now(scheduled)
    assert (now.status, now.launched_at) == (CampaignStatus.DRAFT, None)


def runs(sessions: Sessions) -> list[Run]:
    with read(sessions) as session:
        return list(session.scalars(select(Run)))


@pytest.fixture
def do(sessions: Sessions, clock: ManualClock, client_id: int) -> Deed:
    return Deed(sessions, clock, client_id)


@pytest.fixture
def running(
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Callable[[], int],
) -> Run:
    """A run of five emails to send and one without an address, fanned out."""
    for _ in range(5):
        make_member()
    make_member(addresses={})
    run = start(make_campaign(Channel.EMAIL))
    expand()
    return run


@pytest.fixture
def take(
    sessions: Sessions, clock: ManualClock, account_ids: dict[Channel, int]
) -> Callable[[int], list[Claimed]]:
    """Claim emails as a worker does."""

    def claim_some(limit: int) -> list[Claimed]:
        with write(sessions) as session:
            return claim(
                session,
                clock,
                account_id=account_ids[Channel.EMAIL],
                owner="w#1",
                limit=limit,
                lease_seconds=120,
                cursors={},
            )

    return claim_some


@pytest.fixture
def scheduled(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
) -> int:
    """A launched campaign that starts in an hour."""
    make_member()
    campaign_id = make_campaign(
        Channel.EMAIL, schedule_type="scheduled", scheduled_at=clock.now() + timedelta(hours=1)
    )
    with write(sessions) as session:
        launch(session, clock, client_id=client_id, campaign_id=campaign_id)
    return campaign_id
