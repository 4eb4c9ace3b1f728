"""Job: one view over long work, whatever it is: imports, bulk edits, exports.

There is no table of jobs. Each kind's own rows say where it stands; here they are told alike. A
list goes by each kind's own ids, newest first, and is merged by the time they were asked for.
"""

import enum
import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from communications.errors import JobNotFoundError
from communications.export import KEPT_FOR, Export, ExportOf, cancel_export
from core.clock import Clock
from members.bulk import BulkEdit, BulkStatus, cancel_bulk
from members.import_job import ImportJob, cancel_import
from members.undo import COUNTS


class JobKind(enum.StrEnum):
    """What is done."""

    IMPORT = "import"
    BULK_EDIT = "bulk_edit"
    EXPORT = "export"


class JobStatus(enum.StrEnum):
    """Where a job stands; each kind has some of these, by the same names."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNDOING = "undoing"
    UNDONE = "undone"
    EXPIRED = "expired"  # it was done; its file is no longer kept


OPEN = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.PAUSED)
"""What can be cancelled."""
COMPLETE = (JobStatus.DONE, JobStatus.UNDONE, JobStatus.EXPIRED)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is; None where nobody can tell."""

    done: int | None
    total: int | None
    percent: int | None


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of long work."""

    kind: JobKind
    row: Any
    """The import, bulk edit or export that it is."""
    progress: Progress
    counts: Mapping[str, int]
    """What became of how many so far."""

    @property
    def id(self) -> str:
        """The job's name: `import-12`."""
        return f"{self.kind}-{self.row.id}"

    @property
    def status(self) -> JobStatus:
        """Where it stands."""
        return JobStatus(self.row.status)

    @property
    def cancellable(self) -> bool:
        """Whether it can be cancelled."""
        return self.status in OPEN

    @property
    def finished_at(self) -> datetime | None:
        """When it came to its present end; None while something is still to be done."""
        if self.status is JobStatus.UNDOING:
            return None
        ended: datetime | None = getattr(self.row, "undone_at", None) or self.row.finished_at
        return ended

    @property
    def error(self) -> str | None:
        """Why it failed, or why there is nothing any longer of what it made."""
        broken = self.status in (JobStatus.FAILED, JobStatus.EXPIRED)
        return (self.row.error or KEPT_FOR) if broken else None


@dataclass(frozen=True, slots=True)
class Kind:
    """Where one kind of job is kept, and how it is told and cancelled."""

    model: Any
    progress: Callable[[Any], Progress]
    counts: tuple[str, ...]
    cancel: Callable[..., Any]
    named: str
    """What its cancel calls its id."""


def jobs_page(
    session: Session,
    client_id: int,
    *,
    kinds: Sequence[JobKind],
    status: JobStatus | None = None,
    before: Mapping[JobKind, int],
    limit: int = 50,
) -> list[Job]:
    """Return up to `limit` jobs of these kinds, newest first, older than each kind's `before`."""
    found = [
        _newest(session, client_id, kind, status=status, before=before.get(kind), limit=limit)
        for kind in kinds
    ]
    merged = heapq.merge(*found, key=lambda job: job.row.created_at, reverse=True)
    return [job for job, _ in zip(merged, range(limit), strict=False)]


def job(session: Session, client_id: int, kind: JobKind, number: int) -> Job:
    """Return the client's job. Raises JobNotFoundError."""
    model = KINDS[kind].model
    found = session.scalar(select(model).where(model.client_id == client_id, model.id == number))
    if found is None:
        raise JobNotFoundError(f"no job {kind}-{number}")
    return _told(kind, found)


def cancel_job(
    session: Session, clock: Clock, *, client_id: int, kind: JobKind, number: int
) -> Job:
    """End a job after the slice it is at, as its own cancel does: what was done stays.

    Raises JobNotFoundError, or the kind's own ConflictError when it has ended.
    """
    job(session, client_id, kind, number)
    about = KINDS[kind]
    return _told(kind, about.cancel(session, clock, client_id=client_id, **{about.named: number}))


def _newest(
    session: Session,
    client_id: int,
    kind: JobKind,
    *,
    status: JobStatus | None,
    before: int | None,
    limit: int,
) -> list[Job]:
    model = KINDS[kind].model
    query = select(model).where(model.client_id == client_id)
    if status is not None:
        query = query.where(model.status == status.value)
    if before is not None:
        query = query.where(model.id < before)
    return [
        _told(kind, row) for row in session.scalars(query.order_by(model.id.desc()).limit(limit))
    ]


def _told(kind: JobKind, row: Any) -> Job:
    about = KINDS[kind]
    counts = {name: getattr(row, name) for name in about.counts}
    return Job(kind, row, about.progress(row), counts)


def _part(row: Any, done: int, total: int | None) -> Progress:
    """Return `done` of `total`; all of it only when the job is complete."""
    if JobStatus(row.status) in COMPLETE:
        return Progress(done, done if total is None else total, 100)
    return Progress(done, total, min(99, 100 * done // total) if total else None)


def _of_import(row: ImportJob) -> Progress:
    undo = row.report.get("undo")
    if undo is not None:
        return _part(row, sum(undo[name] for name in COUNTS), None)
    return _part(row, row.rows, row.total)


def _of_bulk_edit(row: BulkEdit) -> Progress:
    if row.status is BulkStatus.UNDOING:
        return Progress(None, row.changed, None)
    if row.status is BulkStatus.UNDONE:
        return Progress(row.changed, row.changed, 100)
    return _part(row, row.changed + row.unchanged + row.failed, row.total)


def _of_export(row: Export) -> Progress:
    if JobStatus(row.status) in COMPLETE:
        return Progress(row.rows, row.rows, 100)
    counted = row.of is ExportOf.CLIENT and row.last_id
    return Progress(row.rows, row.last_id if counted else None, row.progress)


KINDS: Mapping[JobKind, Kind] = {
    JobKind.IMPORT: Kind(
        ImportJob,
        _of_import,
        ("rows", "created", "updated", "unchanged", "rejected"),
        cancel_import,
        "import_id",
    ),
    JobKind.BULK_EDIT: Kind(
        BulkEdit, _of_bulk_edit, ("changed", "unchanged", "failed"), cancel_bulk, "bulk_id"
    ),
    JobKind.EXPORT: Kind(Export, _of_export, ("rows",), cancel_export, "export_id"),
}
"""Every kind; the order is that of a cursor's numbers."""
