"""Privacy: everything about one member, the ledger of consent, and what is to be forgotten."""

import enum
import json
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Any

from flask import Response, stream_with_context
from marshmallow import Schema, fields

from api.context import client_id, clock, db, principal, services
from api.exports import SEES
from api.members import ID
from api.openapi import Resource
from api.paging import all_of
from api.schemas.field import Instant
from api.schemas.page import page_of
from communications.dossier import dossier
from communications.dossier_file import Sections, as_csv, as_json, write_zip
from core.db import read
from members.consent_ledger import consent_rows
from webhooks.retention import Due, preview

bp = Resource("privacy", about="What is kept about people, and for how long")
JSON, ZIP, LINES, CSV = "application/json", "application/zip", "application/jsonl", "text/csv"
BLOCK = 1 << 16
BINARY = {"type": "string", "format": "binary"}
OBJECT = {"type": "object"}


class DossierFormat(enum.StrEnum):
    """What a member's file is written as."""

    JSON = "json"
    CSV = "csv"


class LedgerFormat(enum.StrEnum):
    """What the ledger is written as."""

    JSONL = "jsonl"
    CSV = "csv"


class DossierQuery(Schema):
    """As what."""

    format = fields.Enum(
        DossierFormat,
        by_value=True,
        load_default=DossierFormat.JSON,
        metadata={"description": "`csv` is a ZIP with a file for each section"},
    )


class LedgerQuery(Schema):
    """Whose consents, and as what."""

    format = fields.Enum(LedgerFormat, by_value=True, load_default=LedgerFormat.JSONL)


class DueSchema(Schema):
    """One class of data: how long it is kept, and what would be forgotten now."""

    name = fields.String(required=True)
    days = fields.Integer(required=True, metadata={"description": "for so long it is kept"})
    before = Instant(required=True, metadata={"description": "what is older is forgotten"})
    rows = fields.Integer(required=True)


@bp.get(f"/members/{ID}/export")
@bp.action("exports:write")
@bp.arguments(DossierQuery, location="query")
@bp.response(200, OBJECT, content_type=JSON)
@bp.doc(responses={200: {"content": {JSON: {"schema": OBJECT}, ZIP: {"schema": BINARY}}}})
@bp.fresh
def export_member(query: dict[str, Any], member_id: int) -> Response:
    """Download everything that is kept about a member, and about those merged into it.

    It takes `members:read` as well; the audit log is in it for who may read that.
    """
    principal().require(SEES)
    dossier(db(), services().content, client_id=client_id(), id=member_id)  # or there is none
    written, media = (_archive, ZIP) if query["format"] is DossierFormat.CSV else (_document, JSON)
    ending = media.rpartition("/")[2]
    return Response(
        stream_with_context(written(client_id(), member_id)),
        mimetype=media,
        headers={"Content-Disposition": f"attachment; filename=member-{member_id}.{ending}"},
    )


@bp.get("/consents/export")
@bp.action("exports:write")
@bp.arguments(LedgerQuery, location="query")
@bp.response(200, {"type": "string"}, content_type=LINES)
@bp.doc(
    responses={200: {"content": {each: {"schema": {"type": "string"}} for each in (LINES, CSV)}}}
)
@bp.fresh
def export_consents(query: dict[str, Any]) -> Response:
    """Download every yes and no of every member, with its source, wording and proof.

    It takes `members:read` as well.
    """
    principal().require(SEES)
    return _ledger(query["format"], None)


@bp.get(f"/members/{ID}/consents/export")
@bp.action("exports:write")
@bp.arguments(LedgerQuery, location="query")
@bp.response(200, {"type": "string"}, content_type=LINES)
@bp.doc(
    responses={200: {"content": {each: {"schema": {"type": "string"}} for each in (LINES, CSV)}}}
)
@bp.fresh
def export_member_consents(query: dict[str, Any], member_id: int) -> Response:
    """Download every yes and no of one member; it takes `members:read` as well."""
    principal().require(SEES)
    dossier(db(), services().content, client_id=client_id(), id=member_id)
    return _ledger(query["format"], member_id)


@bp.get("/retention/preview")
@bp.action("settings:read")
@bp.response(200, page_of(DueSchema))
def preview_retention() -> dict[str, list[Due] | None]:
    """Say how long each kind of data is kept, and how much of it would be forgotten now."""
    return all_of(preview(db(), clock(), client_id()))


def _seen(sections: Sections) -> Sections:
    """Leave the audit log out for who may not read it."""
    hidden = () if "audit:read" in principal().actions else ("audit_log",)
    return (one for one in sections if one[0] not in hidden)


def _document(whose: int, member_id: int) -> Iterator[str]:
    with read(services().sessions) as session:
        found = _seen(dossier(session, services().content, client_id=whose, id=member_id))
        yield from as_json(found, member_id=member_id, at=clock().now())


def _archive(whose: int, member_id: int) -> Iterator[bytes]:
    with TemporaryFile() as file:
        with read(services().sessions) as session:
            found = _seen(dossier(session, services().content, client_id=whose, id=member_id))
            write_zip(found, file)
        file.seek(0)
        while block := file.read(BLOCK):
            yield block


def _ledger(format: LedgerFormat, member_id: int | None) -> Response:
    whose = client_id()
    return Response(
        stream_with_context(_lines(format, whose, member_id)),
        mimetype=CSV if format is LedgerFormat.CSV else LINES,
        headers={"Content-Disposition": f"attachment; filename=consents.{format.value}"},
    )


def _lines(format: LedgerFormat, whose: int, member_id: int | None) -> Iterator[str]:
    with read(services().sessions) as session:
        rows = consent_rows(session, whose, member_id=member_id)
        if format is LedgerFormat.CSV:
            yield from as_csv(rows)
        else:
            yield from (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
