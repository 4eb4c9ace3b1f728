"""Export: a file of people or messages, or of all there is, written by a worker, kept for a week.

Each slice is appended to the file, forced to disk, and then noted with the file's new length in one
transaction. After a crash the file is cut to the length that was noted, and goes on from there.
The archive of a whole client is one look at the database and begins anew (client_export.py).

```
queued → running → done → expired | failed | cancelled
```

Invariants
    1. Every row up to the newest at the time of asking is in the file once.
    2. `sha256` and `size` are those of the file as it can be downloaded.
    3. No file that holds somebody outlives their erasure (members/exported.py).
"""

import enum
import os
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ForeignKey, Index, String, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from communications.communication import Communication
from communications.errors import ExportNotFoundError, ExportStateError
from communications.export_file import check_format, encoded
from communications.export_rows import Slice, message_slice, people_slice
from core.clock import Clock
from core.db import Base, BigId, Id
from members.exporting import ExportFormat
from members.member import Member
from members.upsert import take_turn

SLICE = 2_000
"""Rows of one transaction: some 100 ms."""
KEPT = timedelta(days=7)
KEPT_FOR = "its file was kept for seven days"
GONE = "its file is gone"


class ExportOf(enum.StrEnum):
    """What is exported."""

    MEMBERS = "members"
    COMMUNICATIONS = "communications"
    CLIENT = "client"  # everything that is stored of the client, as a ZIP


