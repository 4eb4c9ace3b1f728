"""Occurrence: one due instant of one schedule, fired once however many schedulers tick.

A schedule is named by the caller (`campaign:12`); this package knows no campaign.
"""

import enum
from datetime import datetime

from sqlalchemy import Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Id


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
    max_late_seconds: Mapped[int] = mapped_column(default=7200)
    state: Mapped[OccurrenceState] = mapped_column(default=OccurrenceState.PLANNED)
    fired_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
