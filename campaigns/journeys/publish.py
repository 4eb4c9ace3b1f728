"""Publish: a draft becomes a version that members enter, and a journey is paused and goes on.

Invariants
    1. A version never changes; whoever is inside stays on theirs (moving.py moves them).
    2. What is listened for is what the live journeys need, in the transaction that changes them.
"""

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from accounts.client import hold
from campaigns.campaign import Campaign, CampaignStatus, CampaignType, ScheduleType
from campaigns.errors import (
    JourneyChangedError,
    JourneyStateError,
    NameTakenError,
    PublishBlockedError,
)
from campaigns.field import name_of
from campaigns.journeys.ast import Journey as Ast
from campaigns.journeys.ast import OnSegment
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, Held
from campaigns.journeys.examine import examine
from campaigns.journeys.hear import listen_anew
from campaigns.journeys.intervention import remove_all
from campaigns.journeys.journey import (
    ADVANCING,
    LIVE,
    Journey,
    JourneyStatus,
    JourneyVersion,
    journey,
    version_numbered,
)
from campaigns.journeys.json import to_json
from campaigns.journeys.spelling import format
from campaigns.journeys.text import name_in, parse
from campaigns.journeys.timed import is_timed
from core.clock import Clock
from members.membership import track
from members.queries import segment_by_name


def create_journey(session: Session, clock: Clock, *, client_id: int, text: str) -> Journey:
    """Make a draft; its name is that in the text, which need not be right below.

    Raises JourneyError for a text that cannot be read and gives no name, NameTakenError.
    """
    made = Journey(
        client_id=client_id,
        name=_free_name(session, client_id, name_in(text)),
        draft=text,
        created_at=clock.now(),
        updated_at=clock.now(),
    )
    session.add(made)
    session.flush()
    return made


def save_draft(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    journey_id: int,
    text: str,
    revision: int | None = None,
) -> Journey:
    """Keep a text that is worked on, right or not; `revision` is the one its writer saw.

    Raises JourneyNotFoundError, JourneyChangedError when another saved meanwhile.
    """
    found = locked(session, client_id, journey_id)
    if revision is not None and revision != found.revision:
        raise JourneyChangedError(
            "somebody else saved this journey meanwhile",
            field="revision",
            remedy="read it again, and put your change into what is there now",
        )
    found.draft, found.revision, found.updated_at = text, found.revision + 1, clock.now()
    session.flush()
    return found


def restore(
    session: Session, clock: Clock, *, client_id: int, journey_id: int, version: int
) -> Journey:
    """Make the text of a version, by its number, the draft. Raises JourneyNotFoundError."""
    text = version_numbered(session, client_id, journey_id, version).text
    return save_draft(session, clock, client_id=client_id, journey_id=journey_id, text=text)


def publish(
    session: Session, clock: Clock, *, client_id: int, journey_id: int, by: int | None = None
) -> JourneyVersion:
    """Make the draft the version that members enter from now on, and return it.

    Publishing the same text again changes nothing. Raises JourneyError, PublishBlockedError with
    what is missing, NameTakenError.
    """
    found = locked(session, client_id, journey_id)
    ast = parse(found.draft)
    held = session.get(JourneyVersion, found.version_id) if found.version_id else None
    plan, problems = examine(session, clock, client_id, ast, found)
    if problems:
        raise PublishBlockedError(problems)
    if ast.name != found.name:
        found.name = _free_name(session, client_id, ast.name)
    if held is None or held.ast != to_json(ast) or held.plan != plan.to_json():
        held = JourneyVersion(
            client_id=client_id,
            journey_id=found.id,
            number=_next_number(session, found.id),
            text=format(ast),
            ast=to_json(ast),
            plan=plan.to_json(),
            created_at=clock.now(),
            created_by=by,
        )
        session.add(held)
        session.flush()
        found.version_id = held.id
    _campaign(session, clock, found)
    if found.status in (JourneyStatus.DRAFT, JourneyStatus.ARCHIVED):
        found.status, found.triggered_at = JourneyStatus.ACTIVE, None
    _time(clock, found, ast)
    _track(session, clock, client_id, ast)
    session.flush()
    listen_anew(session, client_id)
    return held


def drain(session: Session, clock: Clock, *, client_id: int, journey_id: int) -> Journey:
    """Take nobody new; those inside go on."""
    return _turned(session, clock, client_id, journey_id, JourneyStatus.DRAINING)


def pause(session: Session, clock: Clock, *, client_id: int, journey_id: int) -> Journey:
    """Take nobody new, and let those inside stand still; what is due then is due when it resumes.

    Messages that are in the log already still go: they were decided on.
    """
    return _turned(session, clock, client_id, journey_id, JourneyStatus.PAUSED)