class ExportStatus(enum.StrEnum):
    """Where an export stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # its file was deleted after a week, or because it held somebody erased


GOING = (ExportStatus.QUEUED, ExportStatus.RUNNING)
SLICES = {ExportOf.MEMBERS: people_slice, ExportOf.COMMUNICATIONS: message_slice}
MODELS: dict[ExportOf, Any] = {
    ExportOf.MEMBERS: Member,
    ExportOf.COMMUNICATIONS: Communication,
}


class Export(Base):
    """One export of one client."""

    __tablename__ = "exports"
    __table_args__ = (Index(None, "client_id", "id"), Index(None, "status"))

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    actor: Mapped[str | None] = mapped_column(String(100))
    of: Mapped[ExportOf]
    format: Mapped[ExportFormat]
    chosen: Mapped[dict[str, Any]]
    """Which: `{"rule": condition}` of members, columns with their values of messages."""
    masked: Mapped[bool]
    """Whether addresses are shown as `a***@e***.com`."""
    status: Mapped[ExportStatus] = mapped_column(default=ExportStatus.QUEUED)
    error: Mapped[str | None] = mapped_column(String(300))
    """Why it failed, or why its file was not kept for a week."""
    last_id: Mapped[int] = mapped_column(BigId)
    """The newest row when it was asked for: later ones are not in it. Of a client's archive: how
    many rows there were when it was begun."""
    position: Mapped[int] = mapped_column(BigId, default=0)
    """The last row that is in the file; of a client's archive, how many are."""
    rows: Mapped[int] = mapped_column(BigId, default=0)
    size: Mapped[int] = mapped_column(BigId, default=0)
    """Bytes of the file so far."""
    sha256: Mapped[str | None] = mapped_column(String(64))
    kept_as: Mapped[str] = mapped_column(String(40))
    """The file's name in the data directory; random, and another when it begins anew."""
    leased_until: Mapped[datetime | None]
    """Of a client's archive: its worker is believed alive until then."""
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]

    @property
    def progress(self) -> int:
        """How far it is, in percent of the ids to look at."""
        if self.status in (ExportStatus.DONE, ExportStatus.EXPIRED):
            return 100
        return min(99, 100 * self.position // self.last_id) if self.last_id else 0


def start_export(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    of: ExportOf,
    format: ExportFormat,
    chosen: Mapping[str, Any],
    masked: bool = False,
    actor: str | None = None,
) -> Export:
    """Queue an export. Raises ExportFormatError for Parquet without pyarrow."""
    check_format(format)
    # An erasure that is under way finds it, or is over before it reads anything.
    take_turn(session, client_id)
    export = Export(
        client_id=client_id,
        actor=actor,
        of=of,
        format=format,
        chosen=dict(chosen),
        masked=masked,
        last_id=_newest(session, client_id, of),
        kept_as=secrets.token_hex(16),
        created_at=clock.now(),
    )
    session.add(export)
    session.flush()
    return export


def _newest(session: Session, client_id: int, of: ExportOf) -> int:
    model = MODELS.get(of)
    if model is None:
        return 0
    return session.scalar(select(func.max(model.id)).where(model.client_id == client_id)) or 0


def cancel_export(session: Session, clock: Clock, *, client_id: int, export_id: int) -> Export:
    """End an export after the slice it is at; the part of the file that was written is deleted.

    Raises ExportNotFoundError, or ExportStateError when it has ended.
    """
    found = export(session, client_id, export_id, lock=True)
    if found.status not in GOING:
        raise ExportStateError(
            f"the export is {found.status.value}",
            remedy="delete it, if its file is to go" if found.status is ExportStatus.DONE else None,
        )
    found.status, found.finished_at = ExportStatus.CANCELLED, clock.now()
    session.flush()
    return found


def export(session: Session, client_id: int, export_id: int, *, lock: bool = False) -> Export:
    """Return the client's export, with `lock` for this transaction's own.

    Raises ExportNotFoundError.
    """
    query = select(Export).where(Export.client_id == client_id, Export.id == export_id)
    found = session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise ExportNotFoundError(f"no export {export_id}")
    return found


def exports_page(
    session: Session, client_id: int, *, before: int | None = None, limit: int = 50
) -> list[Export]:
    """Return up to `limit` exports, newest first, older than id `before`."""
    query = select(Export).where(Export.client_id == client_id)
    if before is not None:
        query = query.where(Export.id < before)
    return list(session.scalars(query.order_by(Export.id.desc()).limit(limit)))


def waiting(session: Session) -> bool:
    """Say whether any client's export waits for a worker, or has one."""
    return session.scalar(select(Export.id).where(Export.status.in_(GOING)).limit(1)) is not None


def next_export(session: Session) -> Export | None:
    """Return the oldest export that is written in slices, for this transaction's own."""
    sliced = (Export.status.in_(GOING), Export.of != ExportOf.CLIENT)
    query = select(Export).where(*sliced).order_by(Export.id).limit(1)
    return session.scalar(query.with_for_update(skip_locked=True))


def write_slice(session: Session, clock: Clock, export: Export, part: Path) -> bool:
    """Append the next rows to the file; say whether there may be more.

    A file that is shorter than was noted is gone or another's, and fails the export.
    """
    if export.size and (not part.is_file() or part.stat().st_size < export.size):
        export.status, export.error = ExportStatus.FAILED, GONE
        export.finished_at = clock.now()
        return True
    found: Slice = SLICES[export.of](session, clock, export, SLICE)
    data = encoded(export.format, found, first=not export.size)
    with part.open("r+b" if export.size else "wb") as file:
        file.truncate(export.size)
        file.seek(export.size)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    export.status, export.started_at = ExportStatus.RUNNING, export.started_at or clock.now()
    export.size += len(data)
    export.rows += len(found.rows)
    export.position = found.last or export.position
    return len(found.rows) == SLICE


def mark_done(
    session: Session, clock: Clock, export_id: int, *, kept_as: str, size: int, sha256: str
) -> None:
    """Note that the file can be downloaded, unless it was cancelled or begun anew meanwhile."""
    now = clock.now()
    session.execute(
        update(Export)
        .where(
            Export.id == export_id,
            Export.status == ExportStatus.RUNNING,
            Export.kept_as == kept_as,
        )
        .values(
            status=ExportStatus.DONE,
            size=size,
            sha256=sha256,
            leased_until=None,
            finished_at=now,
            expires_at=now + KEPT,
        )
    )


def mark_failed(session: Session, clock: Clock, export_id: int, *, reason: str) -> None:
    """Note that an export cannot be written, and why."""
    session.execute(
        update(Export)
        .where(Export.id == export_id, Export.status.in_(GOING))
        .values(status=ExportStatus.FAILED, error=reason[:300], finished_at=clock.now())
    )


def expire_exports(session: Session, clock: Clock) -> None:
    """Note that the files of a week ago are no longer kept."""
    session.execute(
        update(Export)
        .where(Export.status == ExportStatus.DONE, Export.expires_at <= clock.now())
        .values(status=ExportStatus.EXPIRED)
    )


def kept_names(session: Session) -> set[str]:
    """Return the names of all files that are still wanted."""
    wanted = (*GOING, ExportStatus.DONE)
    return set(session.scalars(select(Export.kept_as).where(Export.status.in_(wanted))))
