"""Progress: where each member stands among the nine steps, and how many stand where.

A step is done when the member fulfils its condition (stage.py), and in progress when a journey
brought them there.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns.elevate.rates import count
from campaigns.elevate.reached import member_reached, people_at
from campaigns.elevate.stage import STAGES
from campaigns.journeys.ast import Elevate
from core.clock import Clock
from core.condition.text import parse
from members.member import Member
from members.queries import meant, member


class Standing(StrEnum):
    """How far a member is with a step."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class MemberStage:
    """One member and one step."""

    stage: Elevate
    standing: Standing
    reached_at: datetime | None
    """When a journey first brought them there."""
    criterion: str
    """The condition that makes it done."""


@dataclass(frozen=True, slots=True)
class StagePeople:
    """How many members stand at one step."""

    stage: Elevate
    reached: int
    """Members whom a journey brought there."""
    done: int


def member_stages(
    session: Session, clock: Clock, *, client_id: int, member_id: int
) -> list[MemberStage]:
    """Return how far a member is with each of the nine. Raises MemberNotFoundError.

    Cost: nine small queries and one for the journeys.
    """
    found = member(session, client_id, member_id)
    reached = member_reached(session, client_id, found.id)
    return [
        MemberStage(
            stage,
            _standing(_is_done(session, clock, client_id, found.id, one.done), stage in reached),
            reached.get(stage),
            one.done,
        )
        for stage, one in STAGES.items()
    ]


def stage_people(session: Session, clock: Clock, *, client_id: int) -> list[StagePeople]:
    """Return the nine steps with their people: one count over the client's members for each."""
    reached = people_at(session, client_id)
    return [
        StagePeople(
            stage, reached.get(stage, 0), count(session, clock, one.done, client_id=client_id)
        )
        for stage, one in STAGES.items()
    ]


def _is_done(session: Session, clock: Clock, client_id: int, id: int, condition: str) -> bool:
    rule = meant(session, client_id, parse(condition), clock.now())
    return session.scalar(select(Member.id).where(Member.id == id, *rule)) is not None


def _standing(done: bool, reached: bool) -> Standing:
    if done:
        return Standing.DONE
    return Standing.IN_PROGRESS if reached else Standing.OPEN
