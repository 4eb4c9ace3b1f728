"""Finish: a run is done when nothing of it is queued or on its way."""

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from accounts.news import News
from campaigns.campaign import Campaign, CampaignStatus, locked, tell
from campaigns.run import RUN_STEPS, Run, RunStatus, RunStep
from communications.communication import Communication
from communications.ledger import IN_PROGRESS
from core.clock import Clock


def finish_runs(session: Session, clock: Clock) -> int:
    """Close runs that are fanned out and have nothing left to send; return how many.

    Their campaigns are completed. Messages nobody can tell about (`unknown`) keep no run open:
    evidence may come days later, and changes the statistics whenever it comes.
    """
    unfinished = exists().where(Communication.run_id == Run.id, IN_PROGRESS)
    allowed, target = RUN_STEPS[RunStep.FINISH]
    ready = (Run.status.in_(allowed), Run.expanded_at.is_not(None), ~unfinished)
    query = select(Run.id, Run.client_id, Run.campaign_id).where(*ready)
    found = session.execute(query.order_by(Run.campaign_id, Run.id)).all()
    finished = 0
    for run_id, client_id, campaign_id in found:
        # Campaign before run, and the lower campaign first, as everywhere: two transactions then
        # never wait for each other.
        campaign = locked(session, client_id, campaign_id)
        done = session.execute(
            update(Run)
            .where(Run.id == run_id, *ready)
            .values(status=target, finished_at=clock.now())
            .returning(Run.id)
            .execution_options(synchronize_session=False)
        ).first()
        if done is not None:
            finished += 1
            _complete(session, clock, campaign)
    return finished


def _complete(session: Session, clock: Clock, campaign: Campaign) -> None:
    """Complete a campaign that has no other run going."""
    going = exists().where(
        Run.campaign_id == campaign.id, Run.status.in_((RunStatus.RUNNING, RunStatus.PAUSED))
    )
    done = session.scalar(
        update(Campaign)
        .where(Campaign.id == campaign.id, Campaign.status == CampaignStatus.ACTIVE, ~going)
        .values(status=CampaignStatus.COMPLETED, completed_at=clock.now(), updated_at=clock.now())
        .returning(Campaign.id)
        .execution_options(synchronize_session=False)
    )
    if done is not None:
        session.refresh(campaign)
        tell(session, clock, campaign, News.FINISHED)
