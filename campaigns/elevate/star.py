"""Star: what was earned on the path, when, and whether in practice; never taken away.

Invariants
    1. One star of one step is one row, however often it is earned.
    2. Nothing deletes a row.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import ForeignKey, SmallInteger, String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from campaigns.journeys.ast import Elevate
from core.clock import Clock
from core.db import Base, Id
from core.sql import insert_into

Key = tuple[Elevate, bool]


class Star(Base):
    """One star of one step."""

    __tablename__ = "stars"
    __table_args__ = (UniqueConstraint("client_id", "stage", "practice", "number"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    stage: Mapped[str] = mapped_column(String(16))
    practice: Mapped[bool]
    number: Mapped[int] = mapped_column(SmallInteger)
    """1, 2 or 3."""
    earned_at: Mapped[datetime]


def held_stars(session: Session, client_id: int) -> dict[Key, int]:
    """Return how many stars were earned, by step and whether in practice."""
    return held_by(session, [client_id]).get(client_id, {})


def held_by(session: Session, client_ids: Sequence[int]) -> dict[int, dict[Key, int]]:
    """Return the same for several clients, in one query."""
    query = (
        select(Star.client_id, Star.stage, Star.practice, func.max(Star.number))
        .where(Star.client_id.in_(client_ids))
        .group_by(Star.client_id, Star.stage, Star.practice)
    )
    held: dict[int, dict[Key, int]] = {}
    for client_id, stage, practice, number in session.execute(query):
        held.setdefault(client_id, {})[Elevate(stage), practice] = number
    return held


def starred(session: Session) -> list[int]:
    """Return the ids of the clients that have earned a star."""
    return list(session.scalars(select(Star.client_id).distinct().order_by(Star.client_id)))


def keep_stars(
    session: Session, clock: Clock, *, client_id: int, earned: Mapping[Key, int]
) -> list[tuple[Elevate, bool, int]]:
    """Write down what was earned; return what is new, to be celebrated once."""
    rows = [
        {
            "client_id": client_id,
            "stage": stage.value,
            "practice": practice,
            "number": number,
            "earned_at": clock.now(),
        }
        for (stage, practice), most in earned.items()
        for number in range(1, most + 1)
    ]
    if not rows:
        return []
    statement = insert_into(session, Star).on_conflict_do_nothing()
    new = session.execute(statement.returning(Star.stage, Star.practice, Star.number), rows)
    return sorted((Elevate(stage), practice, number) for stage, practice, number in new)
