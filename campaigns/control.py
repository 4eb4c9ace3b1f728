"""Control: pause, resume and cancel what was launched.

Each deed locks the campaign, then moves campaign and runs with guarded UPDATEs, then tells the
ledger about their rows; doing it again changes nothing.

Invariants
    1. Pausing is effective at once, also for rows a worker has claimed: the intent refuses them.
    2. Cancelling leaves no row queued: each is skipped, with the reason `cancelled`.
    3. What was sent, or is on its way, is never touched.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from accounts.news import News
from campaigns.campaign import Campaign, CampaignStatus, in_hand, tell
from campaigns.errors import CampaignStateError, LaunchBlockedError
from campaigns.launch import NEW_TIME, latest_run, plan_start, schedule_key, start_run
from campaigns.preflight import examine
from campaigns.run import RUN_STEPS, Run, RunStatus, RunStep
from communications.communication import Reason
from communications.ledger import free_run, hold_run, skip_queued
from communications.standstill import pause_began, pause_ended
from core.clock import Clock
from scheduling import occurrence
from scheduling.occurrence import MAX_LATE_SECONDS

ACTIVE, PAUSED = CampaignStatus.ACTIVE, CampaignStatus.PAUSED
COMPLETED, DRAFT = CampaignStatus.COMPLETED, CampaignStatus.DRAFT
TOLD = {ACTIVE: News.RESUMED, PAUSED: News.PAUSED, COMPLETED: News.FINISHED}


def pause(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    campaign_id: int,
    reason: str | None = None,
    actor: str | None = None,
) -> Campaign:
    """Stop sending until `resume`; what is on its way ends. `reason` is shown, so is who it was.

    Raises CampaignNotFoundError, or CampaignStateError for one that is not active.
    """
    campaign = in_hand(session, client_id, campaign_id)
    if campaign.status is PAUSED:
        return campaign
    _require(campaign, {ACTIVE}, "pause")
    _move(session, clock, campaign, PAUSED, status_reason=reason and reason[:300])
    told = {"reason": reason, "actor": actor}
    pause_began(session, clock, client_id=client_id, subject=schedule_key(campaign_id), **told)
    for run_id in _step_runs(session, campaign_id, RunStep.PAUSE):
        hold_run(session, run_id)
    occurrence.cancel(session, schedule_key(campaign_id))
    return campaign


def pause_unfinished(session: Session, clock: Clock, *, reason: str) -> list[int]:
    """Pause every campaign whose run has not reached all its people; return their ids.

    For a restored database: it does not know how far the run had come.
    """
    found = session.execute(
        select(Campaign.client_id, Campaign.id)
        .join(Run, Run.campaign_id == Campaign.id)
        .where(Run.status == RunStatus.RUNNING, Run.expanded_at.is_(None))
        .where(Campaign.status == ACTIVE)
        .distinct()
        .order_by(Campaign.id)
    ).all()
    for client_id, campaign_id in found:
        pause(session, clock, client_id=client_id, campaign_id=campaign_id, reason=reason)
    return [campaign_id for _, campaign_id in found]


def pause_waiting(
    session: Session,
    clock: Clock,
    *,
    until: datetime,
    reason: str,
    born: datetime | None = None,
) -> list[int]:
    """Pause every campaign that waits for a time up to `until`; return their ids.

    For a restored database, which gives those times up (scheduling.occurrence.miss). With `born`,
    only what was launched by then.
    """
    older = [] if born is None else [Campaign.launched_at <= born]
    paused = session.scalars(
        update(Campaign)
        .where(Campaign.status == ACTIVE, Campaign.scheduled_at <= until, *older)
        .where(~exists().where(Run.campaign_id == Campaign.id))
        .values(status=PAUSED, status_reason=reason[:300], updated_at=clock.now())
        .returning(Campaign.id)
        .execution_options(synchronize_session=False)
    )
    ids = sorted(paused)
    for campaign_id in ids:
        tell(session, clock, session.get_one(Campaign, campaign_id), News.PAUSED)
    return ids


def resume(session: Session, clock: Clock, *, client_id: int, campaign_id: int) -> Campaign:
    """Go on where it was paused; a scheduled one waits for its time again.

    One whose time came while it was paused starts now, up to two hours late; later raises
    CampaignStateError, and what blocks its start LaunchBlockedError.
    """
    campaign = in_hand(session, client_id, campaign_id)
    if campaign.status is ACTIVE:
        return campaign
    _require(campaign, {PAUSED}, "resume")
    _move(session, clock, campaign, ACTIVE, status_reason=None)
    for run_id in _step_runs(session, campaign_id, RunStep.RESUME):
        free_run(session, run_id)
    if latest_run(session, campaign_id) is None:
        _resume_schedule(session, clock, campaign)
    return campaign


def cancel(session: Session, clock: Clock, *, client_id: int, campaign_id: int) -> Campaign:
    """Send nothing more, for good. One that had not started yet becomes a draft again.

    Raises CampaignNotFoundError, or CampaignStateError for a draft or an archived one.
    """
    campaign = in_hand(session, client_id, campaign_id)
    if campaign.status is COMPLETED:
        return campaign
    _require(campaign, {ACTIVE, PAUSED}, "cancel")
    occurrence.cancel(session, schedule_key(campaign_id))
    if latest_run(session, campaign_id) is None:
        _move(session, clock, campaign, DRAFT, status_reason=None, launched_at=None)
        return campaign
    now = clock.now()
    for run_id in _step_runs(session, campaign_id, RunStep.CANCEL, finished_at=now):
        skip_queued(session, clock, run_id=run_id, reason=Reason.CANCELLED)
    _move(session, clock, campaign, COMPLETED, status_reason=None, completed_at=now)
    return campaign


def _require(campaign: Campaign, allowed: set[CampaignStatus], deed: str) -> None:
    if campaign.status not in allowed:
        raise CampaignStateError(
            f"cannot {deed} it: the campaign is {campaign.status}",
            remedy="launch it first" if campaign.status is DRAFT else "make a new campaign",
        )


def _move(
    session: Session, clock: Clock, campaign: Campaign, target: CampaignStatus, **values: Any
) -> None:
    """Set the campaign's status, if it still is what was read, and read it anew."""
    session.execute(
        update(Campaign)
        .where(Campaign.id == campaign.id, Campaign.status == campaign.status)
        .values(status=target, updated_at=clock.now(), **values)
        .execution_options(synchronize_session=False)
    )
    session.refresh(campaign)
    if target is not PAUSED:
        subject = schedule_key(campaign.id)
        pause_ended(session, clock, client_id=campaign.client_id, subject=subject)
    if target in TOLD:
        tell(session, clock, campaign, TOLD[target])


