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
from api.schemas.field import Digits
from api.schemas.page import PageQuery, page_of
from channels.channel import Channel
from channels.template import TemplateRenderError
from communications import queries
from communications.account import accounts
from communications.communication import Communication, Reason
from communications.status import Status

bp = Resource("communications", about="The log of every message")


class LogQuery(PageQuery):
    """Which messages."""

    member_id = Digits(load_default=None, validate=Id)
    campaign_id = Digits(load_default=None, validate=Id)
    run_id = Digits(load_default=None, validate=Id)
    channel = fields.String(load_default=None, validate=CHANNELS)
    status = fields.String(load_default=None, validate=STATUSES)
    reason = fields.String(load_default=None, validate=REASONS)


def shown(rows: list[Communication]) -> list[dict[str, Any]]:
    """Return messages with the name of the provider that carried each."""
    adapters = {account.id: account.adapter for account in accounts(db(), client_id())}
    names = [column.key for column in Communication.__table__.columns]
    return [
        {name: getattr(row, name) for name in names}
        | {"provider": adapters.get(row.provider_account_id or 0)}
        for row in rows
    ]


@bp.get("/communications")
@bp.arguments(LogQuery, location="query")
@bp.response(200, page_of(CommunicationSchema))
def list_communications(query: dict[str, Any]) -> dict[str, Any]:
    """List messages, newest first."""
    chosen: dict[str, Any] = {
        "member_id": query["member_id"],
        "campaign_id": query["campaign_id"],
        "run_id": query["run_id"],
        "channel": Channel(query["channel"]) if query["channel"] else None,
        "status": Status(query["status"]) if query["status"] else None,
        "reason": Reason(query["reason"]) if query["reason"] else None,
    }
    page = paged(
        query,
        lambda before, limit: queries.communications_page(
            db(), client_id(), before=before, limit=limit, **chosen
        ),
        by_id,
    )
    return page | {"data": shown(list(page["data"]))}


@bp.get("/communications/<int(min=1,max=9223372036854775807):communication_id>")
@bp.response(200, StorySchema)
def get(communication_id: int) -> dict[str, Any]:
    """Show one message: what it said, and everything that is known of it."""
    row = queries.communication(db(), client_id(), communication_id)
    return shown([row])[0] | {
        "content": _content(row),
        "timeline": queries.timeline(db(), client_id(), row.id),
    }


def _content(row: Communication) -> dict[str, str]:
    """Return what a message says; nothing, where that is why it was not sent."""
    try:
        return queries.rendered(db(), services().content, row)
    except TemplateRenderError:
        return {}
