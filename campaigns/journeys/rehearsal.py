"""Rehearsal: the time machine. A journey is played on a virtual clock, and nothing is sent.

It is the engine itself, not a second one: a copy of the journey is published, entered and advanced
in one transaction that is taken back at the end, while the clock jumps from one due instant to the
next. Messages become rows of the log there, are delivered at once, and vanish with it.

Cost: about a dozen statements a step; a year of one member takes well under a second. On SQLite it
works on a copy, of which 60 MB take half a second.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from campaigns.errors import PublishBlockedError
from campaigns.journeys.advance import advance
from campaigns.journeys.ast import Journey as Ast
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, EnrolmentStep
from campaigns.journeys.enter import Entry, enter
from campaigns.journeys.journey import Journey, JourneyStatus, JourneyVersion
from campaigns.journeys.json import to_json
from campaigns.journeys.machine import Machine, machine
from campaigns.journeys.wording import wordings
from campaigns.template import Template, TemplateVersion
from communications.communication import Communication
from communications.status import Rank, Status
from core.address import AddressHasher
from core.clock import ManualClock
from core.db import Sessions, is_sqlite, rehearsal
from members.member import Member

C, E = Communication, Enrolment
MAX_LOOKS = 20_000
MAX_PEOPLE = 1_000
"""Of a segment: so many of its members are played, those with the lowest ids."""


class Act(Protocol):
    """Something that is made to happen, such as a click (acts.py)."""

    def __call__(self, stage: "Stage", member_id: int) -> None:
        """Do it now, on the stage's clock."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """An act, and how long after the start it happens."""

    after: timedelta
    act: Act


@dataclass(frozen=True, slots=True)
class Stage:
    """What acts are played on: a transaction that will be taken back."""

    session: Session
    clock: ManualClock
    hasher: AddressHasher
    client_id: int
    rows_after: int
    """Communications above this id are of the rehearsal."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the calendar: a step that somebody left, or where they are at the end."""

    member_id: int
    at: datetime
    step: str
    way: str
    """How they left it; empty for where they still are."""
    why: Mapping[str, Any]
    channel: str | None = None
    template: str | None = None
    status: str | None = None
    """`sent` or `skipped`, of a send."""
    reason: str | None = None


@dataclass(slots=True)
class Rehearsal:
    """What would happen."""

    started_at: datetime
    ended_at: datetime
    entered: list[int] = field(default_factory=list)
    """Members who entered; who did not may not, or does not match the trigger."""
    calendar: list[Happening] = field(default_factory=list)
    """In the order of time."""
    ends: dict[int, str] = field(default_factory=dict)
    """How it ended for each: a status, or `active` where they still are inside."""

    @property
    def sends(self) -> list[Happening]:
        """The messages among it, also those that are skipped."""
        return [one for one in self.calendar if one.channel is not None]


class Cast(Protocol):
    """Chooses or invents who is played (acts.py)."""

    def __call__(self, stage: Stage) -> Sequence[int]:
        """Return their member ids."""


def rehearse(
    sessions: Sessions,
    hasher: AddressHasher,
    *,
    client_id: int,
    journey: Ast,
    cast: Cast,
    start: datetime,
    over: timedelta = timedelta(days=365),
    event: Mapping[str, Any] | None = None,
    what_ifs: Sequence[WhatIf] = (),
) -> Rehearsal:
    """Play a journey, published or not, from `start` for `over`; return its calendar.

    `event` is what let them in. Raises PublishBlockedError for what a send would need.
    """
    clock = ManualClock(start)
    with rehearsal(sessions) as session:
        if not is_sqlite(session):
            # Whoever enters or is written to meanwhile is not seen, and so not played.
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        stage = Stage(session, clock, hasher, client_id, _highest(session, C.id))
        play = _Play(stage, _copied(stage, journey))
        return play.played(cast(stage), event or {}, start + over, what_ifs)


