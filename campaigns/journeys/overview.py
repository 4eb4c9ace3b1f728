"""Overview: a client's journeys, and how many are inside each."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus
from campaigns.journeys.journey import Journey, JourneyStatus, JourneyVersion
from campaigns.journeys.people import INSIDE

E = Enrolment


@dataclass(frozen=True, slots=True)
class Headcount:
    """How many are inside a journey."""

    inside: int = 0
    stuck: int = 0


def headcounts(session: Session, journey_ids: Sequence[int]) -> dict[int, Headcount]:
    """Return how many are inside each journey, and how many of them are stuck."""
    stuck = func.count().filter(E.status == EnrolmentStatus.STUCK)
    query = (
        select(E.journey_id, func.count(), stuck)
        .where(E.journey_id.in_(journey_ids), E.status.in_(INSIDE))
        .group_by(E.journey_id)
    )
    found = {id: Headcount(inside, halted) for id, inside, halted in session.execute(query)}
    return {id: found.get(id, Headcount()) for id in journey_ids}


def version_numbers(session: Session, found: Sequence[Journey]) -> dict[int, int | None]:
    """Return the number of the version that members enter by journey id; None for none."""
    ids = [one.version_id for one in found if one.version_id is not None]
    query = select(JourneyVersion.id, JourneyVersion.number).where(JourneyVersion.id.in_(ids))
    numbers = {row.id: row.number for row in session.execute(query)} if ids else {}
    return {one.id: numbers.get(one.version_id or 0) for one in found}


def journeys_page(
    session: Session,
    client_id: int,
    *,
    status: JourneyStatus | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[Journey]:
    """Return up to `limit` journeys after id `after`, oldest first."""
    query = select(Journey).where(Journey.client_id == client_id, Journey.id > after)
    if status is not None:
        query = query.where(Journey.status == status)
    return list(session.scalars(query.order_by(Journey.id).limit(limit)))
