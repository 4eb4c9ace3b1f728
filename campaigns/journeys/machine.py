"""Machine: one published version as its steps are taken, and what taking one can come to."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Text, cast, select
from sqlalchemy.orm import Session

from campaigns.journeys.ast import Journey
from campaigns.journeys.enrolment import EnrolmentStatus, Held, Walker
from campaigns.journeys.journey import Journey as StoredJourney
from campaigns.journeys.journey import JourneyVersion
from campaigns.journeys.json import from_json
from campaigns.journeys.program import NEXT, Node, Program, program
from campaigns.journeys.wording import Wordings
from core.address import AddressHasher
from core.clock import Clock
from core.rows import among

V = JourneyVersion
KNOWN = 256
"""So many versions a process remembers."""
LAG = timedelta(minutes=10)
"""Whoever is looked at so late at most goes by the journey's own time: a wait of a day is a day,
not a day and a queue. After a longer outage time begins anew: else all that is overdue would go at
once."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One version, ready to run."""

    client_id: int
    journey_id: int
    campaign_id: int
    version_id: int
    journey: Journey
    program: Program
    wordings: Wordings


def machine(session: Session, version_id: int) -> Machine:
    """Return a version's machine."""
    return machines(session, [version_id])[version_id]


def machines(session: Session, version_ids: Sequence[int]) -> dict[int, Machine]:
    """Return the machines of versions by id, in one statement.

    A process reads an AST once, about a millisecond, and knows it again by its text: an id says
    less, as a rehearsal takes back what it has made.
    """
    query = (
        select(
            V.id, V.client_id, V.journey_id, StoredJourney.campaign_id,
            cast(V.ast, Text).label("ast"), cast(V.plan, Text).label("plan"),
        )
        .join(StoredJourney, StoredJourney.id == V.journey_id)
        .where(among(session, V.id, sorted(set(version_ids))))
    )  # fmt: skip
    return {
        row.id: Machine(
            row.client_id, row.journey_id, row.campaign_id or 0, row.id, *_read(row.ast, row.plan)
        )
        for row in session.execute(query)
    }


@lru_cache(maxsize=KNOWN)
def _read(ast: str, plan: str) -> tuple[Journey, Program, Wordings]:
    journey = from_json(json.loads(ast))
    return journey, program(journey), Wordings.from_json(json.loads(plan))


@dataclass(frozen=True, slots=True)
class Go:
    """On by one of the step's ways."""

    way: str = NEXT
    why: Mapping[str, Any] = field(default_factory=dict)
    at: datetime | None = None
    """When, by the journey's time; None is as soon as they came."""
    communication_id: int | None = None


@dataclass(frozen=True, slots=True)
class Stay:
    """Not yet: looked at again at `due_at`, or when something happens."""

    held: Held
    due_at: datetime | None
    until: datetime | None = None
    """When the wait is over, whatever happens."""


@dataclass(frozen=True, slots=True)
class End:
    """Out of the journey."""

    status: EnrolmentStatus
    reason: str | None = None
    way: str = "exit"
    why: Mapping[str, Any] = field(default_factory=dict)


Outcome = Go | Stay | End


@dataclass(frozen=True, slots=True)
class Batch:
    """What a step is taken with: one transaction, one instant, one machine."""

    session: Session
    clock: Clock
    hasher: AddressHasher
    machine: Machine

    @property
    def now(self) -> datetime:
        """The instant it is taken at."""
        return self.clock.now()

    def moment(self, instant: datetime) -> datetime:
        """Return an instant of the past by the journey's time; now where it is long past."""
        now = self.now
        return instant if now - LAG <= instant <= now else now


Take = Callable[[Batch, Node[Any], Sequence[Walker]], Mapping[int, Outcome]]
"""Takes one step with everybody who stands at it; an outcome for each by enrolment id."""