class _Play:
    """One rehearsal."""

    def __init__(self, stage: Stage, known: Machine) -> None:
        self._stage = stage
        self._machine = known
        self._first = _highest(stage.session, E.id)

    def played(
        self,
        member_ids: Sequence[int],
        event: Mapping[str, Any],
        end: datetime,
        what_ifs: Sequence[WhatIf],
    ) -> Rehearsal:
        session, clock = self._stage.session, self._stage.clock
        found = Rehearsal(clock.now(), end)
        entries = [Entry(one, clock.now(), event=event) for one in member_ids[:MAX_PEOPLE]]
        only = next((trigger.only for trigger in self._machine.journey.triggers), None)
        found.entered = sorted(
            enter(session, clock, self._machine, entries, cause="rehearsal", only=only)
        )
        coming = sorted(what_ifs, key=lambda one: one.after)
        start = clock.now()
        for _ in range(MAX_LOOKS):
            while coming and start + coming[0].after <= clock.now():
                act = coming.pop(0).act
                for member_id in found.entered:
                    act(self._stage, member_id)
                self._wake()
            self._settle()
            following = self._next(start, coming)
            if following is None or following > end:
                break
            clock.set(following)
        self._read(found)
        return found

    def _settle(self) -> None:
        """Take every step that is due now; what was sent has arrived."""
        stage = self._stage
        while any(
            advance(
                stage.session, stage.clock, stage.hasher, journey_id=journey_id, above=self._first
            )
            for journey_id in self._journeys()
        ):
            self._deliver()

    def _journeys(self) -> Sequence[int]:
        """Return the journeys somebody is due in: ours, and those it calls."""
        query = select(E.journey_id).where(E.id > self._first, E.due_at <= self._stage.clock.now())
        return self._stage.session.scalars(query.distinct()).all()

    def _deliver(self) -> None:
        now = self._stage.clock.now()
        self._stage.session.execute(
            update(C)
            .where(C.id > self._stage.rows_after, C.status == Status.QUEUED)
            .values(status=Status.DELIVERED, rank=Rank.DELIVERED, sent_at=now, delivered_at=now)
            .execution_options(synchronize_session=False)
        )

    def _wake(self) -> None:
        """Look at everybody again: something has happened."""
        now = self._stage.clock.now()
        self._stage.session.execute(
            update(E)
            .where(E.id > self._first, E.status == EnrolmentStatus.ACTIVE)
            .values(due_at=now)
            .execution_options(synchronize_session=False)
        )

    def _next(self, start: datetime, coming: Sequence[WhatIf]) -> datetime | None:
        query = select(func.min(E.due_at)).where(E.id > self._first)
        due = self._stage.session.scalar(query)
        acts = [start + one.after for one in coming[:1]]
        return min([*acts, *([due] if due is not None else [])], default=None)

    def _read(self, found: Rehearsal) -> None:
        session = self._stage.session
        query = (
            select(EnrolmentStep, E.member_id, C.channel, C.status, C.reason, Template.name)
            .join(E, E.id == EnrolmentStep.enrolment_id)
            .outerjoin(C, C.id == EnrolmentStep.communication_id)
            .outerjoin(TemplateVersion, TemplateVersion.id == C.template_version_id)
            .outerjoin(Template, Template.id == TemplateVersion.template_id)
            .where(E.id > self._first)
            .order_by(EnrolmentStep.left_at, EnrolmentStep.enrolment_id, EnrolmentStep.visit)
        )
        rows: Iterator[Any] = iter(session.execute(query))
        for step, member_id, channel, status, reason, template in rows:
            sent = _said(status) if channel else None
            found.calendar.append(
                Happening(
                    member_id, step.left_at, step.step, step.way, step.why,
                    channel.value if channel else None, template, sent,
                    reason.value if reason else None,
                )
            )  # fmt: skip
        for one in session.scalars(select(E).where(E.id > self._first).order_by(E.id)):
            found.ends[one.member_id] = one.status.value
            if one.step is not None:
                why = {"held": one.held, "until": one.until and one.until.isoformat()}
                here = Happening(one.member_id, one.since, one.step, "", why)
                found.calendar.append(here)


def _said(status: Status) -> str:
    return "skipped" if status is Status.SKIPPED else "sent"


def _highest(session: Session, column: Any) -> int:
    return session.scalar(select(func.max(column))) or 0


def _copied(stage: Stage, ast: Ast) -> Machine:
    """Publish a copy of the journey that nobody else is in."""
    plan, missing = wordings(stage.session, stage.client_id, ast)
    if missing:
        raise PublishBlockedError(missing)
    now = stage.clock.now()
    copy = Journey(
        client_id=stage.client_id,
        name=f"\N{BULLET} rehearsal {stage.rows_after} {now.isoformat()}",
        status=JourneyStatus.ACTIVE,
        draft="",
        created_at=now,
        updated_at=now,
    )
    stage.session.add(copy)
    stage.session.flush()
    version = JourneyVersion(
        client_id=stage.client_id,
        journey_id=copy.id,
        number=1,
        text="",
        ast=to_json(ast),
        plan=plan.to_json(),
        created_at=now,
    )
    stage.session.add(version)
    stage.session.flush()
    copy.version_id = version.id
    stage.session.flush()
    return machine(stage.session, version.id)


def members_of(*member_ids: int) -> Cast:
    """Play these members."""

    def cast(stage: Stage) -> Sequence[int]:
        query = select(Member.id).where(
            Member.client_id == stage.client_id, Member.id.in_(member_ids)
        )
        return stage.session.scalars(query.order_by(Member.id)).all()

    return cast
