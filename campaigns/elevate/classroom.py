"""Classroom: the clients a user teaches, and how far each has come on the path."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from accounts.client import Client
from accounts.key import ApiKey
from accounts.user import ClientRole, Role, UserStatus
from campaigns.elevate.star import Star, held_by
from campaigns.journeys.ast import Elevate
from campaigns.journeys.journey import Journey
from core.clock import Clock

TEACHES = (Role.ADMIN, Role.MANAGER)
STUCK = timedelta(days=7)
"""Without a new star, and the path not done."""


@dataclass(frozen=True, slots=True)
class Student:
    """One client a user teaches."""

    client_id: int
    name: str
    stars: Mapping[Elevate, int]
    """Earned with real messages; steps without any are left out."""
    practice: Mapping[Elevate, int]
    current: Elevate | None
    """The first step without a star of either kind; None when all have one."""
    last_star_at: datetime | None
    last_active: datetime | None
    stuck: bool


def classroom(session: Session, clock: Clock, *, user_id: int) -> list[Student]:
    """Return the clients at which a user is admin or manager, by name; four queries in all."""
    query = (
        select(Client)
        .join(ClientRole, ClientRole.client_id == Client.id)
        .where(
            ClientRole.user_id == user_id,
            ClientRole.role.in_(TEACHES),
            ClientRole.status == UserStatus.ACTIVE,
            Client.deleted_at.is_(None),
        )
        .order_by(Client.name, Client.id)
    )
    found = session.scalars(query).all()
    ids = [one.id for one in found]
    held, starred, active = held_by(session, ids), _starred(session, ids), _active(session, ids)
    return [
        _student(clock.now(), one, held.get(one.id, {}), starred.get(one.id), active.get(one.id))
        for one in found
    ]


def _student(
    now: datetime,
    one: Client,
    held: Mapping[tuple[Elevate, bool], int],
    starred: datetime | None,
    active: datetime | None,
) -> Student:
    done = {stage for stage, _ in held}
    current = next((stage for stage in Elevate if stage not in done), None)
    return Student(
        client_id=one.id,
        name=one.name,
        stars={stage: number for (stage, practice), number in held.items() if not practice},
        practice={stage: number for (stage, practice), number in held.items() if practice},
        current=current,
        last_star_at=starred,
        last_active=active,
        stuck=current is not None and now - (starred or one.created_at) > STUCK,
    )


def _starred(session: Session, ids: list[int]) -> dict[int, datetime]:
    query = select(Star.client_id, func.max(Star.earned_at)).where(Star.client_id.in_(ids))
    return {row[0]: row[1] for row in session.execute(query.group_by(Star.client_id))}


def _active(session: Session, ids: list[int]) -> dict[int, datetime]:
    """Return when somebody last worked there: used a key, or changed a journey."""
    keys = select(ApiKey.client_id.label("id"), func.max(ApiKey.last_used_at).label("at"))
    drafts = select(Journey.client_id.label("id"), func.max(Journey.updated_at).label("at"))
    last: dict[int, datetime] = {}
    for query in (
        keys.where(ApiKey.client_id.in_(ids)).group_by(ApiKey.client_id),
        drafts.where(Journey.client_id.in_(ids)).group_by(Journey.client_id),
    ):
        for id, at in session.execute(query):
            if at is not None:
                last[id] = max(at, last.get(id, at))
    return last
