"""Intervention: what a person does about people in a journey: skip, move, retry, take out.

Each is done in sets, and is a row in the trail of everybody it is done to, with who did it.

Invariants
    1. Who is meant is locked: a worker takes their steps before it or after it, never meanwhile.
    2. What leaves nobody's step (retried, or moved to the same step of another version) has a
       negative visit: the keys of messages, calls and webhooks are made of the visit, and stay.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, Text, case, func, insert, literal, select, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from accounts.audit import record
from campaigns.errors import EnrolmentEndedError, EnrolmentNotFoundError
from campaigns.journeys.advance import wake_callers
from campaigns.journeys.enrolment import (
    TAKEN,
    Enrolment,
    EnrolmentStatus,
    EnrolmentStep,
    Held,
    tell_endpoints,
)
from campaigns.journeys.journey import journey
from campaigns.journeys.machine import Machine, machine
from campaigns.journeys.people import INSIDE, Which, chosen
from campaigns.journeys.program import NEXT, OTHERWISE, TIMEOUT, Node
from core.clock import Clock
from core.condition.check import nearest
from core.db import Json, UtcDateTime
from core.errors import InvalidError
from core.rows import among
from core.sql import json_at

E = Enrolment
S = EnrolmentStep
COLUMNS = (
    S.client_id, S.enrolment_id, S.version_id, S.step, S.visit, S.way, S.why, S.came_at, S.left_at,
)  # fmt: skip


class Deed(StrEnum):
    """What is done; as the way it stands in the trail."""

    SKIP = "skipped"
    MOVE = "moved"
    REMOVE = "removed"
    RETRY = "retried"


ENDS = {
    Deed.SKIP: (EnrolmentStatus.COMPLETED, None),
    Deed.REMOVE: (EnrolmentStatus.EXITED, "taken out by hand"),
}
"""How somebody ends by a deed: of a skip, where it was the last step."""


@dataclass(frozen=True, slots=True)
class Place:
    """A set of people who stand at one step of one version."""

    version_id: int
    step: str
    ids: Sequence[int]


def intervene(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    journey_id: int,
    which: Which,
    deed: Deed,
    by: str,
    to: str | None = None,
) -> int:
    """Do something about those inside who are meant; return how many they were.

    `to` is the key of the step to move to. A step that is skipped is left as if its time were
    over; who is retried is looked at now, stuck or not. Raises JourneyNotFoundError,
    EnrolmentNotFoundError and EnrolmentEndedError for ids that are not inside (then nothing is
    done), InvalidError for a step that there is not.
    """
    journey(session, client_id, journey_id)
    places = locked_places(session, client_id, journey_id, which)
    targets = _targets(session, places, deed, to)
    why = {"by": by}
    now = clock.now()
    for place, target in zip(places, targets, strict=True):
        if deed is Deed.RETRY:
            tell(session, place.ids, way=deed, why=why, now=now, beside=True)
            _retry(session, place.ids, now)
        elif target is None:
            tell(session, place.ids, way=deed, why=why, now=now)
            end(session, place.ids, *ENDS[deed], now)
        else:
            tell(session, place.ids, way=deed, why=why | {"to": target}, now=now)
            put(session, place.ids, place.version_id, target, now)
            note_taken(session, place.ids, ())
    count = sum(len(place.ids) for place in places)
    if count:
        record(
            session, clock, client_id=client_id, actor=by, action=f"journey.people.{deed}",
            target=f"journey:{journey_id}", people=count, to=to,
        )  # fmt: skip
    return count


def remove_all(session: Session, clock: Clock, *, client_id: int, journey_id: int, why: str) -> int:
    """Take everybody out of a journey that is archived; return how many there were."""
    places = locked_places(session, client_id, journey_id, Which())
    for place in places:
        tell(session, place.ids, way=Deed.REMOVE, why={"because": why}, now=clock.now())
        end(session, place.ids, EnrolmentStatus.EXITED, why, clock.now())
    return sum(len(place.ids) for place in places)


def locked_places(session: Session, client_id: int, journey_id: int, which: Which) -> list[Place]:
    """Lock the enrolments meant and return them by where they stand.

    Raises EnrolmentNotFoundError and EnrolmentEndedError for ids that are not inside.
    """
    query = (
        select(E.id, E.version_id, E.step, E.status)
        .where(*chosen(session, client_id, journey_id, which))
        .order_by(E.id)
        .with_for_update()
    )
    rows = session.execute(query).all()
    _refuse(which, rows)
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    for id, version_id, step, status in rows:
        if status in INSIDE:
            groups[version_id, step or ""].append(id)
    return [Place(version_id, step, ids) for (version_id, step), ids in groups.items()]


def _refuse(which: Which, rows: Sequence[Row[*tuple[Any, ...]]]) -> None:
    missing = sorted(set(which.ids or ()) - {row.id for row in rows})
    if missing:
        raise EnrolmentNotFoundError(f"nobody is enrolled as {missing[0]}", field="enrolments")
    ended = [row.id for row in rows if row.status not in INSIDE]
    if ended:
        listed = ", ".join(map(str, ended[:5]))
        raise EnrolmentEndedError(
            f"{len(ended)} of them have ended: {listed}",
            field="enrolments",
            remedy="leave them out; who has ended can only enter anew",
        )


def tell(
    session: Session,
    ids: Sequence[int],
    *,
    way: str,
    why: Mapping[str, Any],
    now: datetime,
    beside: bool = False,
) -> None:
    """Write a row in the trail of each; `beside` where nobody leaves their step by it."""
    before = select(func.count()).where(S.enrolment_id == E.id, S.visit < 0).scalar_subquery()
    visit = -1 - before if beside else E.visit
    rows = select(
        E.client_id, E.id, E.version_id, E.step, visit, literal(str(way)),
        literal(dict(why), Json), E.since, literal(now, UtcDateTime()),
    )  # fmt: skip
    session.execute(insert(S).from_select(COLUMNS, rows.where(among(session, E.id, ids))))


def put(session: Session, ids: Sequence[int], version_id: int, step: str, now: datetime) -> None:
    """Stand them at a step as if they had just come to it."""
    _change(
        session, ids, version_id=version_id, step=step, visit=E.visit + 1, since=now, due_at=now,
        until=None, held=None, tries=0, error=None, status=EnrolmentStatus.ACTIVE,
    )  # fmt: skip


def end(
    session: Session,
    ids: Sequence[int],
    status: EnrolmentStatus,
    reason: str | None,
    now: datetime,
) -> None:
    """End them; who called them and waits goes on."""
    _change(
        session, ids, visit=E.visit + 1, step=None, due_at=None, until=None, held=None,
        status=status, ended_at=now, end_reason=reason,
    )  # fmt: skip
    callers = select(E.caller_id).where(among(session, E.id, ids), E.caller_id.is_not(None))
    wake_callers(session, now, [id for id in session.scalars(callers) if id is not None])
    client_id = session.scalar(select(E.client_id).where(E.id == ids[0])) if ids else None
    if client_id is not None:
        tell_endpoints(session, now, client_id, ids)


def note_taken(session: Session, ids: Sequence[int], steps: Sequence[str]) -> None:
    """Note the sends that they do not take again; none is any."""
    where = among(session, E.id, ids)
    if not steps:
        where &= json_at(E.context, TAKEN).is_not(None)
    session.execute(
        update(E)
        .where(where)
        .values(context=_with_key(E.context, TAKEN, literal(list(steps), Json)))
        .execution_options(synchronize_session=False)
    )


class _with_key(FunctionElement[Any]):  # noqa: N801  (reads as the SQL function it is)
    """A JSON object with one key set to a JSON value."""

    type = Json
    inherit_cache = True

    def __init__(self, column: Any, key: str, value: Any) -> None:
        super().__init__(column, literal(key, Text), value)


@compiles(_with_key, "sqlite")
def _sqlite_with_key(element: _with_key, compiler: SQLCompiler, **kw: Any) -> str:
    column, key, value = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"json_set({column}, '$.' || {key}, json({value}))"


@compiles(_with_key, "postgresql")
def _postgresql_with_key(element: _with_key, compiler: SQLCompiler, **kw: Any) -> str:
    column, key, value = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({column} || jsonb_build_object({key}, {value}))"


def _retry(session: Session, ids: Sequence[int], now: datetime) -> None:
    """Look at them now; a call that is asked for is made now."""
    calling = E.held == Held.WEBHOOK
    _change(
        session, ids, status=EnrolmentStatus.ACTIVE, tries=0, error=None,
        due_at=case((calling, None), else_=now),
        until=case((calling, now), else_=E.until),
        held=case((E.held == Held.RETRY, None), else_=E.held),
    )  # fmt: skip


def _change(session: Session, ids: Sequence[int], **values: Any) -> None:
    session.execute(
        update(E)
        .where(among(session, E.id, ids))
        .values(**values)
        .execution_options(synchronize_session=False)
    )


# ---- where to


def _targets(
    session: Session, places: Sequence[Place], deed: Deed, to: str | None
) -> list[str | None]:
    """Return where each set goes; None is the end."""
    if deed in (Deed.REMOVE, Deed.RETRY):
        return [None] * len(places)
    machines = {id: machine(session, id) for id in {place.version_id for place in places}}
    if deed is Deed.MOVE:
        for known in machines.values():
            must_have(known, to or "")
        return [to] * len(places)
    return [_behind(machines[place.version_id].program.nodes.get(place.step)) for place in places]


def must_have(known: Machine, key: str, field: str = "to") -> None:
    """Raise InvalidError, which names the nearest, for a step that a version does not have."""
    if key not in known.program.nodes:
        raise InvalidError(
            f"there is no step “{key}” in this version",
            field=field,
            remedy=nearest(key, known.program.nodes),
        )


def _behind(node: Node[Any] | None) -> str | None:
    """Return the step behind one that is skipped: a wait was not answered, a branch not taken."""
    if node is None:
        return None
    way = next((way for way in (TIMEOUT, OTHERWISE, NEXT, "0") if way in node.ways), NEXT)
    return node.ways.get(way)
