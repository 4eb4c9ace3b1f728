"""/communications: the log of every message, sent or not, and why."""

from typing import Any

from marshmallow import fields

from api.context import client_id, db, services
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.communication import (
    CHANNELS,
    REASONS,
    STATUSES,
    CommunicationSchema,
    Id,
    StorySchema,
)
from api.schemas.page import PageQuery, page_of
from channels.channel import Channel
from communications import queries
from communications.communication import Communication, Reason
from communications.status import Status

bp = Resource("communications", about="The log of every message")


class LogQuery(PageQuery):
    """Which messages."""

    member_id = fields.Integer(load_default=None, validate=Id)
    campaign_id = fields.Integer(load_default=None, validate=Id)
    run_id = fields.Integer(load_default=None, validate=Id)
    channel = fields.String(load_default=None, validate=CHANNELS)
    status = fields.String(load_default=None, validate=STATUSES)
    reason = fields.String(load_default=None, validate=REASONS)


@bp.get("/communications")
@bp.arguments(LogQuery, location="query")
@bp.response(200, page_of(CommunicationSchema))
def list_communications(query: dict[str, Any]) -> dict[str, Any]:
    """List messages, newest first."""
    chosen = {
        "member_id": query["member_id"],
        "campaign_id": query["campaign_id"],
        "run_id": query["run_id"],
        "channel": Channel(query["channel"]) if query["channel"] else None,
        "status": Status(query["status"]) if query["status"] else None,
        "reason": Reason(query["reason"]) if query["reason"] else None,
    }
    return paged(
        query,
        lambda before, limit: queries.communications_page(
            db(), client_id(), before=before, limit=limit, **chosen
        ),
        by_id,
    )


@bp.get("/communications/<int(min=1,max=9223372036854775807):communication_id>")
@bp.response(200, StorySchema)
def get(communication_id: int) -> dict[str, Any]:
    """Show one message: what it said, and everything that is known of it."""
    row = queries.communication(db(), client_id(), communication_id)
    names = [column.key for column in Communication.__table__.columns]
    return {name: getattr(row, name) for name in names} | {
        "content": queries.rendered(db(), services().content, row),
        "timeline": queries.timeline(db(), client_id(), row.id),
    }
