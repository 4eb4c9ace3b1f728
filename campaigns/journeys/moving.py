"""Moving: who is inside a journey goes over from the version they are on to another.

Invariants
    1. Nobody is re-run: who stands at a step that is still there stays at it, with the time they
       have waited, and a send that was left is never taken again (only a jump leads back to it).
    2. Nobody is lost: while anybody stands at a step that the other version does not have, and
       nobody has said where they go, nothing is moved.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from accounts.audit import record
from campaigns.errors import Finding, MoveBlockedError
from campaigns.journeys.ast import Digest, GoTo, Send, Webhook
from campaigns.journeys.choosing import JUMPS
from campaigns.journeys.comparison import Comparison, compare, said
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, EnrolmentStep
from campaigns.journeys.hear import listen_anew
from campaigns.journeys.intervention import (
    Deed,
    Place,
    end,
    locked_places,
    must_have,
    note_taken,
    put,
    tell,
)
from campaigns.journeys.journey import JourneyVersion, journey, version_numbered
from campaigns.journeys.machine import Machine, machine
from campaigns.journeys.people import INSIDE, Which
from campaigns.journeys.program import BACK, NEXT
from core.clock import Clock
from core.condition.check import nearest
from core.errors import InvalidError
from core.rows import among

E = Enrolment
S = EnrolmentStep
NOWHERE = "the new version has no such step"

Choices = Mapping[str, str | None]
"""The new key for an old one, or None to end there."""


@dataclass(frozen=True, slots=True)
class Stand:
    """How many stand at one step of one version, and which step it is in the other."""

    version: int
    step: str
    says: str | None
    people: int
    to: str | None
    """None where the other version has no such step."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a move would do."""

    to: int
    """The number of the version moved to."""
    people: int
    """Everybody who is on another version."""
    stands: Sequence[Stand]

    @property
    def stranded(self) -> list[Stand]:
        """Where people stand for whom somebody has to choose."""
        return [stand for stand in self.stands if stand.to is None]


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did."""

    moved: int
    ended: int


def preview(session: Session, *, client_id: int, journey_id: int, to_version: int) -> Preview:
    """Return who would be moved to a version by its number, and who stands nowhere in it.

    Raises JourneyNotFoundError.
    """
    target = version_numbered(session, client_id, journey_id, to_version)
    stands = standing(session, machine(session, target.id))
    return Preview(to_version, sum(stand.people for stand in stands), stands)


def standing(session: Session, target: Machine) -> list[Stand]:
    """Return where everybody inside stands who is not on this version, which may be a draft."""
    query = (
        select(E.version_id, JourneyVersion.number, func.coalesce(E.step, ""), func.count())
        .join(JourneyVersion, JourneyVersion.id == E.version_id)
        .where(
            E.journey_id == target.journey_id,
            E.version_id != target.version_id,
            E.status.in_(INSIDE),
        )
        .group_by(E.version_id, JourneyVersion.number, E.step)
        .order_by(JourneyVersion.number, E.step)
    )
    maps = _Maps(session, target)
    stands = []
    for version_id, number, step, people in session.execute(query):
        node = maps.machine(version_id).program.nodes.get(step)
        to = maps.to(version_id).steps.get(step)
        stands.append(Stand(number, step, said(node.step) if node else None, people, to))
    return stands


def move(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    journey_id: int,
    to_version: int,
    choices: Choices | None = None,
    by: str,
) -> Moved:
    """Move everybody inside to a version by its number, in sets.

    Raises JourneyNotFoundError, InvalidError for a choice that names a step which is not there,
    MoveBlockedError where a choice is missing.
    """
    journey(session, client_id, journey_id)
    target = version_numbered(session, client_id, journey_id, to_version)
    maps = _Maps(session, machine(session, target.id))
    chosen = dict(choices or {})
    for key in chosen.values():
        if key is not None:
            must_have(maps.target, key, "choices")
    places = [
        place
        for place in locked_places(session, client_id, journey_id, Which())
        if place.version_id != target.id
    ]
    _refuse_unknown(maps, {place.version_id for place in places}, chosen)
    _refuse_stranded(maps, places, chosen)
    done: dict[bool, int] = defaultdict(int)
    for place in places:
        to = chosen.get(place.step, maps.to(place.version_id).steps.get(place.step))
        _settle(session, maps, place, to, {"by": by, "version": to_version}, clock.now())
        done[to is None] += len(place.ids)
    if places:
        listen_anew(session, client_id)
        record(
            session, clock, client_id=client_id, actor=by, action="journey.move",
            target=f"journey:{journey_id}", version=to_version, moved=done[False],
            ended=done[True],
        )  # fmt: skip
    return Moved(done[False], done[True])


class _Maps:
    """What became of each version's steps in the version that is moved to."""

    def __init__(self, session: Session, target: Machine) -> None:
        self._session, self.target = session, target
        self._machines = {target.version_id: target}
        self._found: dict[int, Comparison] = {}

    def machine(self, version_id: int) -> Machine:
        if version_id not in self._machines:
            self._machines[version_id] = machine(self._session, version_id)
        return self._machines[version_id]

    def looks_the_same(self, place: Place) -> bool:
        """Say whether a step says what it said, and the same goals and exits are watched there."""
        before, after = self.machine(place.version_id).journey, self.target.journey
        ends = (before.goals, before.exits) == (after.goals, after.exits)
        return ends and place.step in self.to(place.version_id).unchanged

    def to(self, version_id: int) -> Comparison:
        if version_id not in self._found:
            before = self.machine(version_id).journey
            self._found[version_id] = compare(before, self.target.journey)
        return self._found[version_id]


