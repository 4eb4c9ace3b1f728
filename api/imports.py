"""/imports: files of people, and what became of each row."""

import json
import secrets
from typing import Any

from marshmallow import Schema, fields, validate
from werkzeug.datastructures import FileStorage

from api.context import client_id, clock, db, release, services
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.member import ImportSchema, RejectSchema
from api.schemas.page import PageQuery, page_of
from core.errors import InvalidError
from members import queries
from members.importing import ImportOptions, import_csv
from members.upsert import Existing

bp = Resource("imports", about="Files of people")
ID = "<int(min=1,max=9223372036854775807):import_id>"


class UploadSchema(Schema):
    """The file."""

    file = fields.Raw(required=True, metadata={"type": "string", "format": "binary"})


class UploadOptionsSchema(Schema):
    """How it is read."""

    dry_run = fields.Boolean(load_default=False)
    existing = fields.Enum(Existing, by_value=True, load_default=Existing.FILL)
    mapping = fields.String(
        load_default="{}", metadata={"description": "JSON: header → field or null"}
    )
    encoding = fields.String(load_default=None, validate=validate.Length(max=20))
    consent_channels = fields.String(
        load_default="", metadata={"description": "channels everybody agreed to: `email,sms`"}
    )
    consent_wording = fields.String(load_default=None, validate=validate.Length(max=2000))


@bp.post("/imports")
@bp.arguments(UploadSchema, location="files")
@bp.arguments(UploadOptionsSchema, location="query")
@bp.response(201, ImportSchema)
def upload(files: dict[str, Any], options: dict[str, Any]) -> Any:
    """Import a CSV file, or rehearse it with dry_run."""
    sent: FileStorage = files["file"]
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
            options=_options(options),
            dry_run=options["dry_run"],
        )
    finally:
        kept.unlink(missing_ok=True)


def _options(options: dict[str, Any]) -> ImportOptions:
    try:
        mapping = json.loads(options["mapping"])
    except ValueError:
        mapping = None
    if not isinstance(mapping, dict) or not all(
        value is None or isinstance(value, str) for value in mapping.values()
    ):
        raise InvalidError("mapping is no JSON object of texts", field="mapping")
    channels = [one.strip() for one in options["consent_channels"].split(",") if one.strip()]
    if not set(channels) <= {"email", "sms", "push"}:
        raise InvalidError(
            "consent_channels holds an unknown channel",
            field="consent_channels",
            remedy="use email, sms and push",
        )
    return ImportOptions(
        mapping=mapping,
        existing=options["existing"],
        encoding=options["encoding"],
        consent_channels=channels,
        consent_wording=options["consent_wording"],
    )


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
def get(import_id: int) -> Any:
    """Show an import."""
    return queries.import_job(db(), client_id(), import_id)


@bp.get(f"/imports/{ID}/rejects")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(RejectSchema))
def rejects(query: dict[str, Any], import_id: int) -> dict[str, Any]:
    """List the rows that were not imported, in the order of the file."""
    queries.import_job(db(), client_id(), import_id)
    return paged(
        query,
        lambda after, limit: queries.import_rejects(
            db(), client_id(), import_id, after=after or 0, limit=limit
        ),
        by_id,
    )