def resume(session: Session, clock: Clock, *, client_id: int, journey_id: int) -> Journey:
    """Go on. What happened meanwhile lets nobody in; dates and schedules of the pause are past.

    Those inside who wait for something are looked at: it may have happened. What was paused while
    it drained drains on; resumed once more, it takes people again.
    """
    held = locked(session, client_id, journey_id)
    before, drains = held.status, held.drains
    to = JourneyStatus.DRAINING if drains else JourneyStatus.ACTIVE
    found = _turned(session, clock, client_id, journey_id, to)
    if to is JourneyStatus.ACTIVE and before is not to and found.triggered_at is not None:
        found.triggered_at = clock.now()
        session.flush()
    return found


def archive(session: Session, clock: Clock, *, client_id: int, journey_id: int) -> int:
    """Take nobody new, and end those inside; return how many there were."""
    found = locked(session, client_id, journey_id)
    people = remove_all(
        session, clock, client_id=client_id, journey_id=journey_id, why="the journey was archived"
    )
    found.status, found.drains, found.updated_at = JourneyStatus.ARCHIVED, None, clock.now()
    session.flush()
    listen_anew(session, client_id)
    return people


def locked(session: Session, client_id: int, journey_id: int) -> Journey:
    """Return a journey that nobody else changes until the transaction ends.

    Nor is another of the client's, nor the name of a segment or template: what is listened for is
    one list, and what is named must be there. Hearing takes client and journey in the same order.
    """
    journey(session, client_id, journey_id)
    hold(session, client_id)
    query = select(Journey).where(Journey.id == journey_id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()


def _turned(
    session: Session, clock: Clock, client_id: int, journey_id: int, status: JourneyStatus
) -> Journey:
    found = locked(session, client_id, journey_id)
    if found.status not in LIVE:
        raise JourneyStateError(
            f"the journey is {found.status}", field="status", remedy="publish it first"
        )
    before, found.status, found.updated_at = found.status, status, clock.now()
    paused = status is JourneyStatus.PAUSED
    found.drains = paused and (found.drains or before is JourneyStatus.DRAINING)
    session.flush()
    listen_anew(session, client_id)
    if before is JourneyStatus.PAUSED and status in ADVANCING:
        _wake(session, clock, found)
    return found


def _wake(session: Session, clock: Clock, found: Journey) -> None:
    """Look at those who wait for something: it may have happened while nobody listened."""
    session.execute(
        update(Enrolment)
        .where(
            Enrolment.journey_id == found.id,
            Enrolment.status == EnrolmentStatus.ACTIVE,
            Enrolment.held == Held.EVENT,
        )
        .values(due_at=clock.now())
        .execution_options(synchronize_session=False)
    )


def _free_name(session: Session, client_id: int, name: str) -> str:
    wanted = name_of(name)
    taken = session.scalar(
        select(func.count())
        .select_from(Journey)
        .where(Journey.client_id == client_id, Journey.name == wanted)
    )
    if taken:
        raise NameTakenError(
            f"there is a journey “{wanted}”", field="name", remedy="choose another name"
        )
    return wanted


def _next_number(session: Session, journey_id: int) -> int:
    query = select(func.max(JourneyVersion.number)).where(JourneyVersion.journey_id == journey_id)
    return (session.scalar(query) or 0) + 1


def _campaign(session: Session, clock: Clock, found: Journey) -> None:
    """Give the journey the triggered campaign that its messages belong to."""
    if found.campaign_id is not None:
        session.get_one(Campaign, found.campaign_id).name = found.name
        return
    query = select(Campaign.id).where(
        Campaign.client_id == found.client_id, Campaign.name == found.name
    )
    if session.scalar(query) is not None:
        raise NameTakenError(
            f"there is a campaign “{found.name}”", field="name", remedy="choose another name"
        )
    made = Campaign(
        client_id=found.client_id,
        name=found.name,
        type=CampaignType.MIXED,
        status=CampaignStatus.ACTIVE,
        schedule_type=ScheduleType.TRIGGERED,
        target_audience={},
        trigger_conditions={"journey_id": found.id},
        launched_at=clock.now(),
        created_at=clock.now(),
        updated_at=clock.now(),
    )
    session.add(made)
    session.flush()
    found.campaign_id = made.id


def _time(clock: Clock, found: Journey, ast: Ast) -> None:
    """Have its dates and schedules looked at from now on, if it has any."""
    if not is_timed(ast):
        found.triggered_at = found.triggered_member = None
    elif found.triggered_at is None:
        found.triggered_at = clock.now()


def _track(session: Session, clock: Clock, client_id: int, ast: Ast) -> None:
    """Have it written down who joins and leaves the segments that let members in."""
    for trigger in ast.triggers:
        if isinstance(trigger, OnSegment):
            found = segment_by_name(session, client_id, trigger.segment)
            if found is not None:
                track(session, clock, found)
