"""Mirrors campaigns/finish.py."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from campaigns.campaign import Campaign, CampaignStatus
from campaigns.control import pause
from campaigns.fan_out import step
from campaigns.finish import finish_runs
from campaigns.run import Run, RunStatus
from communications.communication import Communication
from communications.status import Status
from core.clock import ManualClock
from core.db import Sessions, write
from tests.campaigns.conftest import Launch, MakeCampaign, MakeMember

Finish = Callable[[], int]


def test_a_run_with_nothing_left_to_send_is_done_and_its_campaign_completed(
    clock: ManualClock,
    run: Run,
    settle: Callable[..., None],
    finish: Finish,
    run_now: Callable[[int], Run],
    campaign_now: Callable[[int], Campaign],
) -> None:
    settle(Status.SENT)

    assert finish() == 1

    assert run_now(run.id).status is RunStatus.DONE
    assert run_now(run.id).finished_at == clock.now()
    campaign = campaign_now(run.campaign_id)
    assert (campaign.status, campaign.completed_at) == (CampaignStatus.COMPLETED, clock.now())
    assert finish() == 0


@pytest.mark.parametrize("status", [Status.QUEUED, Status.SENDING])
def test_a_run_with_something_left_goes_on(
    run: Run,
    settle: Callable[..., None],
    finish: Finish,
    run_now: Callable[[int], Run],
    status: Status,
) -> None:
    settle(status)

    assert finish() == 0

    assert run_now(run.id).status is RunStatus.RUNNING


def test_what_nobody_can_tell_keeps_no_run_open(
    run: Run, settle: Callable[..., None], finish: Finish
) -> None:
    settle(Status.UNKNOWN)

    assert finish() == 1


def test_a_run_that_is_not_fanned_out_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    sessions: Sessions,
    clock: ManualClock,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    settle: Callable[..., None],
    finish: Finish,
) -> None:
    monkeypatch.setattr("campaigns.fan_out.FIRST_CHUNK", 1)
    make_member()
    make_member()
    start(make_campaign())
    step(sessions, clock)
    settle(Status.SENT)

    assert finish() == 0


def test_a_paused_run_is_not_done_even_with_nothing_left(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    run: Run,
    settle: Callable[..., None],
    finish: Finish,
) -> None:
    with write(sessions) as session:
        pause(session, clock, client_id=client_id, campaign_id=run.campaign_id)
    settle(Status.SENT)

    assert finish() == 0


def test_a_run_of_skipped_rows_only_is_done(
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Callable[[], int],
    finish: Finish,
) -> None:
    make_member(addresses={})
    start(make_campaign())
    expand()

    assert finish() == 1


@pytest.fixture
def run(
    make_member: MakeMember, make_campaign: MakeCampaign, start: Launch, expand: Callable[[], int]
) -> Run:
    """A run of two emails, fanned out."""
    make_member()
    make_member()
    started = start(make_campaign())
    expand()
    return started


@pytest.fixture
def finish(sessions: Sessions, clock: ManualClock) -> Finish:
    def go() -> int:
        with write(sessions) as session:
            return finish_runs(session, clock)

    return go


@pytest.fixture
def settle(sessions: Sessions, clock: ManualClock) -> Callable[..., None]:
    """Bring every row of the log to a status."""

    def go(status: Status) -> None:
        with write(sessions) as session:
            session.execute(update(Communication).values(status=status, lease_until=clock.now()))

    return go
