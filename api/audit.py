"""/audit: who did what, who looked at whom, and the chain that proves it."""

from collections.abc import Iterator
from typing import Any

from flask import Response, stream_with_context
from marshmallow import Schema, fields, validate

from accounts.audit import AuditSource, entries_page
from accounts.audit_chain import export_lines
from api.context import client_id, db, services
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.field import Instant
from api.schemas.page import PageQuery, page_of
from core.db import read

bp = Resource("audit", about="Who did what")
LINES = "application/jsonl"


class AuditQuery(PageQuery):
    """Which entries."""

    actor = fields.String(
        load_default=None,
        validate=validate.Length(max=64),
        metadata={"description": "`key:3`, `user:7`, `cli` or `system`"},
    )
    action = fields.String(
        load_default=None,
        validate=validate.Length(max=64),
        metadata={"description": "`campaign.launch`; all of a kind with a dot at the end: `read.`"},
    )
    target = fields.String(
        load_default=None,
        validate=validate.Length(max=64),
        metadata={"description": "`campaign:7`"},
    )
    from_ = Instant(data_key="from", load_default=None, metadata={"description": "not before"})
    to = Instant(load_default=None, metadata={"description": "before"})


class AuditEntrySchema(Schema):
    """One action of one actor."""

    id = fields.Integer(required=True)
    at = Instant(required=True)
    actor = fields.String(required=True)
    action = fields.String(required=True)
    target = fields.String(required=True, allow_none=True)
    source = fields.Enum(AuditSource, by_value=True, required=True)
    ip = fields.String(
        required=True, allow_none=True, metadata={"description": "the caller's network: /24, /48"}
    )
    before = fields.Dict(
        keys=fields.String(),
        required=True,
        allow_none=True,
        metadata={"description": "fields that changed, as they were; texts only as `changed`"},
    )
    after = fields.Dict(keys=fields.String(), required=True, allow_none=True)
    detail = fields.Dict(keys=fields.String(), required=True)
    seq = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "its place in the chain; none for the moment until it is sealed"},
    )
    hash = fields.String(required=True, allow_none=True)


@bp.get("/audit")
@bp.arguments(AuditQuery, location="query")
@bp.response(200, page_of(AuditEntrySchema))
def list_entries(query: dict[str, Any]) -> dict[str, Any]:
    """List what was done and who looked at people, newest first."""
    return paged(
        query,
        lambda before, limit: entries_page(
            db(),
            client_id(),
            actor=query["actor"],
            action=query["action"],
            target=query["target"],
            since=query["from_"],
            until=query["to"],
            before=before,
            limit=limit,
        ),
        by_id,
    )


@bp.get("/audit/export")
@bp.response(200, {"type": "string"}, content_type=LINES)
@bp.fresh
def export_chain() -> Response:
    """Download the whole chain as JSON lines; anybody can verify it without us."""
    return Response(
        stream_with_context(_lines(client_id())),
        mimetype=LINES,
        headers={"Content-Disposition": 'attachment; filename="audit.jsonl"'},
    )


def _lines(whose: int) -> Iterator[str]:
    with read(services().sessions) as session:
        for line in export_lines(session, whose):
            yield line + "\n"
