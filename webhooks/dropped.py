"""DroppedEvents: events that a client's programs told and nobody could keep, counted by reason.

The collector answers 200 to a program whose event is bad, as Segment does: it would only send the
same again. So the reason is written down here, for people. One row a day, kind and reason holds the
count and the last of them: no flood of bad events fills the table, and no body is kept.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from threading import Lock

from sqlalchemy import ForeignKey, Index, String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.clock import Clock, ticking
from core.db import Base, BigId
from core.sql import insert_into

DAYS_KEPT = 30
"""Days of drops that are remembered."""
TALLIED_EVERY = 10.0
"""Seconds between two writes of one kind by a process."""


class DroppedEvents(Base):
    """The events of one kind that were dropped on one day (UTC) for one reason."""

    __tablename__ = "dropped_events"
    __table_args__ = (Index(None, "client_id", "last_at"),)

    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    """`track`, `identify`, …; `?` where it says none."""
    reason: Mapped[str] = mapped_column(String(32), primary_key=True)
    count: Mapped[int]
    key_id: Mapped[int | None] = mapped_column(BigId)
    """The API key that told the last of them."""
    message_id: Mapped[str | None] = mapped_column(String(100))
    """Of the last of them."""
    detail: Mapped[str] = mapped_column(String(300))
    """What is wrong with the last of them."""
    last_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Drop:
    """One event that is not kept; for the reason `trait` all but that trait is."""

    kind: str
    reason: str
    detail: str
    message_id: str | None = None
    key_id: int | None = None
    count: int = 1


def note_drops(session: Session, clock: Clock, *, client_id: int, drops: Iterable[Drop]) -> None:
    """Count drops, and forget those of long ago."""
    now = clock.now()
    rows: dict[tuple[str, str], dict[str, object]] = {}
    counts: dict[tuple[str, str], int] = {}
    for one in drops:
        key = (one.kind, one.reason)
        counts[key] = counts.get(key, 0) + one.count
        rows[key] = {
            "client_id": client_id,
            "day": now.date(),
            "kind": one.kind,
            "reason": one.reason,
            "count": counts[key],
            "key_id": one.key_id,
            "message_id": one.message_id and one.message_id[:100],
            "detail": one.detail[:300],
            "last_at": now,
        }
    if not rows:
        return
    session.execute(
        delete(DroppedEvents)
        .where(
            DroppedEvents.client_id == client_id,
            DroppedEvents.day < now.date() - timedelta(days=DAYS_KEPT),
        )
        .execution_options(synchronize_session=False)
    )
    held = DroppedEvents.__table__.c
    statement = insert_into(session, DroppedEvents)
    told = statement.excluded
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["client_id", "day", "kind", "reason"],
            set_={
                "count": held["count"] + told["count"],
                **{name: told[name] for name in ("key_id", "message_id", "detail", "last_at")},
            },
        ),
        [rows[key] for key in sorted(rows)],
    )


class Tally:
    """Counts drops of refused keys, and says rarely to write them: a flood makes no writes.

    The first is written at once, those of the next TALLIED_EVERY with the one after; a process that
    ends forgets what was not written.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[tuple[int | None, str, str], tuple[int, float]] = {}
        """Key, kind and reason → how many are not written, and when to write them."""

    def add(self, drop: Drop) -> Drop | None:
        """Count a drop; return all there are as one if it is time to write them."""
        name, now = (drop.key_id, drop.kind, drop.reason), ticking()
        with self._lock:
            held, due = self._held.get(name, (0, now))
            count = held + drop.count
            late = now >= due
            self._held[name] = (0, now + TALLIED_EVERY) if late else (count, due)
        return replace(drop, count=count) if late else None


def drops(session: Session, client_id: int, *, limit: int = 100) -> Sequence[DroppedEvents]:
    """Return what was dropped, the latest first."""
    query = select(DroppedEvents).where(DroppedEvents.client_id == client_id)
    return session.scalars(query.order_by(DroppedEvents.last_at.desc()).limit(limit)).all()
