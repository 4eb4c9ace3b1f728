"""/imports: files of people, and what became of each row."""

import secrets
from pathlib import Path
from typing import Any

from flask import Response, stream_with_context
from marshmallow import Schema, fields, validate
from werkzeug.datastructures import FileStorage

from accounts.client import client
from api.context import actor, client_id, clock, db, principal, release, services
from api.exports import SEES
from api.members import rule_in
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.imports import ImportPreviewSchema, ImportSchema, RejectSchema, UploadSchema
from api.schemas.page import PageQuery, page_of
from members import queries
from members.exporting import ExportFormat, export_members
from members.import_job import (
    ImportJob,
    cancel_import,
    pause_import,
    queue_import,
    resume_import,
)
from members.importing import ImportOptions, ImportRun
from members.preview import Preview, preview
from members.rejects import rejects_csv
from members.source import format_of
from members.undo import undo_import

bp = Resource("imports", about="Files of people")
ID = "<int(min=1,max=9223372036854775807):import_id>"
MIMETYPES = {
    ExportFormat.CSV: "text/csv",
    ExportFormat.JSONL: "application/jsonl",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
}
FILE = {"type": "string", "format": "binary"}
FILES = {
    "description": "The file, in the format that was asked for.",
    "content": {kind: {"schema": FILE} for kind in MIMETYPES.values()},
}
AT_ONCE = 400_000
"""Bytes of a file that is imported while its sender waits: a second or two."""


@bp.post("/imports")
@bp.arguments(UploadSchema, location="files")
@bp.response(201, ImportSchema)
def upload(form: dict[str, Any]) -> ImportJob:
    """Import a CSV or XLSX file, or rehearse it with dry_run; unusable rows are listed.

    A file of up to 400 kB is imported before the answer. A larger one is queued: look at the
    import until its status is done, pause or cancel it meanwhile.
    """
    sent: FileStorage = form["file"]
    options: dict[str, Any] = form["options"]
    dry_run = options.pop("dry_run")
    kept = _saved(sent)
    at_once = kept.stat().st_size <= AT_ONCE
    job = queue_import(
        db(),
        clock(),
        client_id=client_id(),
        filename=sent.filename or "upload.csv",
        options=ImportOptions(**options),
        format=format_of(kept),
        dry_run=dry_run,
        kept_as=None if at_once else kept.name,
        actor=actor(),
    )
    release()
    if not at_once:
        services().bell.ring()
        return job
    try:
        run = ImportRun(services().sessions, clock(), services().hasher, job_id=job.id, path=kept)
        return run.to_the_end()
    finally:
        kept.unlink(missing_ok=True)


@bp.post("/imports/preview")
@bp.arguments(UploadSchema, location="files")
@bp.response(200, ImportPreviewSchema)
def look(form: dict[str, Any]) -> Preview:
    """Say what a file would be read as: encoding, header, and a guess for each column.

    Send it with the options of the import that is to come; nothing is imported or kept.
    """
    options: dict[str, Any] = form["options"]
    del options["dry_run"]
    country = options["country"] or client(db(), client_id()).country
    release()
    kept = _saved(form["file"])
    try:
        return preview(kept, ImportOptions(**options), country=country)
    finally:
        kept.unlink(missing_ok=True)


def _saved(sent: FileStorage) -> Path:
    """Keep a file under a name of our own: what the client calls it is only ever shown (B053)."""
    folder = services().settings.data_dir / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / secrets.token_hex(16)
    sent.save(kept)
    return kept


@bp.get("/imports")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(ImportSchema))
def list_imports(query: dict[str, Any]) -> dict[str, Any]:
    """List imports, newest first."""
    return paged(
        query,
        lambda before, limit: queries.imports_page(db(), client_id(), before=before, limit=limit),
        by_id,
    )


@bp.get(f"/imports/{ID}")
@bp.response(200, ImportSchema)
def get_import(import_id: int) -> ImportJob:
    """Show an import."""
    return queries.import_job(db(), client_id(), import_id)


@bp.post(f"/imports/{ID}/pause")
@bp.response(200, ImportSchema)
def pause(import_id: int) -> ImportJob:
    """Let an import rest after the rows it is at."""
    return pause_import(db(), client_id=client_id(), import_id=import_id)


@bp.post(f"/imports/{ID}/resume")
@bp.response(200, ImportSchema)
def resume(import_id: int) -> ImportJob:
    """Let a paused import go on where it rests."""
    job = resume_import(db(), client_id=client_id(), import_id=import_id)
    release()
    services().bell.ring()
    return job


@bp.post(f"/imports/{ID}/cancel")
@bp.response(200, ImportSchema)
def cancel(import_id: int) -> ImportJob:
    """End an import after the rows it is at; what was imported stays."""
    return cancel_import(db(), clock(), client_id=client_id(), import_id=import_id)


@bp.post(f"/imports/{ID}/undo")
@bp.response(200, ImportSchema)
def undo(import_id: int) -> ImportJob:
    """Take back what an import did, for a day, where nobody has touched it since.

    A worker does it: look at the import until its status is undone; `report.undo` says how many
    members were deleted, kept because somebody touched them, and given their former values.
    """
    job = undo_import(db(), clock(), client_id=client_id(), import_id=import_id)
    release()
    services().bell.ring()
    return job


@bp.get(f"/imports/{ID}/rejects")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(RejectSchema))
def list_rejects(query: dict[str, Any], import_id: int) -> dict[str, Any]:
    """List the rows that were not imported, in the order of the file."""
    queries.import_job(db(), client_id(), import_id)
    return paged(
        query,
        lambda after, limit: queries.import_rejects(
            db(), client_id(), import_id, after=after or 0, limit=limit
        ),
        by_id,
    )


@bp.get(f"/imports/{ID}/rejects.csv")
@bp.response(200, {"type": "string"}, content_type="text/csv")
@bp.fresh
def download_rejects(import_id: int) -> Response:
    """Download those rows as they were, with what is wrong behind them: mend and import again."""
    job = queries.import_job(db(), client_id(), import_id)
    return Response(
        stream_with_context(
            rejects_csv(services().sessions, client_id=job.client_id, import_id=job.id)
        ),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="rejects-{job.id}.csv"'},
    )


class ExportQuery(Schema):
    """Whom a file is to hold, and as what."""

    format = fields.Enum(ExportFormat, by_value=True, load_default=ExportFormat.CSV)
    match = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=10_000),
        metadata={"description": "a rule as text or JSON; everybody when not given"},
    )


@bp.get("/members/export")
@bp.action("exports:write")
@bp.arguments(ExportQuery, location="query")
@bp.response(200, FILE, content_type=MIMETYPES[ExportFormat.CSV])
@bp.doc(responses={200: FILES})
@bp.fresh
def export(query: dict[str, Any]) -> Response:
    """Download members as CSV, JSON lines or Parquet: a file that can be imported again.

    Its addresses are in clear, so it takes `members:read` as well.
    """
    principal().require(SEES)
    kind: ExportFormat = query["format"]
    parts = export_members(
        services().sessions,
        client_id=client_id(),
        format=kind,
        now=clock().now(),
        condition=rule_in(query["match"]),
    )
    return Response(
        stream_with_context(parts),
        mimetype=MIMETYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="members.{kind.value}"'},
    )
