"""Enter: members come into a journey, each as often as its re-entry rule lets them.

Invariants
    1. Entering twice by the same event, key or call is entering once, whoever tries (unique
       journey, member, key and ordinal).
    2. Nobody is inside twice at a time with one key.
    3. Nobody enters a journey that was paused or archived meanwhile, or a version that was
       replaced: entering holds the journey's row.
    4. Nobody goes round: after MOST_STEPS steps in a day they are not let in again.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from campaigns.audience import matching
from campaigns.journeys.ast import Again
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, EnrolmentStep, tell_endpoints
from campaigns.journeys.happened import key_of
from campaigns.journeys.journey import Journey, JourneyStatus
from campaigns.journeys.machine import LAG, Machine
from campaigns.journeys.machine import machine as machine_of
from core.clock import Clock
from core.condition.ast import Condition, Everyone
from core.log import get
from core.rows import among
from core.sql import insert_into
from members.member import Member

log = get(__name__)

E = Enrolment
DAY = timedelta(days=1)
MOST_STEPS = 100
"""Steps of one member in one journey within a day; whoever took as many does not enter again: what
the journey does lets them in, and nobody wants a message a second."""
EVENT, JOURNEY = "event", "journey"
"""In the context: properties of the event that let them in; answers and digests by step."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One member who would enter."""

    member_id: int
    at: datetime
    """When what lets them in happened."""
    key: str = ""
    event: Mapping[str, Any] = field(default_factory=dict)
    """The properties of the event that lets them in, for templates."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry, what asks for it, and who may."""

    entry: Entry
    cause: str
    """`event:purchase`, `joined:7`, `asked`, `call:12:3`."""
    only: Condition | None = None
    caller_id: int | None = None
    """The enrolment that waits for the end of this one."""


@dataclass(frozen=True, slots=True)
class _Past:
    entries: int
    last_at: datetime
    inside: bool


def enter(
    session: Session,
    clock: Clock,
    machine: Machine,
    entries: Sequence[Entry],
    *,
    cause: str,
    only: Condition | None = None,
) -> dict[int, int]:
    """Let members in who match and may enter; return enrolment ids by member id."""
    candidates = [Candidate(one, cause, only) for one in entries]
    made = admit(session, clock, machine, candidates)
    return {member_id: id for (member_id, _), id in made.items()}


def admit(
    session: Session, clock: Clock, machine: Machine, candidates: Sequence[Candidate]
) -> dict[tuple[int, str], int]:
    """Let in who match and may enter; return enrolment ids by member id and key.

    Of several for one member and key the first that may counts, however they are cut into sets.
    Deleted, suspended and churned members do not enter. Cost: four statements, and one more for
    each further condition among `only`.
    """
    present = _present(session, machine.journey_id) if candidates else None
    if present is None:
        return {}
    if present != machine.version_id:  # published since whoever asks read it
        machine = machine_of(session, present)
    allowed = _allowed(session, clock, machine, candidates)
    past = _past(session, machine.journey_id, sorted({one for _, one in allowed}))
    tired = _tired(session, clock.now(), machine.journey_id, sorted({one for one, _ in past}))
    chosen: dict[tuple[int, str], dict[str, Any]] = {}
    for one in candidates:
        place = one.entry.member_id, key_of(one.entry.key)
        held = past.get(place)
        fits = (one.only, one.entry.member_id) in allowed and place not in tired
        if fits and place not in chosen and _may(machine.journey.again, held, one.entry.at):
            chosen[place] = _row(clock.now(), machine, one, held.entries if held else 0)
    if not chosen:
        return {}
    inserted = session.execute(
        insert_into(session, E).on_conflict_do_nothing().returning(E.id, E.member_id, E.entry_key),
        [chosen[place] for place in sorted(chosen)],
    )
    entered = {(member_id, key): id for id, member_id, key in inserted}
    ids = sorted(entered.values())
    tell_endpoints(session, clock.now(), machine.client_id, ids, entered=True)
    return entered


