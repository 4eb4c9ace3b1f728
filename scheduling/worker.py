"""Worker: a process that says it is alive, so that silence can be seen."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, UniqueConstraint, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.clock import Clock
from core.db import Base, Id
from core.sql import insert_into

BEAT_SECONDS = 10
"""How often a worker should say that it is alive."""
SILENT_SECONDS = 45
"""Older than that, a worker is taken for gone: it missed four beats."""
FORGET_SECONDS = 7 * 24 * 3600


class Worker(Base):
    """One process and its last heartbeat."""

    __tablename__ = "workers"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(80))
    """`host:pid:start`: unique even when a pid is used again."""
    roles: Mapped[list[str]] = mapped_column(default=list)
    """`web`, `worker`, `scheduler`."""
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What it counted since its start, for metrics; its meaning is the caller's."""


def beat(
    session: Session,
    clock: Clock,
    *,
    name: str,
    roles: Collection[str],
    started_at: datetime,
    report: Mapping[str, Any] | None = None,
) -> None:
    """Say that the process `name` is alive; drop those that have been silent for a week."""
    now = clock.now()
    new = insert_into(session, Worker).values(
        name=name,
        roles=sorted(roles),
        started_at=started_at,
        heartbeat_at=now,
        report=dict(report or {}),
    )
    session.execute(
        new.on_conflict_do_update(
            index_elements=["name"],
            set_={
                "heartbeat_at": now,
                "roles": new.excluded.roles,
                "report": new.excluded.report,
            },
        )
    )
    session.execute(
        delete(Worker)
        .where(Worker.heartbeat_at < now - timedelta(seconds=FORGET_SECONDS))
        .execution_options(synchronize_session=False)
    )


def leave(session: Session, *, name: str) -> None:
    """Take an orderly leave: the process is not missed afterwards."""
    session.execute(delete(Worker).where(Worker.name == name))


def workers(session: Session) -> list[Worker]:
    """Return every process that has not taken its leave, silent ones too, oldest first."""
    return list(session.scalars(select(Worker).order_by(Worker.id)))


def alive(session: Session, clock: Clock) -> list[Worker]:
    """Return the processes heard of in the last 45 seconds, oldest first."""
    since = clock.now() - timedelta(seconds=SILENT_SECONDS)
    query = select(Worker).where(Worker.heartbeat_at >= since).order_by(Worker.id)
    return list(session.scalars(query))