def _step_runs(
    session: Session, campaign_id: int, step: RunStep, *, finished_at: datetime | None = None
) -> list[int]:
    """Move the campaign's runs that may take this step; return their ids."""
    allowed, target = RUN_STEPS[step]
    moved = session.scalars(
        update(Run)
        .where(Run.campaign_id == campaign_id, Run.status.in_(allowed))
        .values(status=target, finished_at=finished_at)
        .returning(Run.id)
        .execution_options(synchronize_session=False)
    )
    return list(moved)


def _resume_schedule(session: Session, clock: Clock, campaign: Campaign) -> None:
    """Plan the start again, or start now what should have started a short while ago."""
    at = campaign.scheduled_at
    now = clock.now()
    if at is None or at > now:
        plan_start(session, clock, campaign)
        return
    if now > at + timedelta(seconds=MAX_LATE_SECONDS):
        raise CampaignStateError(
            f"its time, {at:%Y-%m-%d %H:%M} UTC, has passed",
            field="scheduled_at",
            remedy=NEW_TIME,
        )
    found = examine(session, clock, campaign, due=True)
    if found.blockers:
        raise LaunchBlockedError(found.blockers)
    planned = plan_start(session, clock, campaign)
    occurrence.cancel(session, schedule_key(campaign.id))
    start_run(session, clock, campaign, found, planned.occurrence_key)
