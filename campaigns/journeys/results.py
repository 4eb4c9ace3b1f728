"""Results: what became of those who entered a journey, counted from rows whenever asked.

Invariants, for the whole and for each version
    1. entered = inside + completed + goal + exited + stuck. Who was moved counts for the version
       they are on now.
    2. At every step came = left + waiting + stuck; a jump back, a move and a step by hand count
       like any other way to come and to leave.
    3. The numbers of messages are those of communications: messages = sent + skipped + failed +
       unknown + queued, and sent = delivered + bounced + pending.

Cost: one pass over the journey's enrolments and steps each, and a key looked up for each send.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Integer,
    func,
    literal,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from campaigns.journeys.ast import Elevate
from campaigns.journeys.comparison import said
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, EnrolmentStep
from campaigns.journeys.intervention import Deed
from campaigns.journeys.journey import journey, versions
from campaigns.journeys.machine import Machine, machine
from campaigns.journeys.messages import Numbers, messages, numbers, wordings_of
from channels.channel import Channel
from communications.communication import Communication
from core.clock import Clock
from core.db import UtcDateTime

E, S, C = Enrolment, EnrolmentStep, Communication
LOST = ("exit", "deleted", Deed.REMOVE.value)
"""Ways out by which somebody ends without having come to the end or the goal."""
DAYS = 365


@dataclass(frozen=True, slots=True)
class Totals:
    """What became of everybody who entered."""

    entered: int
    inside: int
    completed: int
    goal: int
    exited: int
    stuck: int


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of everybody who came to a step."""

    key: str
    says: str
    stage: Elevate | None
    came: int
    waiting: int
    stuck: int
    left: Mapping[str, int]
    """By way: `next`, `timeout`, `0`, `else`, `goal`, `exit`, `skipped`, `moved`, …"""
    lost: int
    drop_off: float
    """The share of those who came that was lost here."""
    messages: Numbers


@dataclass(frozen=True, slots=True)
class MessageResult:
    """What became of the messages of one text at one step."""

    step: str
    channel: Channel
    template: str
    wording: int
    """The number of the template's version."""
    messages: Numbers


@dataclass(frozen=True, slots=True)
class VersionResult:
    """One version's numbers."""

    version: int
    totals: Totals
    steps: Sequence[StepResult]
    messages: Sequence[MessageResult]


@dataclass(frozen=True, slots=True)
class Day:
    """How many had reached the goal so many days after they entered."""

    day: int
    of: int
    """Those who entered at least so long ago: the others cannot tell yet."""
    reached: int


@dataclass(frozen=True, slots=True)
class Results:
    """All numbers of a journey."""

    totals: Totals
    versions: Sequence[VersionResult]
    conversion: Sequence[Day]


def results(
    session: Session, clock: Clock, *, client_id: int, journey_id: int, version: int | None = None
) -> Results:
    """Return what became of everybody, by version, the latest first; only one, if it is given.

    Raises JourneyNotFoundError.
    """
    journey(session, client_id, journey_id)
    wanted = [
        one for one in versions(session, client_id, journey_id) if version in (None, one.number)
    ]
    ids = [one.id for one in wanted]
    standing = _standing(session, ids)
    steps = _Steps(session, client_id, [machine(session, id) for id in ids])
    return Results(
        totals=_totals([status for counts in standing.values() for status in counts.items()]),
        versions=[
            VersionResult(
                one.number,
                _totals(list(standing[one.id].items())),
                steps.of(one.id),
                steps.messages_of(one.id),
            )
            for one in wanted
        ],
        conversion=_conversion(session, clock, ids),
    )


# ---- people


def _standing(session: Session, ids: Sequence[int]) -> dict[int, Counter[EnrolmentStatus]]:
    query = (
        select(E.version_id, E.status, func.count())
        .where(E.version_id.in_(ids))
        .group_by(E.version_id, E.status)
    )
    found: dict[int, Counter[EnrolmentStatus]] = {id: Counter() for id in ids}
    for version_id, status, count in session.execute(query):
        found[version_id][status] = count
    return found


def _totals(counts: Sequence[tuple[EnrolmentStatus, int]]) -> Totals:
    by: Counter[EnrolmentStatus] = Counter()
    for status, count in counts:
        by[status] += count
    return Totals(
        entered=by.total(),
        inside=by[EnrolmentStatus.ACTIVE],
        completed=by[EnrolmentStatus.COMPLETED],
        goal=by[EnrolmentStatus.GOAL],
        exited=by[EnrolmentStatus.EXITED],
        stuck=by[EnrolmentStatus.STUCK],
    )


