"""ImportJob: one file of people, and what became of each of its rows."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigId, Id


class ImportStatus(enum.StrEnum):
    """Where an import stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class ImportJob(Base):
    """One import. rows = created + updated + unchanged + rejected, always."""

    __tablename__ = "imports"
    __table_args__ = (Index(None, "client_id", "id"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    filename: Mapped[str] = mapped_column(String(255))
    dry_run: Mapped[bool] = mapped_column(default=False)
    status: Mapped[ImportStatus] = mapped_column(default=ImportStatus.RUNNING)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Mapping, encoding, delimiter, consent block, how existing people are treated."""
    rows: Mapped[int] = mapped_column(default=0)
    created: Mapped[int] = mapped_column(default=0)
    updated: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class ImportReject(Base):
    """One row that was not imported: where, what, why, and the row itself."""

    __tablename__ = "import_rejects"
    __table_args__ = (Index(None, "import_id", "line"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    import_id: Mapped[int] = mapped_column(BigId, ForeignKey("imports.id"))
    line: Mapped[int]
    column: Mapped[str] = mapped_column(String(100))
    code: Mapped[str] = mapped_column(String(40))
    message: Mapped[str] = mapped_column(String(300))
    value: Mapped[str] = mapped_column(Text)
    original: Mapped[list[str]]
    """The cells of the row as they were read."""
