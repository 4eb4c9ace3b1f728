"""Machine: one published version as its steps are taken, and what taking one can come to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from campaigns.journeys.ast import Journey
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, Held
from campaigns.journeys.journey import Journey as StoredJourney
from campaigns.journeys.journey import JourneyVersion
from campaigns.journeys.json import from_json
from campaigns.journeys.program import NEXT, Node, Program, program
from campaigns.journeys.wording import Wordings
from core.address import AddressHasher
from core.clock import Clock

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
    """Return a version's machine; its AST is read anew, about a millisecond."""
    version = session.get_one(JourneyVersion, version_id)
    stored = session.get_one(StoredJourney, version.journey_id)
    journey = from_json(version.ast)
    return Machine(
        client_id=version.client_id,
        journey_id=version.journey_id,
        campaign_id=stored.campaign_id or 0,
        version_id=version.id,
        journey=journey,
        program=program(journey),
        wordings=Wordings.from_json(version.plan),
    )


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


Take = Callable[[Batch, Node[Any], Sequence[Enrolment]], Mapping[int, Outcome]]
"""Takes one step with everybody who stands at it; an outcome for each by enrolment id."""
