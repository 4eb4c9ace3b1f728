"""Worker: a process that says it is alive, so that silence can be seen."""

from datetime import datetime

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Id


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