class _whole_days(FunctionElement[int]):  # noqa: N801  (reads as the SQL function it is)
    """How many whole days one instant is after another."""

    type = Integer()
    inherit_cache = True


@compiles(_whole_days, "sqlite")
def _sqlite_days(element: _whole_days, compiler: SQLCompiler, **kw: Any) -> str:
    later, earlier = (compiler.process(clause, **kw) for clause in element.clauses)
    seconds = "CAST(strftime('%s', {}) AS INTEGER)"
    return f"(({seconds.format(later)} - {seconds.format(earlier)}) / 86400)"


@compiles(_whole_days, "postgresql")
def _postgresql_days(element: _whole_days, compiler: SQLCompiler, **kw: Any) -> str:
    later, earlier = (compiler.process(clause, **kw) for clause in element.clauses)
    seconds = "floor(extract(epoch from {}))"
    gap = f"({seconds.format(later)} - {seconds.format(earlier)})"
    return f"CAST(floor({gap} / 86400) AS INTEGER)"


def _conversion(session: Session, clock: Clock, ids: Sequence[int]) -> list[Day]:
    """Return the curve: among those old enough to tell, how many reached the goal by that day."""
    age = _whole_days(literal(clock.now(), UtcDateTime()), E.entered_at).label("age")
    took = _whole_days(E.ended_at, E.entered_at).label("took")
    reached = E.status == EnrolmentStatus.GOAL
    by_age = select(age, func.count()).where(E.version_id.in_(ids)).group_by(age)
    people = dict(session.execute(by_age).all())
    by_both = select(age, took, func.count()).where(E.version_id.in_(ids), reached)
    goals = [tuple(row) for row in session.execute(by_both.group_by(age, took))]
    last = min(max(people, default=-1), DAYS)
    return [
        Day(
            day=day,
            of=sum(count for old, count in people.items() if old >= day),
            reached=sum(count for old, took, count in goals if old >= day >= took),
        )
        for day in range(last + 1)
    ]


# ---- steps


class _Steps:
    """The numbers of all steps of some versions, counted in one go."""

    def __init__(self, session: Session, client_id: int, machines: Sequence[Machine]) -> None:
        self._machines = {known.version_id: known for known in machines}
        self._here: dict[tuple[int, str], Counter[EnrolmentStatus]] = defaultdict(Counter)
        self._left: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
        self._sent = messages(session, client_id, machines)
        ids = list(self._machines)
        standing = select(E.version_id, E.step, E.status, func.count()).where(
            E.version_id.in_(ids), E.step.is_not(None)
        )
        for id, step, status, count in session.execute(
            standing.group_by(E.version_id, E.step, E.status)
        ):
            self._here[id, step or ""][status] = count
        left = select(S.version_id, S.step, S.way, func.count()).where(
            S.version_id.in_(ids), S.way != Deed.RETRY
        )
        for id, step, way, count in session.execute(left.group_by(S.version_id, S.step, S.way)):
            self._left[id, step][way] = count
        self._names = wordings_of(session, {id for _, _, _, id in self._sent})

    def of(self, id: int) -> list[StepResult]:
        """Return a version's steps in their order."""
        return [
            self._step(id, key, said(node.step), node.stage)
            for key, node in self._machines[id].program.nodes.items()
        ]

    def _step(self, id: int, key: str, says: str, stage: Elevate | None) -> StepResult:
        here, left = self._here[id, key], self._left[id, key]
        came = here.total() + left.total()
        lost = sum(left[way] for way in LOST)
        counts = [
            count
            for (version_id, step, _, _), some in self._sent.items()
            if (version_id, step) == (id, key)
            for count in some
        ]
        return StepResult(
            key=key,
            says=says,
            stage=stage,
            came=came,
            waiting=here[EnrolmentStatus.ACTIVE],
            stuck=here[EnrolmentStatus.STUCK],
            left=dict(left),
            lost=lost,
            drop_off=lost / came if came else 0.0,
            messages=numbers(counts),
        )

    def messages_of(self, id: int) -> list[MessageResult]:
        """Return a version's texts, in the order of their steps."""
        order = {key: place for place, key in enumerate(self._machines[id].program.nodes)}
        found = [
            MessageResult(step, channel, *self._names[wording], numbers(counts))
            for (version_id, step, channel, wording), counts in self._sent.items()
            if version_id == id
        ]
        return sorted(found, key=lambda one: (order[one.step], one.channel, one.template))
