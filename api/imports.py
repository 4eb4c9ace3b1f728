"""/imports: files of people, and what became of each row."""

import csv
import io
import secrets
from collections.abc import Iterator
from typing import Any

from flask import Response, stream_with_context
from werkzeug.datastructures import FileStorage

from api.context import client_id, clock, db, release, services
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.imports import ImportSchema, RejectSchema, UploadSchema
from api.schemas.page import PageQuery, page_of
from core.db import read
from members import queries
from members.csv_file import Row
from members.import_job import ImportJob, ImportReject
from members.importing import ImportOptions, import_csv
from members.rejects import REJECT_COLUMNS, Reject, reject_line

bp = Resource("imports", about="Files of people")
ID = "<int(min=1,max=9223372036854775807):import_id>"
BATCH = 1000


@bp.post("/imports")
@bp.arguments(UploadSchema, location="files")
@bp.response(201, ImportSchema)
def upload(form: dict[str, Any]) -> ImportJob:
    """Import a CSV file, or rehearse it with dry_run; rows that cannot be used are listed."""
    sent: FileStorage = form["file"]
    options: dict[str, Any] = form["options"]
    dry_run = options.pop("dry_run")
    folder = services().settings.data_dir / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    # A name of our own: what the client calls its file is only ever shown (B053).
    kept = folder / f"{secrets.token_hex(16)}.csv"
    try:
        sent.save(kept)
        release()
        return import_csv(
            services().sessions,
            clock(),
            services().hasher,
            client_id=client_id(),
            path=kept,
            filename=sent.filename or "upload.csv",
            options=ImportOptions(**options),
            dry_run=dry_run,
        )
    finally:
        kept.unlink(missing_ok=True)


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
def download_rejects(import_id: int) -> Response:
    """Download those rows as they were, with what is wrong behind them: mend and import again."""
    job = queries.import_job(db(), client_id(), import_id)
    header = [str(name) for name in job.options.get("header", [])]
    return Response(
        stream_with_context(_lines(job.client_id, job.id, header)),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="rejects-{job.id}.csv"'},
    )


def _lines(client: int, import_id: int, header: list[str]) -> Iterator[str]:
    """Give the file batch by batch, so that its size does not matter."""
    yield _csv([[*header, *REJECT_COLUMNS]])
    after = 0
    while True:
        with read(services().sessions) as session:
            rows = queries.import_rejects(session, client, import_id, after=after, limit=BATCH)
        if not rows:
            return
        yield _csv([reject_line(len(header), _reject(row)) for row in rows])
        after = rows[-1].id


def _reject(row: ImportReject) -> Reject:
    cells = Row(line=row.line, cells=list(row.original))
    return Reject(cells, row.column, row.code, row.message, row.value)


def _csv(lines: list[list[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue()
