"""/jobs: imports, bulk edits and exports alike: how far they are, what came of them, their end.

Who may see a kind by its own resource sees its jobs here; of other kinds there are none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.context import audit, client_id, clock, db, principal
from api.exports import link_of, require_for
from api.openapi import PREFIX, Resource
from api.paging import merged_page
from api.schemas.jobs import JobSchema, JobsQuery
from api.schemas.page import page_of
from communications import job as jobs
from communications.errors import JobNotFoundError
from communications.job import Job, JobKind

bp = Resource("jobs", about="Long work of every kind")
ID = "<string:job_id>"
NAME = re.compile(r"([a-z_]+)-([1-9][0-9]{0,17})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a kind of job is at home."""

    room: str
    """Of the actions that one needs."""
    path: str
    problems: str | None
    """The path, below its own, of what was left out."""
    left_out: str | None
    """The count that says whether anything was."""
    target: str


PLACES: Mapping[JobKind, Place] = {
    JobKind.IMPORT: Place("imports", "imports", "rejects", "rejected", "import"),
    JobKind.BULK_EDIT: Place("members", "bulk-edits", "errors", "failed", "bulk"),
    JobKind.EXPORT: Place("exports", "exports", None, None, "export"),
}


@bp.get("/jobs")
@bp.arguments(JobsQuery, location="query")
@bp.response(200, page_of(JobSchema))
def list_jobs(query: dict[str, Any]) -> dict[str, Any]:
    """List jobs of the kinds you may look at, newest first."""
    kinds = [kind for kind in _seen() if query["kind"] in (None, kind)]
    page = merged_page(
        query,
        list(JobKind),
        lambda edges, limit: jobs.jobs_page(
            db(),
            client_id(),
            kinds=kinds,
            status=query["status"],
            before={JobKind(kind): id for kind, id in edges.items()},
            limit=limit,
        ),
        lambda one: (one.kind, one.row.id),
    )
    return page | {"data": [shown(one) for one in page["data"]]}


@bp.get(f"/jobs/{ID}")
@bp.response(200, JobSchema)
def get(job_id: str) -> dict[str, Any]:
    """Show how far a job is, and what came of it."""
    return shown(jobs.job(db(), client_id(), *_named(job_id)))


@bp.post(f"/jobs/{ID}/cancel")
@bp.response(200, JobSchema)
def cancel(job_id: str) -> dict[str, Any]:
    """End a job after the slice it is at; what was done stays, and `result` counts it.

    It takes what beginning such a job takes: `imports:write`, `members:write`, `exports:write`, and
    `exports:client` for an export of everything.
    """
    kind, number = _named(job_id)
    place = PLACES[kind]
    principal().require(f"{place.room}:write")
    if kind is JobKind.EXPORT:
        require_for(jobs.job(db(), client_id(), kind, number).row.of)
    ended = jobs.cancel_job(db(), clock(), client_id=client_id(), kind=kind, number=number)
    audit(f"{place.target}:{number}")
    return shown(ended)


def _seen() -> list[JobKind]:
    """Return the kinds that the caller may look at."""
    return [kind for kind in JobKind if f"{PLACES[kind].room}:read" in principal().actions]


def _named(job_id: str) -> tuple[JobKind, int]:
    found = NAME.fullmatch(job_id)
    if found is None or found[1] not in _seen():
        raise JobNotFoundError(f"no job {job_id[:40]}")
    return JobKind(found[1]), int(found[2])


def shown(one: Job) -> dict[str, Any]:
    """Return a job as JobSchema shows it."""
    place, row = PLACES[one.kind], one.row
    resource = f"{PREFIX}/{place.path}/{row.id}"
    is_file = one.kind is JobKind.EXPORT
    left_out = one.counts.get(place.left_out or "", 0)
    names = ("id", "kind", "status", "progress", "cancellable", "finished_at")
    return {name: getattr(one, name) for name in names} | {
        "created_by": row.actor,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "result": {
            "resource": resource,
            "problems": f"{resource}/{place.problems}" if left_out else None,
            "download": link_of(row) if is_file else None,
            "counts": one.counts,
            "size": row.size if is_file else None,
            "sha256": row.sha256 if is_file else None,
        },
        "error": one.error and {"code": f"{one.kind}_{one.status}", "detail": one.error},
    }
