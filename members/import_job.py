"""ImportJob: one file of people, where its import stands, and what became of each of its rows.

```
queued → running ⇄ paused → done | failed | cancelled; within 24 hours → undoing → undone
```

Invariants
    1. rows = created + updated + unchanged + rejected, after every chunk.
    2. `rows` is also where the file is read on from: it moves in the transaction of each chunk, and
       only for the runner that holds the job.
"""

import enum
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, func, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.news import News
from accounts.outbox import Fact, publish
from core.clock import Clock
from core.db import Base, BigId, Id
from members.errors import ImportNotFoundError, ImportStateError
from members.options import ImportOptions, as_json

LEASE = timedelta(seconds=120)
"""A runner that has not stored a chunk for so long is taken for dead."""


class ImportStatus(enum.StrEnum):
    """Where an import stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNDOING = "undoing"
    UNDONE = "undone"


ENDED = (
    ImportStatus.DONE,
    ImportStatus.FAILED,
    ImportStatus.CANCELLED,
    ImportStatus.UNDOING,
    ImportStatus.UNDONE,
)
"""Nothing more is read of such a file."""


class ImportJob(Base):
    """One import. rows = created + updated + unchanged + rejected, always."""

    __tablename__ = "imports"
    __table_args__ = (Index(None, "client_id", "id"), Index(None, "status"))

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    actor: Mapped[str | None] = mapped_column(String(100))
    filename: Mapped[str] = mapped_column(String(255))
    format: Mapped[str] = mapped_column(String(16), default="csv")
    """`csv` or `xlsx`."""
    kept_as: Mapped[str | None] = mapped_column(String(64))
    """Name of the uploaded file in the data directory; None: its caller has it."""
    dry_run: Mapped[bool] = mapped_column(default=False)
    status: Mapped[ImportStatus] = mapped_column(default=ImportStatus.RUNNING)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Mapping, encoding, delimiter, consent block, how existing people are treated."""
    total: Mapped[int | None]
    """About how many rows the file has; None until somebody looked."""
    rows: Mapped[int] = mapped_column(default=0)
    created: Mapped[int] = mapped_column(default=0)
    updated: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)
    duplicates: Mapped[int] = mapped_column(default=0)
    """Of those updated and unchanged: rows about somebody whom an earlier row was about."""
    suppressed: Mapped[int] = mapped_column(default=0)
    """Of those not rejected: rows with an address that is suppressed, and stays so."""
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """When it has ended: `reasons`, the most frequent reasons of rejection with their counts."""
    error: Mapped[str | None] = mapped_column(Text)
    runner: Mapped[str | None] = mapped_column(String(64))
    """Who works on it; a random name for each time it is taken up."""
    leased_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]


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


def queue_import(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    filename: str,
    options: ImportOptions,
    format: str = "csv",
    dry_run: bool = False,
    kept_as: str | None = None,
    actor: str | None = None,
) -> ImportJob:
    """Note that a file is to be imported; whoever claims the job does it."""
    job = ImportJob(
        client_id=client_id,
        actor=actor,
        filename=filename.replace("\\", "/").rpartition("/")[2].replace("\x00", "")[:255],
        format=format,
        dry_run=dry_run,
        kept_as=kept_as,
        status=ImportStatus.QUEUED,
        options=as_json(options),
        created_at=clock.now(),
    )
    session.add(job)
    session.flush()
    return job


def claim(
    session: Session,
    clock: Clock,
    *,
    runner: str,
    id: int | None = None,
    names: Sequence[str] = (),
) -> int | None:
    """Take up an import that waits, or whose runner died; return its id, None when there is none.

    With `id` that one; without, the oldest whose file is kept under one of `names`.
    """
    now = clock.now()
    open_ = or_(
        ImportJob.status == ImportStatus.QUEUED,
        (ImportJob.status == ImportStatus.RUNNING) & (ImportJob.leased_until < now),
    )
    query = select(ImportJob.id).where(open_)
    query = query.where(ImportJob.kept_as.in_(names) if id is None else ImportJob.id == id)
    chosen = session.scalar(query.order_by(ImportJob.id).limit(1).with_for_update(skip_locked=True))
    if chosen is None:
        return None
    session.execute(
        update(ImportJob)
        .where(ImportJob.id == chosen)
        .values(
            status=ImportStatus.RUNNING,
            runner=runner,
            leased_until=now + LEASE,
            started_at=func.coalesce(ImportJob.started_at, now),
        )
        .execution_options(synchronize_session=False)
    )
    return chosen


def hold(
    session: Session, clock: Clock, *, id: int, runner: str, values: dict[str, Any] | None = None
) -> bool:
    """Store progress and stay the runner; False when somebody paused, cancelled or took it."""
    held = session.execute(
        update(ImportJob)
        .where(
            ImportJob.id == id,
            ImportJob.runner == runner,
            ImportJob.status == ImportStatus.RUNNING,
        )
        .values(leased_until=clock.now() + LEASE, **(values or {}))
        .returning(ImportJob.id)
        .execution_options(synchronize_session=False)
    )
    return held.scalar() is not None


def pause_import(session: Session, *, client_id: int, import_id: int) -> ImportJob:
    """Let an import rest after the chunk it is at. Raises ImportStateError when it has ended."""
    waiting = (ImportStatus.QUEUED, ImportStatus.RUNNING)
    return _turn(session, client_id, import_id, waiting, ImportStatus.PAUSED)


def resume_import(session: Session, *, client_id: int, import_id: int) -> ImportJob:
    """Let a paused import go on where it rested. Raises ImportStateError when it is not paused."""
    return _turn(session, client_id, import_id, (ImportStatus.PAUSED,), ImportStatus.QUEUED)


def cancel_import(session: Session, clock: Clock, *, client_id: int, import_id: int) -> ImportJob:
    """End an import after the chunk it is at; what was done stays. Raises ImportStateError."""
    open_ = (ImportStatus.QUEUED, ImportStatus.RUNNING, ImportStatus.PAUSED)
    job = _turn(session, client_id, import_id, open_, ImportStatus.CANCELLED)
    job.finished_at = clock.now()
    session.flush()
    tell_finished(session, clock, job)
    return job


def tell_finished(session: Session, clock: Clock, job: ImportJob) -> None:
    """Tell endpoints that an import is over, however it ended."""
    names = ("rows", "created", "updated", "unchanged", "rejected")
    data = {"id": job.id, "status": job.status.value, "dry_run": job.dry_run}
    counts = {name: getattr(job, name) for name in names}
    told = Fact(News.IMPORTED, f"import:{job.id}", clock.now(), data | counts)
    publish(session, clock.now(), client_id=job.client_id, facts=[told])


def _turn(
    session: Session,
    client_id: int,
    import_id: int,
    expected: tuple[ImportStatus, ...],
    to: ImportStatus,
) -> ImportJob:
    job = locked_import(session, client_id, import_id)
    if job.status not in expected:
        raise ImportStateError(
            f"the import is {job.status.value}",
            remedy="this can be done while it is " + " or ".join(one.value for one in expected),
        )
    job.status, job.runner, job.leased_until = to, None, None
    session.flush()
    return job


def locked_import(session: Session, client_id: int, import_id: int) -> ImportJob:
    """Return the client's import, which nobody else moves on meanwhile.

    Raises ImportNotFoundError.
    """
    job = session.scalar(
        select(ImportJob)
        .where(ImportJob.client_id == client_id, ImportJob.id == import_id)
        .with_for_update()
    )
    if job is None:
        raise ImportNotFoundError(f"no import {import_id}")
    return job
