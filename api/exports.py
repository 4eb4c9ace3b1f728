"""/exports: files of people and messages, written by a worker and downloaded by a signed link."""

from base64 import b64encode
from datetime import timedelta
from typing import Any

from flask import send_file
from flask.wrappers import Response

from api.context import (
    actor,
    audit,
    client_id,
    clock,
    db,
    principal,
    ring_after_commit,
    services,
)
from api.openapi import OPEN, Resource, refusal
from api.paging import by_id, paged
from api.schemas.exports import (
    ExportSchema,
    FileQuery,
    MessagesFilterSchema,
    NewExportSchema,
    ReadyExportSchema,
)
from api.schemas.page import PageQuery, page_of
from communications import export as exports
from communications.errors import ExportGoneError, ExportNotFoundError
from communications.export import Export, ExportOf, ExportStatus
from communications.export_file import MEDIA
from core.condition.json import to_json
from core.log import get as logger
from members.exporting import ExportFormat
from members.known import understood

log = logger(__name__)
bp = Resource("exports", about="Files of people and messages")
ID = "<int(min=1,max=9223372036854775807):export_id>"
FOLDER = "exports"
PURPOSE = "export"
SEES = "members:read"
"""Who holds it sees addresses."""
HANDS_OVER = "exports:client"
"""Who holds it is given everything of a client."""
HOLDS = timedelta(hours=1)
AGAIN = "make another export: POST /api/v1/exports"
ANOTHER = "ask for another link: GET /api/v1/exports/{id}"
ZIP = "application/zip"
HEADERS = {
    "Repr-Digest": {
        "description": "`sha-256=:…:`, the SHA-256 of the whole file in base64 (RFC 9530).",
        "schema": {"type": "string"},
    },
    "Row-Count": {"description": "Rows in the file.", "schema": {"type": "integer"}},
}


@bp.post("/exports")
@bp.arguments(NewExportSchema)
@bp.response(202, ReadyExportSchema)
@bp.fresh
def start(data: dict[str, Any]) -> dict[str, Any]:
    """Queue an export; look at it until it is done. Addresses are masked for who may not see them.

    What there is now is in it. The file is deleted after seven days, and before that when somebody
    in it is erased. Of `client` it is a ZIP of JSON lines for each table, with a manifest.
    """
    of, chosen = data["of"], MessagesFilterSchema().dump(data.get("filter", {}))
    if "match" in data:
        chosen = {"rule": to_json(understood(db(), client_id(), data["match"]))}
    require_for(of)
    usual = ExportFormat.JSONL if of is ExportOf.CLIENT else ExportFormat.CSV
    export = exports.start_export(
        db(),
        clock(),
        client_id=client_id(),
        of=of,
        format=data.get("format", usual),
        chosen=chosen,
        masked=of is not ExportOf.CLIENT and (data["masked"] or SEES not in principal().actions),
        actor=actor(),
    )
    audit(f"export:{export.id}", of=of.value)
    ring_after_commit()
    return shown(export)


@bp.get("/exports")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(ExportSchema))
def list_exports(query: dict[str, Any]) -> dict[str, Any]:
    """List exports, newest first."""
    return paged(
        query,
        lambda before, limit: exports.exports_page(db(), client_id(), before=before, limit=limit),
        by_id,
    )


@bp.get(f"/exports/{ID}")
@bp.response(200, ReadyExportSchema)
def get(export_id: int) -> dict[str, Any]:
    """Show how far an export is, and once it is done, a link to its file.

    A file with addresses in clear has a link only for who holds `members:read`, one of everything
    only for who holds `exports:client`; people get one within ten minutes of a proof.
    """
    return shown(exports.export(db(), client_id(), export_id))


@bp.delete(f"/exports/{ID}")
@bp.response(204)
def delete(export_id: int) -> None:
    """Stop an export, or delete its file, at once."""
    found = exports.export(db(), client_id(), export_id)
    require_for(found.of)
    db().delete(found)
    audit(f"export:{export_id}")


@bp.get(f"/exports/{ID}/file")
@bp.action(OPEN)
@bp.arguments(FileQuery, location="query")
@bp.alt_response(
    200, description="The file.", content_type="application/octet-stream", headers=HEADERS
)
@bp.doc(responses={410: refusal(410)})
def download(query: dict[str, Any], export_id: int) -> Response:
    """Download the file of an export by its link: `token` is all it needs, for an hour."""
    numbers = services().signer.verify(PURPOSE, query["token"], 3)
    export = db().get(Export, export_id) if numbers and numbers[1] == export_id else None
    if numbers is None or export is None:
        raise ExportNotFoundError("this link does not lead to a file")
    if export.status is not ExportStatus.DONE:
        raise ExportGoneError(export.error or exports.KEPT_FOR, remedy=AGAIN)
    if numbers[2] < clock().now().timestamp():
        raise ExportGoneError("this link held for an hour", remedy=ANOTHER)
    log.info("export downloaded", client=export.client_id, export=export_id)
    whole = export.of is ExportOf.CLIENT
    answer = send_file(
        services().settings.data_dir.absolute() / FOLDER / export.kept_as,
        mimetype=ZIP if whole else MEDIA[export.format],
        as_attachment=True,
        download_name=f"{export.of}-{export.id}.{'zip' if whole else export.format}",
    )
    digest = b64encode(bytes.fromhex(export.sha256 or "")).decode()
    answer.headers |= {"Repr-Digest": f"sha-256=:{digest}:", "Row-Count": str(export.rows)}
    return answer


def require_for(of: ExportOf) -> None:
    """Raise ForbiddenError for who may neither begin nor end an export of this."""
    if of is ExportOf.CLIENT:
        principal().require(HANDS_OVER)


def link_of(export: Export) -> str | None:
    """Return a link to an export's file; None while there is none, or not for the caller."""
    needed = HANDS_OVER if export.of is ExportOf.CLIENT else SEES
    may = export.masked or needed in principal().actions
    if not (may and principal().fresh) or export.status is not ExportStatus.DONE:
        return None
    until = int((clock().now() + HOLDS).timestamp())
    token = services().signer.sign(PURPOSE, export.client_id, export.id, until)
    return f"{services().settings.public_url}/api/v1/exports/{export.id}/file?token={token}"


def shown(export: Export) -> dict[str, Any]:
    """Return an export as ReadyExportSchema shows it."""
    names = [name for name in ReadyExportSchema().fields if name not in ("link", "filter")]
    told = {name: getattr(export, name) for name in names}
    return told | {"chosen": export.chosen, "link": link_of(export)}
