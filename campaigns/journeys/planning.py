"""Planning: what publishing a text would change, what keeps it from it, and whom it touches."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from campaigns.errors import Finding
from campaigns.journeys import check
from campaigns.journeys.ast import Journey as Ast
from campaigns.journeys.comparison import Change, Comparison, compare, sentence
from campaigns.journeys.examine import examine
from campaigns.journeys.journey import (
    Journey,
    JourneyStatus,
    JourneyVersion,
    journey,
    journey_named,
    version_numbered,
)
from campaigns.journeys.json import from_json
from campaigns.journeys.machine import Machine
from campaigns.journeys.moving import Stand, standing
from campaigns.journeys.program import program
from campaigns.journeys.spelling import trigger
from campaigns.journeys.text import parse, read
from campaigns.journeys.wording import Wordings
from core.clock import Clock
from core.condition.ast import Everyone
from members.queries import count_rule


@dataclass(frozen=True, slots=True)
class Entrance:
    """A trigger, and how many members it would let in now, were it to happen to them."""

    when: str
    members: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a publish would do."""

    journey_id: int | None
    """None where it would be a new one."""
    name: str
    version: int
    """The number it would have; that of the present version where nothing changes."""
    changes: Sequence[Change]
    """Since the present version; of a new journey none."""
    problems: Sequence[Finding]
    """What keeps it from being published."""
    warnings: Sequence[check.Finding]
    inside: int
    """They stay on their version until they are moved."""
    stands: Sequence[Stand]
    """Where they stand, and at which step they would be after a move."""
    entrances: Sequence[Entrance]
    is_new: bool
    """Whether there is no version of it yet."""
    reopens: bool
    """Whether it was archived, and would take people again."""

    @property
    def says(self) -> str:
        """What would change, in words."""
        told = "a new journey" if self.is_new else sentence(self.changes)
        return f"takes people again; {told}" if self.reopens else told

    @property
    def stranded(self) -> list[Stand]:
        """Where somebody stands who would have no step after a move."""
        return [stand for stand in self.stands if stand.to is None]


def plan(
    session: Session, clock: Clock, *, client_id: int, text: str, journey_id: int | None = None
) -> Plan:
    """Return what publishing a text would do to a journey, or to the one of its name.

    Raises JourneyError for a text that cannot be read, JourneyNotFoundError.
    """
    reading = read(text)
    ast = reading.journey
    if journey_id is None:
        found = journey_named(session, client_id, ast.name)
    else:
        found = journey(session, client_id, journey_id)
    wordings, problems = examine(session, clock, client_id, ast, found)
    warnings = [
        one for one in check.findings(ast, reading.lines) if one.level is check.Level.WARNING
    ]
    draft = _machine(client_id, found, ast, wordings)
    whole = not any(one.code == "name_twice" for one in problems)
    stands = standing(session, draft) if found and whole else []
    number, changes = _since(session, found, draft) if whole else (0, ())
    return Plan(
        journey_id=found.id if found else None,
        name=ast.name,
        version=number,
        changes=changes,
        problems=problems,
        warnings=warnings,
        inside=sum(stand.people for stand in stands),
        stands=stands,
        entrances=[] if problems else _entrances(session, clock, client_id, ast),
        is_new=found is None or found.version_id is None,
        reopens=found is not None and found.status is JourneyStatus.ARCHIVED,
    )


def difference(
    session: Session, *, client_id: int, journey_id: int, older: int, newer: int | None = None
) -> Comparison:
    """Return what changed from one version, by its number, to another, or to the draft.

    Raises JourneyNotFoundError, JourneyError for a draft that cannot be read.
    """
    found = journey(session, client_id, journey_id)
    before = version_numbered(session, client_id, journey_id, older)
    if newer is None:
        return compare(from_json(before.ast), parse(found.draft))
    after = version_numbered(session, client_id, journey_id, newer)
    return compare(
        from_json(before.ast), from_json(after.ast),
        Wordings.from_json(before.plan), Wordings.from_json(after.plan),
    )  # fmt: skip


def _since(session: Session, found: Journey | None, draft: Machine) -> tuple[int, Sequence[Change]]:
    """Return the number it would have, and what changed since the present version."""
    if found is None or found.version_id is None:
        return 1, ()
    held = session.get_one(JourneyVersion, found.version_id)
    before = from_json(held.ast)
    wordings = Wordings.from_json(held.plan)
    changes = compare(before, draft.journey, wordings, draft.wordings).changes
    if before == draft.journey and wordings == draft.wordings:
        return held.number, changes
    last = select(func.max(JourneyVersion.number)).where(JourneyVersion.journey_id == found.id)
    return (session.scalar(last) or 0) + 1, changes


def _machine(client_id: int, found: Journey | None, ast: Ast, wordings: Wordings) -> Machine:
    """Return a draft as a version that nobody is on."""
    return Machine(
        client_id=client_id,
        journey_id=found.id if found else 0,
        campaign_id=0,
        version_id=0,
        journey=ast,
        program=program(ast),
        wordings=wordings,
    )


def _entrances(session: Session, clock: Clock, client_id: int, ast: Ast) -> list[Entrance]:
    now = clock.now()
    return [
        Entrance(trigger(one), count_rule(session, client_id, one.only or Everyone(), now))
        for one in ast.triggers
    ]
