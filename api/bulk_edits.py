"""/bulk-edits: one change of many members, tried, followed and taken back."""

from typing import Any

from api.context import actor, audit, client_id, clock, db, ring_after_commit
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.bulk import (
    BulkEditSchema,
    BulkErrorSchema,
    BulkPreviewSchema,
    NewBulkEditSchema,
)
from api.schemas.page import PageQuery, page_of
from members import bulk
from members.bulk import BulkEdit
from members.change import plain

bp = Resource("bulk-edits", about="One change of many members", room="members")
ID = "<int(min=1,max=9223372036854775807):bulk_id>"


def _chosen(data: dict[str, Any]) -> dict[str, Any]:
    """Return which members are meant; that it is one way of saying so is checked below."""
    chosen = {name: data[name] for name in ("ids", "rule") if name in data}
    return chosen | ({"rule": data["text"]} if "text" in data and "rule" not in data else {})


@bp.post("/bulk-edits/preview")
@bp.arguments(NewBulkEditSchema)
@bp.response(200, BulkPreviewSchema)
def preview(data: dict[str, Any]) -> dict[str, Any]:
    """Count the members a bulk edit means and show what it would change about the first ten."""
    found = bulk.preview_bulk(
        db(), clock(), client_id=client_id(), chosen=_chosen(data), changes=data["changes"]
    )
    return {
        "total": found.total,
        "sample": [
            {
                "member_id": member_id,
                "changed": {name: [plain(one) for one in pair] for name, pair in changed.items()},
            }
            for member_id, changed in found.sample
        ],
    }


@bp.post("/bulk-edits")
@bp.arguments(NewBulkEditSchema)
@bp.response(202, BulkEditSchema)
def start(data: dict[str, Any]) -> BulkEdit:
    """Queue a bulk edit; a worker does it, some hundred members at a time."""
    edit = bulk.start_bulk(
        db(),
        clock(),
        client_id=client_id(),
        chosen=_chosen(data),
        changes=data["changes"],
        actor=actor(),
    )
    audit(f"bulk:{edit.id}")
    ring_after_commit()
    return edit


@bp.get("/bulk-edits")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(BulkEditSchema))
def list_bulk_edits(query: dict[str, Any]) -> dict[str, Any]:
    """List bulk edits, newest first."""
    return paged(
        query,
        lambda before, limit: bulk.bulk_page(db(), client_id(), before=before, limit=limit),
        by_id,
    )


@bp.get(f"/bulk-edits/{ID}")
@bp.response(200, BulkEditSchema)
def get(bulk_id: int) -> BulkEdit:
    """Show a bulk edit and how far it is."""
    return bulk.bulk_edit(db(), client_id(), bulk_id)


@bp.get(f"/bulk-edits/{ID}/errors")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(BulkErrorSchema))
def list_errors(query: dict[str, Any], bulk_id: int) -> dict[str, Any]:
    """List the members that could not be changed, and why."""
    found = bulk.bulk_edit(db(), client_id(), bulk_id)
    return paged(
        query,
        lambda after, limit: bulk.bulk_errors(
            db(), client_id(), found.id, after=after or 0, limit=limit
        ),
        by_id,
    )


@bp.post(f"/bulk-edits/{ID}/undo")
@bp.response(202, BulkEditSchema)
def undo(bulk_id: int) -> BulkEdit:
    """Take a bulk edit back, within 24 hours; what was changed since is left alone."""
    edit = bulk.undo_bulk(db(), clock(), client_id=client_id(), bulk_id=bulk_id)
    audit(f"bulk:{edit.id}")
    ring_after_commit()
    return edit
