"""Occurrence: one due instant of one schedule, fired once however many schedulers tick.

A schedule is named by the caller (`campaign:12`); this package knows no campaign.
"""

import enum
from datetime import datetime

from sqlalchemy import Index, String, UniqueConstraint, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.clock import Clock
from core.db import Base, Id
from core.sql import insert_into

MAX_LATE_SECONDS = 7200
"""Two hours: what is found later than that is shown as missed."""


class OccurrenceState(enum.StrEnum):
    """What became of it."""

    PLANNED = "planned"
    FIRED = "fired"
    MISSED = "missed"  # found later than max_late allows: shown, never sent by itself
    CANCELLED = "cancelled"


class Occurrence(Base):
    """One due instant."""

    __tablename__ = "occurrences"
    __table_args__ = (
        UniqueConstraint("schedule_key", "occurrence_key"),
        Index(
            "ix_occurrences_due",
            "due_at",
            sqlite_where=text("state = 'planned'"),
            postgresql_where=text("state = 'planned'"),
        ),
    )

    id: Mapped[Id]
    schedule_key: Mapped[str] = mapped_column(String(80))
    occurrence_key: Mapped[str] = mapped_column(String(80))
    due_at: Mapped[datetime]
    max_late_seconds: Mapped[int] = mapped_column(default=MAX_LATE_SECONDS)
    state: Mapped[OccurrenceState] = mapped_column(default=OccurrenceState.PLANNED)
    fired_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


def plan(
    session: Session,
    clock: Clock,
    *,
    schedule_key: str,
    occurrence_key: str,
    due_at: datetime,
    max_late_seconds: int = MAX_LATE_SECONDS,
) -> Occurrence:
    """Plan one due instant and return it; planning it again changes nothing.

    One that was cancelled is planned anew; one that fired or was missed stays as it is.
    `schedule_key` is `kind:id`, where the kind names the handler; `occurrence_key` names the
    instant within it. Found more than `max_late_seconds` late, it does not fire.
    """
    session.execute(
        insert_into(session, Occurrence)
        .values(
            schedule_key=schedule_key,
            occurrence_key=occurrence_key,
            due_at=due_at,
            max_late_seconds=max_late_seconds,
            state=OccurrenceState.PLANNED,
            created_at=clock.now(),
        )
        .on_conflict_do_nothing(index_elements=["schedule_key", "occurrence_key"])
    )
    mine = (Occurrence.schedule_key == schedule_key, Occurrence.occurrence_key == occurrence_key)
    session.execute(
        update(Occurrence)
        .where(*mine, Occurrence.state == OccurrenceState.CANCELLED)
        .values(state=OccurrenceState.PLANNED, due_at=due_at, max_late_seconds=max_late_seconds)
        .execution_options(synchronize_session=False)
    )
    found = select(Occurrence).where(*mine).execution_options(populate_existing=True)
    return session.scalars(found).one()


def cancel(session: Session, schedule_key: str) -> int:
    """Cancel what a schedule still has planned; return how many instants."""
    cancelled = session.execute(
        update(Occurrence)
        .where(Occurrence.schedule_key == schedule_key, Occurrence.state == OccurrenceState.PLANNED)
        .values(state=OccurrenceState.CANCELLED)
        .returning(Occurrence.id)
        .execution_options(synchronize_session=False)
    )
    return len(cancelled.all())


def miss(session: Session, *, until: datetime, born: datetime | None = None) -> list[str]:
    """Give up what is planned up to `until`: it may have fired already, in a time that is lost.

    With `born`, only what was planned by then. Returns the schedules.
    """
    older = [] if born is None else [Occurrence.created_at <= born]
    missed = session.scalars(
        update(Occurrence)
        .where(Occurrence.state == OccurrenceState.PLANNED, Occurrence.due_at <= until, *older)
        .values(state=OccurrenceState.MISSED)
        .returning(Occurrence.schedule_key)
        .execution_options(synchronize_session=False)
    )
    return sorted(missed)


def occurrences(session: Session, schedule_key: str) -> list[Occurrence]:
    """Return a schedule's instants, earliest first."""
    query = select(Occurrence).where(Occurrence.schedule_key == schedule_key)
    return list(session.scalars(query.order_by(Occurrence.due_at, Occurrence.id)))
