"""Launch: from a draft to a run, once.

Invariants
    1. A campaign that runs once has one run, however often and from wherever it is launched
       (unique campaign and occurrence key).
    2. A run keeps the rule, wordings and accounts it was launched with.
    3. What blocks a launch when it is due pauses the campaign and says why, and so does a time that
       passed while no scheduler was running; it is never skipped over in silence.
"""

from datetime import UTC

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from accounts.client import USABLE, Client
from accounts.news import News
from campaigns.audience import newest_member
from campaigns.campaign import Campaign, CampaignStatus, ScheduleType, in_hand, locked, tell
from campaigns.errors import CampaignStateError, LaunchBlockedError
from campaigns.preflight import Preflight, examine
from campaigns.run import Run
from core.clock import Clock
from core.failpoint import reach
from core.log import get
from core.sql import insert_into
from scheduling.occurrence import Occurrence, OccurrenceState, occurrences, plan

log = get(__name__)

ONCE = "once"
"""The occurrence key of a campaign that is launched by hand."""
KIND = "campaign"
"""The kind of our schedules: `campaign:12`; `fire` and `show_missed` are its handlers."""
PASSED = "its time passed while no scheduler was running"
NOT_IN_USE = "its client may not send at present"
NEW_TIME = "cancel it, which makes it a draft again, and choose a new time"


def schedule_key(campaign_id: int) -> str:
    """Return the name of a campaign's schedule."""
    return f"{KIND}:{campaign_id}"


def launch(session: Session, clock: Clock, *, client_id: int, campaign_id: int) -> Run | None:
    """Launch a draft and return its run, or None for a scheduled one, which is now planned.

    Launching again changes nothing and returns the same. Raises LaunchBlockedError with what the
    pre-flight found, CampaignStateError, or CampaignNotFoundError.
    """
    campaign = in_hand(session, client_id, campaign_id)
    if campaign.status is not CampaignStatus.DRAFT:
        return _launched_before(session, campaign)
    found = examine(session, clock, campaign)
    if found.blockers:
        raise LaunchBlockedError(found.blockers)
    _activate(session, clock, campaign, found)
    if campaign.schedule_type is ScheduleType.SCHEDULED:
        plan_start(session, clock, campaign)
        return None
    return start_run(session, clock, campaign, found, ONCE)


def _activate(session: Session, clock: Clock, campaign: Campaign, found: Preflight) -> None:
    session.execute(
        update(Campaign)
        .where(Campaign.id == campaign.id, Campaign.status == CampaignStatus.DRAFT)
        .values(
            status=CampaignStatus.ACTIVE,
            status_reason=None,
            launched_at=clock.now(),
            audience_size=found.audience,
            updated_at=clock.now(),
        )
    )
    session.refresh(campaign)
    tell(session, clock, campaign, News.LAUNCHED)


def _launched_before(session: Session, campaign: Campaign) -> Run | None:
    run = latest_run(session, campaign.id)
    if run is None and missed(session, campaign.id):
        raise CampaignStateError(
            PASSED,
            field="scheduled_at",
            remedy=NEW_TIME,
        )
    return run


def latest_run(session: Session, campaign_id: int) -> Run | None:
    """Return a campaign's newest run."""
    query = select(Run).where(Run.campaign_id == campaign_id).order_by(Run.id.desc()).limit(1)
    return session.scalar(query)


def missed(session: Session, campaign_id: int) -> bool:
    """Say whether a campaign's last planned instant was found too late to fire."""
    planned = occurrences(session, schedule_key(campaign_id))
    return bool(planned) and planned[-1].state is OccurrenceState.MISSED


def plan_start(session: Session, clock: Clock, campaign: Campaign) -> Occurrence:
    """Plan the start of a scheduled campaign."""
    if campaign.scheduled_at is None:
        raise CampaignStateError("it has no time", field="scheduled_at", remedy="choose a time")
    return plan(
        session,
        clock,
        schedule_key=schedule_key(campaign.id),
        occurrence_key=campaign.scheduled_at.astimezone(UTC).isoformat(),
        due_at=campaign.scheduled_at,
    )


def fire(session: Session, clock: Clock, occurrence: Occurrence) -> None:
    """Start what is due: the handler of `campaign:12` for scheduling.tick.

    The pre-flight is asked again: what blocks the campaign by now pauses it, with the reason.
    """
    campaign = _waiting(session, occurrence)
    if campaign is None:
        return
    if session.get_one(Client, campaign.client_id).status not in USABLE:
        _hold(session, clock, campaign, NOT_IN_USE)
        return
    found = examine(session, clock, campaign, due=True)
    if found.blockers:
        codes = [blocker.code for blocker in found.blockers]
        log.warning("campaign blocked", campaign=campaign.id, codes=codes)
        _hold(session, clock, campaign, "; ".join(each.message for each in found.blockers))
        return
    start_run(session, clock, campaign, found, occurrence.occurrence_key)


def show_missed(session: Session, clock: Clock, occurrence: Occurrence) -> None:
    """Pause what was found too late to start, with the reason: it must not look as if it waited.

    The handler of what scheduling.tick missed.
    """
    campaign = _waiting(session, occurrence)
    if campaign is not None:
        _hold(session, clock, campaign, f"{PASSED}; {NEW_TIME}")


def _waiting(session: Session, occurrence: Occurrence) -> Campaign | None:
    """Return the campaign of an occurrence, locked, if it still waits for it."""
    campaign_id = int(occurrence.schedule_key.partition(":")[2])
    client_id = session.scalar(select(Campaign.client_id).where(Campaign.id == campaign_id))
    if client_id is None:
        return None
    campaign = locked(session, client_id, campaign_id)
    if campaign.status is not CampaignStatus.ACTIVE:
        log.info("campaign not started", campaign=campaign_id, status=campaign.status.value)
        return None
    return campaign


def _hold(session: Session, clock: Clock, campaign: Campaign, why: str) -> None:
    session.execute(
        update(Campaign)
        .where(Campaign.id == campaign.id, Campaign.status == CampaignStatus.ACTIVE)
        .values(status=CampaignStatus.PAUSED, status_reason=why[:300], updated_at=clock.now())
    )
    session.refresh(campaign)
    tell(session, clock, campaign, News.PAUSED)


def start_run(
    session: Session, clock: Clock, campaign: Campaign, found: Preflight, occurrence_key: str
) -> Run:
    """Make the campaign's run for an occurrence, or return the one there is.

    `found` is its pre-flight, without blockers. Fan-out does the rest.
    """
    if found.plan is None:
        raise LaunchBlockedError(found.blockers)
    reach("C1")
    session.execute(
        insert_into(session, Run)
        .values(
            client_id=campaign.client_id,
            campaign_id=campaign.id,
            occurrence_key=occurrence_key,
            audience={"rule": found.rule},
            plan=found.plan.to_json(),
            audience_size=found.audience,
            last_member_id=newest_member(session, campaign.client_id),
            started_at=clock.now(),
        )
        .on_conflict_do_nothing(index_elements=["campaign_id", "occurrence_key"])
    )
    query = select(Run).where(Run.campaign_id == campaign.id)
    return session.scalars(query.where(Run.occurrence_key == occurrence_key)).one()