def _present(session: Session, journey_id: int) -> int | None:
    """Return the version that members enter, None while it takes nobody; both stay so.

    Until the transaction ends, that is.
    """
    query = select(Journey.version_id).where(
        Journey.id == journey_id, Journey.status == JourneyStatus.ACTIVE
    )
    return session.scalar(query.with_for_update(read=True, key_share=True))


def _allowed(
    session: Session, clock: Clock, machine: Machine, candidates: Sequence[Candidate]
) -> set[tuple[Condition | None, int]]:
    """Return who fulfils which of the conditions that they are to fulfil."""
    asked: dict[Condition | None, set[int]] = defaultdict(set)
    for one in candidates:
        asked[one.only].add(one.entry.member_id)
    return {
        (only, member_id)
        for only, ids in asked.items()
        for member_id in _matching(session, clock, machine, only, sorted(ids))
    }


def _matching(
    session: Session, clock: Clock, machine: Machine, only: Condition | None, ids: Sequence[int]
) -> set[int]:
    rule = matching(session, only or Everyone(), client_id=machine.client_id, now=clock.now())
    here: ColumnElement[bool] = among(session, Member.id, ids)
    return set(session.scalars(select(Member.id).where(here, *rule)))


def _past(
    session: Session, journey_id: int, member_ids: Sequence[int]
) -> dict[tuple[int, str], _Past]:
    """Return what is known of members' earlier entries, by member and key."""
    query = (
        select(
            E.member_id,
            E.entry_key,
            func.max(E.ordinal),
            func.max(E.entered_at),
            func.count().filter(E.status.in_([EnrolmentStatus.ACTIVE, EnrolmentStatus.STUCK])),
        )
        .where(E.journey_id == journey_id, among(session, E.member_id, member_ids))
        .group_by(E.member_id, E.entry_key)
    )
    return {
        (member_id, key): _Past(most + 1, last_at, inside > 0)
        for member_id, key, most, last_at, inside in session.execute(query)
    }


def _tired(
    session: Session, now: datetime, journey_id: int, member_ids: Sequence[int]
) -> set[tuple[int, str]]:
    """Return who took MOST_STEPS steps with one key within a day: it lets them in by itself."""
    if not member_ids:
        return set()
    query = (
        select(E.member_id, E.entry_key)
        .join(EnrolmentStep, EnrolmentStep.enrolment_id == E.id)
        .where(
            E.journey_id == journey_id,
            among(session, E.member_id, member_ids),
            EnrolmentStep.left_at > now - DAY,
        )
        .group_by(E.member_id, E.entry_key)
        .having(func.count() >= MOST_STEPS)
    )
    tired = {(row.member_id, row.entry_key) for row in session.execute(query)}
    if tired:
        log.warning("members go round in a journey", journey_id=journey_id, members=len(tired))
    return tired


def _may(again: Again, past: _Past | None, at: datetime) -> bool:
    if past is None:
        return True
    if past.inside or (again.most is not None and past.entries >= again.most):
        return False
    return at >= past.last_at + again.after and at > past.last_at


def _row(now: datetime, machine: Machine, one: Candidate, ordinal: int) -> dict[str, Any]:
    at = one.entry.at if now - LAG <= one.entry.at <= now else now
    return {
        "client_id": machine.client_id,
        "journey_id": machine.journey_id,
        "version_id": machine.version_id,
        "member_id": one.entry.member_id,
        "entry_key": key_of(one.entry.key),
        "ordinal": ordinal,
        "cause": one.cause,
        "status": EnrolmentStatus.ACTIVE,
        "step": machine.program.first,
        "visit": 0,
        "since": at,
        "due_at": at,
        "tries": 0,
        "context": {EVENT: dict(one.entry.event)} if one.entry.event else {},
        "caller_id": one.caller_id,
        "entered_at": at,
    }
