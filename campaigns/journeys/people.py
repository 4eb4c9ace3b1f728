"""People: who is in a journey, at which step and what for, and the whole trail of one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, select
from sqlalchemy.orm import Session

from campaigns.errors import EnrolmentNotFoundError
from campaigns.journeys.ast import Call, Digest, Step
from campaigns.journeys.comparison import said
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, EnrolmentStep, Held
from campaigns.journeys.journey import Journey, JourneyStatus, JourneyVersion, journey
from campaigns.journeys.machine import LAG, Machine, machine
from campaigns.journeys.way import way_said
from channels.channel import Channel
from communications.communication import Communication
from communications.status import Status
from core.clock import Clock
from core.condition.spelling import plural
from core.rows import among
from members.member import Member

E = Enrolment
C = Communication
INSIDE = (EnrolmentStatus.ACTIVE, EnrolmentStatus.STUCK)


@dataclass(frozen=True, slots=True)
class Which:
    """Which enrolments; of everybody inside, those to whom all that is given applies."""

    ids: Sequence[int] | None = None
    member_id: int | None = None
    version: int | None = None
    step: str | None = None
    status: EnrolmentStatus | None = None
    """None is everybody inside: active or stuck."""
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands, and why."""

    id: int
    member_id: int
    member: str
    """What the client calls them: `shop-17`."""
    name: str
    version: int
    status: EnrolmentStatus
    step: str | None
    says: str | None
    """The step's line: `wait until event "joined" or 3d`."""
    since: datetime
    until: datetime | None
    next_at: datetime | None
    """When they are looked at next; None waits for something that happens, or has ended."""
    held: Held | None
    because: str
    """Why they stand there, in words."""
    tries: int
    error: str | None
    key: str
    cause: str
    entered_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a step, sent or not."""

    id: int
    channel: Channel
    status: Status
    reason: str | None
    created_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Taken:
    """One step somebody left, or something a person did about them."""

    version: int
    step: str
    says: str | None
    way: str
    way_says: str
    """As the text says it: `if has tag "vip"` of the way `0`."""
    why: Mapping[str, Any]
    came_at: datetime
    left_at: datetime
    messages: Sequence[Message] = field(default=())


@dataclass(frozen=True, slots=True)
class Story:
    """One enrolment from its beginning."""

    standing: Standing
    trail: Sequence[Taken]


def people_page(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    journey_id: int,
    which: Which | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[Standing]:
    """Return up to `limit` enrolments after id `after`, the first who came first.

    Raises JourneyNotFoundError.
    """
    found = journey(session, client_id, journey_id)
    query = _rows(client_id, journey_id).where(
        *chosen(session, client_id, journey_id, which or Which()), E.id > after
    )
    rows = session.execute(query.order_by(E.id).limit(limit)).all()
    return _shown(session, clock, found, rows)


def story(
    session: Session, clock: Clock, *, client_id: int, journey_id: int, enrolment_id: int
) -> Story:
    """Return one enrolment with every step it left and the messages of each.

    Raises JourneyNotFoundError, EnrolmentNotFoundError.
    """
    found = journey(session, client_id, journey_id)
    rows = session.execute(_rows(client_id, journey_id).where(E.id == enrolment_id)).all()
    if not rows:
        raise EnrolmentNotFoundError(f"nobody is enrolled as {enrolment_id}")
    (standing,) = _shown(session, clock, found, rows)
    return Story(standing, _trail(session, client_id, standing))


def chosen(
    session: Session, client_id: int, journey_id: int, which: Which
) -> list[ColumnElement[bool]]:
    """Return the WHERE clauses of the enrolments meant."""
    clauses = [E.client_id == client_id, E.journey_id == journey_id]
    if which.ids is None:
        clauses.append(E.status.in_(INSIDE) if which.status is None else E.status == which.status)
    else:
        clauses.append(among(session, E.id, which.ids))
    plain = {E.member_id: which.member_id, E.step: which.step, E.held: which.held}
    clauses += [column == value for column, value in plain.items() if value is not None]
    if which.version is not None:
        numbered = select(JourneyVersion.id).where(
            JourneyVersion.journey_id == journey_id, JourneyVersion.number == which.version
        )
        clauses.append(E.version_id == numbered.scalar_subquery())
    return clauses


def _rows(client_id: int, journey_id: int) -> Select[*tuple[Any, ...]]:
    return (
        select(E, JourneyVersion.number, Member.member_id, Member.first_name, Member.last_name)
        .join(JourneyVersion, JourneyVersion.id == E.version_id)
        .join(Member, Member.id == E.member_id)
        .where(E.client_id == client_id, E.journey_id == journey_id)
    )


def _shown(
    session: Session, clock: Clock, found: Journey, rows: Sequence[Row[*tuple[Any, ...]]]
) -> list[Standing]:
    machines = {id: machine(session, id) for id in {row[0].version_id for row in rows}}
    return [_standing(found, row, machines[row[0].version_id], clock.now()) for row in rows]


def _standing(
    found: Journey, row: Row[*tuple[Any, ...]], known: Machine, now: datetime
) -> Standing:
    one, number, member, first, last = row
    node = known.program.nodes.get(one.step or "")
    step = node.step if node else None
    return Standing(
        id=one.id,
        member_id=one.member_id,
        member=member,
        name=" ".join(part for part in (first, last) if part),
        version=number,
        status=one.status,
        step=one.step,
        says=said(step) if step else None,
        since=one.since,
        until=one.until,
        next_at=one.due_at,
        held=one.held,
        because=_because(found, one, step, known, now),
        tries=one.tries,
        error=one.error,
        key=one.entry_key,
        cause=one.cause,
        entered_at=one.entered_at,
        ended_at=one.ended_at,
    )


def _because(
    found: Journey, one: Enrolment, step: Step | None, known: Machine, now: datetime
) -> str:
    if one.status is EnrolmentStatus.STUCK:
        return f"failed {one.tries} times: {one.error}"
    if one.status is not EnrolmentStatus.ACTIVE:
        return one.end_reason or one.status.value
    if found.status is JourneyStatus.PAUSED:
        return "the journey is paused"
    if one.due_at is not None and one.due_at <= now:
        late = one.due_at < now - LAG
        return "is due, and no worker has come" if late else "is due"
    return _held(one, step, known)


def _held(one: Enrolment, step: Step | None, known: Machine) -> str:
    text = said(step) if step else ""
    match one.held:
        case Held.WAIT if isinstance(step, Digest):
            return f"collects {text.removeprefix('digest ')}"
        case Held.WAIT | Held.EVENT:
            return f"waits {text.removeprefix('wait ')}"
        case Held.QUIET if known.journey.quiet:
            quiet = known.journey.quiet
            return f"quiet hours {quiet.start:%H:%M}-{quiet.end:%H:%M}"
        case Held.LIMIT if known.journey.limit:
            most = plural(known.journey.limit.messages, "message")
            return f"has had {most}, which is the limit"
        case Held.WEBHOOK:
            return "waits for the webhook's answer" + (f": {one.error}" if one.error else "")
        case Held.CALL if isinstance(step, Call):
            return f"waits for the end of “{step.journey}”"
        case Held.RETRY:
            return f"failed {one.tries} times and is tried again: {one.error}"
        case _:
            return "waits"


# ---- one of them


def _trail(session: Session, client_id: int, standing: Standing) -> list[Taken]:
    query = (
        select(EnrolmentStep, JourneyVersion.number)
        .join(JourneyVersion, JourneyVersion.id == EnrolmentStep.version_id)
        .where(EnrolmentStep.enrolment_id == standing.id)
        .order_by(EnrolmentStep.id)
    )
    rows = session.execute(query).all()
    machines = {id: machine(session, id) for id in {step.version_id for step, _ in rows}}
    messages = _messages(session, client_id, standing)
    trail = []
    for step, number in rows:
        node = machines[step.version_id].program.nodes.get(step.step)
        trail.append(
            Taken(
                version=number,
                step=step.step,
                says=said(node.step) if node else None,
                way=step.way,
                way_says=way_said(node.step, step.way) if node else step.way,
                why=step.why,
                came_at=step.came_at,
                left_at=step.left_at,
                messages=messages.get(step.visit, ()),
            )
        )
    return trail


def _messages(session: Session, client_id: int, standing: Standing) -> dict[int, list[Message]]:
    """Return the messages of an enrolment by the visit that wrote them, in their order."""
    query = (
        select(C)
        .where(
            C.client_id == client_id,
            C.member_id == standing.member_id,
            C.dedup_key.startswith(f"journey:{standing.id}:", autoescape=True),
        )
        .order_by(C.id)
    )
    found: dict[int, list[Message]] = {}
    for one in session.scalars(query):
        visit = int((one.dedup_key or "").rsplit(":", 2)[1])
        reason = one.reason.value if one.reason else None
        told = Message(one.id, one.channel, one.status, reason, one.created_at, one.sent_at)
        found.setdefault(visit, []).append(told)
    return found
