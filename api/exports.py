"""/exports: files of people and messages, written by a worker and downloaded by a signed link."""

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
from api.openapi import OPEN, Resource
from api.paging import by_id, paged
from api.schemas.exports import ExportSchema, FileQuery, NewExportSchema, ReadyExportSchema
from api.schemas.page import PageQuery, page_of
from communications import export as exports
from communications.errors import ExportNotFoundError
from communications.export import Export, ExportOf, ExportStatus
from communications.export_file import MEDIA
from core.condition.json import to_json
from core.log import get as logger
from members.known import understood

log = logger(__name__)
bp = Resource("exports", about="Files of people and messages")
ID = "<int(min=1,max=9223372036854775807):export_id>"
FOLDER = "exports"
PURPOSE = "export"
SEES = "members:read"
"""Who holds it sees addresses."""
HOLDS = timedelta(hours=1)
FILE = {"schema": {"type": "string", "format": "binary"}}


@bp.post("/exports")
@bp.arguments(NewExportSchema)
@bp.response(202, ReadyExportSchema)
def start(data: dict[str, Any]) -> dict[str, Any]:
    """Queue an export; look at it until it is done. Addresses are masked for who may not see them.

    What there is now is in it. The file is deleted after seven days.
    """
    if data["of"] is ExportOf.COMMUNICATIONS:
        chosen = data.get("filter", {})
    else:
        chosen = (
            {"rule": to_json(understood(db(), client_id(), data["match"]))}
            if "match" in data
            else {}
        )
    export = exports.start_export(
        db(),
        clock(),
        client_id=client_id(),
        of=data["of"],
        format=data["format"],
        chosen=chosen,
        masked=data["masked"] or SEES not in principal().actions,
        actor=actor(),
    )
    audit("export.start", f"export:{export.id}")
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

    A file with addresses in clear has a link only for who holds `members:read`.
    """
    return shown(exports.export(db(), client_id(), export_id))


@bp.delete(f"/exports/{ID}")
@bp.response(204)
def delete(export_id: int) -> None:
    """Stop an export, or delete its file, at once."""
    db().delete(exports.export(db(), client_id(), export_id))
    audit("export.delete", f"export:{export_id}")


@bp.get(f"/exports/{ID}/file")
@bp.action(OPEN)
@bp.arguments(FileQuery, location="query")
@bp.alt_response(200, description="The file.", content_type="application/octet-stream")
def download(query: dict[str, Any], export_id: int) -> Response:
    """Download the file of an export by its link: `token` is all it needs, for an hour."""
    numbers = services().signer.verify(PURPOSE, query["token"], 3)
    now = clock().now()
    export = db().get(Export, export_id) if numbers and numbers[1] == export_id else None
    if export is None or numbers is None or numbers[2] < now.timestamp() or not _there(export):
        raise ExportNotFoundError("this link does not lead to a file, or not any longer")
    log.info("export downloaded", client=export.client_id, export=export_id)
    return send_file(
        services().settings.data_dir.absolute() / FOLDER / export.kept_as,
        mimetype=MEDIA[export.format],
        as_attachment=True,
        download_name=f"{export.of}-{export.id}.{export.format}",
    )


def _there(export: Export) -> bool:
    return export.status is ExportStatus.DONE


def shown(export: Export) -> dict[str, Any]:
    """Return an export as ReadyExportSchema shows it."""
    link = None
    if _there(export) and (export.masked or SEES in principal().actions):
        until = int((clock().now() + HOLDS).timestamp())
        token = services().signer.sign(PURPOSE, export.client_id, export.id, until)
        link = f"{services().settings.public_url}/api/v1/exports/{export.id}/file?token={token}"
    names = [name for name in ReadyExportSchema().fields if name not in ("link", "filter")]
    told = {name: getattr(export, name) for name in names}
    return told | {"chosen": export.chosen, "link": link}
