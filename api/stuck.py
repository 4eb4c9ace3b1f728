"""/stuck-events: requests of programs whose events could not be applied."""

from typing import Any

from marshmallow import Schema, fields, validate

from api.context import audit, client_id, clock, db, ring_after_commit, services
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.field import Instant, id_field
from api.schemas.page import PageQuery, page_of
from webhooks.collected import Collected, opened
from webhooks.stuck import REPLAYED_AT_ONCE, replay_stuck, stuck, stuck_page

bp = Resource("stuck-events", about="Events of programs that could not be applied")
LIST = "/stuck-events"


class StuckSchema(Schema):
    """A request with events that is kept and was given up."""

    id = fields.Integer(required=True)
    key_id = fields.Integer(required=True, metadata={"description": "the API key that told it"})
    kind = fields.String(allow_none=True, metadata={"description": "null for a batch"})
    events = fields.Integer(required=True)
    tries = fields.Integer(required=True)
    received_at = Instant(required=True)


class StuckBodySchema(StuckSchema):
    """What it says, too."""

    body = fields.String(required=True, metadata={"description": "as it came: JSON"})


class ReplayStuckSchema(Schema):
    """Which are to be applied again; without ids the oldest thousand."""

    ids = fields.List(id_field(), load_default=None, validate=validate.Length(min=1, max=200))


class ReplayedStuckSchema(Schema):
    """How many are applied again."""

    replayed = fields.Integer(required=True)
    more = fields.Boolean(required=True, metadata={"description": "there may be more: ask again"})


@bp.get(LIST)
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(StuckSchema))
def list_stuck(query: dict[str, Any]) -> dict[str, Any]:
    """List requests of programs whose events could not be applied, newest first."""
    return paged(
        query,
        lambda before, limit: stuck_page(db(), client_id(), before=before, limit=limit),
        by_id,
    )


@bp.get(f"{LIST}/<int(min=1,max=9223372036854775807):stuck_id>")
@bp.response(200, StuckBodySchema)
def get(stuck_id: int) -> dict[str, Any]:
    """Show such a request and what it says."""
    found: Collected = stuck(db(), client_id(), stuck_id)
    said = {name: getattr(found, name) for name in StuckSchema().fields}
    return said | {"body": opened(services().vault, found).decode("utf-8", "replace")}


@bp.post(f"{LIST}/replay")
@bp.arguments(ReplayStuckSchema)
@bp.response(202, ReplayedStuckSchema)
def replay(data: dict[str, Any]) -> dict[str, Any]:
    """Apply such events again; what was applied before is known, and nothing counts twice."""
    count = replay_stuck(db(), clock(), client_id(), data["ids"])
    audit(f"client:{client_id()}", requests=count)
    ring_after_commit()
    return {"replayed": count, "more": data["ids"] is None and count == REPLAYED_AT_ONCE}