def _refuse_unknown(maps: _Maps, version_ids: Iterable[int], chosen: Choices) -> None:
    """Refuse a choice for a step that no version has on which anybody is: it is misspelt."""
    known = {key for id in version_ids for key in maps.machine(id).program.nodes}
    for key in chosen:
        if known and key not in known:
            raise InvalidError(
                f"nobody can stand at “{key}”", field="choices", remedy=nearest(key, known)
            )


def _refuse_stranded(maps: _Maps, places: Sequence[Place], chosen: Choices) -> None:
    problems = [
        Finding(
            "no_step",
            f"{len(place.ids)} stand at {place.step}, which the version does not have",
            f"choose where they go, such as {place.step}: {maps.target.program.first}, or null",
            "choices",
        )
        for place in places
        if place.step not in chosen and place.step not in maps.to(place.version_id).steps
    ]
    if problems:
        raise MoveBlockedError(problems)


def _settle(
    session: Session,
    maps: _Maps,
    place: Place,
    to: str | None,
    why: dict[str, object],
    now: datetime,
) -> None:
    """Let a set of people who stand at one place go over."""
    found = maps.to(place.version_id)
    if to is None:
        tell(session, place.ids, way=Deed.REMOVE, why=why | {"because": NOWHERE}, now=now)
        end(session, place.ids, EnrolmentStatus.EXITED, NOWHERE, now)
        return
    stays = found.steps.get(place.step) == to
    tell(session, place.ids, way=Deed.MOVE, why=why | {"to": to}, now=now, beside=stays)
    if stays:
        _carry(session, maps, place, to, now, same=maps.looks_the_same(place))
    else:
        put(session, place.ids, maps.target.version_id, to, now)
    _carry_memory(session, maps, place)
    _keep_from_taking_again(session, maps, place.ids, to)


def _carry(
    session: Session, maps: _Maps, place: Place, to: str, now: datetime, *, same: bool
) -> None:
    """Keep them at their step; where it or what ends the journey is another, look at them.

    Their wait counts from the same since.
    """
    values: dict[str, object] = {"version_id": maps.target.version_id, "step": to}
    if not same:
        walks = E.status == EnrolmentStatus.ACTIVE
        values |= {
            "until": None,
            "due_at": case((walks, now), else_=E.due_at),
            "held": case((walks, None), else_=E.held),
        }
    session.execute(
        update(E)
        .where(among(session, E.id, place.ids))
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def _carry_memory(session: Session, maps: _Maps, place: Place) -> None:
    """Keep what is remembered under a step's key with the step: answers, digests, jumps taken."""
    nodes = maps.machine(place.version_id).program.nodes
    steps = maps.to(place.version_id).steps
    renamed = {
        old: new
        for old, new in steps.items()
        if old != new and isinstance(nodes[old].step, Webhook | Digest | GoTo)
    }
    if not renamed:
        return
    query = select(E.id, E.context).where(among(session, E.id, place.ids))
    rows = [
        {"id": id, "context": _renamed(context, renamed)}
        for id, context in session.execute(query)
        if context
    ]
    if rows:
        session.execute(update(E), rows)


def _renamed(context: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    known = {keys.get(name, name): value for name, value in context.items()}
    if JUMPS in known:
        jumps = known[JUMPS].items()
        known[JUMPS] = {keys.get(name, name): count for name, count in jumps}
    return known


# ---- what was taken before


def _keep_from_taking_again(session: Session, maps: _Maps, ids: Sequence[int], at: str) -> None:
    """Note the sends ahead of them that they left already, since the last jump back."""
    ahead = _sends_ahead(maps.target, at)
    versions = select(S.version_id).where(among(session, S.enrolment_id, ids)).distinct()
    same: dict[tuple[int, str], set[str]] = {}
    for version_id in session.scalars(versions).all():
        for old in maps.machine(version_id).program.nodes:
            # Its own key counts too, even where another step was matched with it.
            same[version_id, old] = {maps.to(version_id).steps.get(old, old), old} & ahead
    taken: dict[int, set[str]] = defaultdict(set)
    steps = sorted({old for (_, old), new in same.items() if new})
    for id, version_id, step in _left(session, ids, steps):
        taken[id] |= same[version_id, step]
    sets: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for id in ids:
        sets[tuple(sorted(taken[id]))].append(id)
    for keys, group in sets.items():
        note_taken(session, group, keys)


def _left(
    session: Session, ids: Sequence[int], steps: Sequence[str]
) -> Sequence[tuple[int, int, str]]:
    if not steps:
        return []
    jump = S.__table__.alias("jump")
    back = (
        select(func.coalesce(func.max(jump.c.visit), -1))
        .where(jump.c.enrolment_id == S.enrolment_id, jump.c.way == BACK)
        .scalar_subquery()
    )
    query = select(S.enrolment_id, S.version_id, S.step).where(
        among(session, S.enrolment_id, ids),
        among(session, S.step, steps),
        S.way.in_([NEXT, Deed.SKIP]),
        S.visit > back,
    )
    return [(id, version_id, step) for id, version_id, step in session.execute(query)]


def _sends_ahead(known: Machine, start: str) -> set[str]:
    """Return the sends that are reached from a step without a jump."""
    seen: set[str] = set()
    waiting: list[str | None] = [start]
    while waiting:
        key = waiting.pop()
        if key is not None and key not in seen:
            seen.add(key)
            ways = known.program.nodes[key].ways
            waiting += [to for way, to in ways.items() if way != BACK]
    return {key for key in seen if isinstance(known.program.nodes[key].step, Send)}
