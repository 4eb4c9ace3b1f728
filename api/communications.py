"""/communications: the log of every message, sent or not, and why."""

from collections import Counter
from typing import Any

from marshmallow import fields, validate

from api.context import audit, client_id, clock, db, ring_after_commit, services
from api.openapi import Resource
from api.paging import sorted_page
from api.problem import of_one
from api.schemas.communication import (
    CHANNELS,
    REASONS,
    STATUSES,
    CommunicationSchema,
    Id,
    NewMessageSchema,
    NewMessagesSchema,
    OutcomesSchema,
    StorySchema,
    WrittenSchema,
)
from api.schemas.field import Digits
from api.schemas.page import CreatedQuery, page_of, sort_by
from campaigns.direct import Outcome, Written, write_message, write_messages
from campaigns.draft import Cap, Draft, Wording
from campaigns.journeys.arrival import arrival
from channels.channel import Channel
from channels.template import TemplateRenderError
from communications import queries
from communications.account import accounts
from communications.communication import Communication, Reason
from communications.status import Status
from communications.timeline import timeline
from core.errors import InvalidError
from members.tracking import Refused

bp = Resource("communications", about="The log of every message")


ASKED_FOR = (
    "member_id", "campaign_id", "run_id", "error_code", "provider", "provider_account_id",
)  # fmt: skip


class LogQuery(CreatedQuery):
    """Which messages. They were created when it was decided to send them, or not to."""

    member_id = Digits(load_default=None, validate=Id)
    campaign_id = Digits(load_default=None, validate=Id)
    run_id = Digits(load_default=None, validate=Id)
    channel = fields.String(load_default=None, validate=CHANNELS)
    status = fields.String(load_default=None, validate=STATUSES)
    reason = fields.String(load_default=None, validate=REASONS)
    error_code = fields.String(
        load_default=None,
        validate=validate.Length(min=1, max=40),
        metadata={"description": "the provider's own code, such as `30003` or `550`"},
    )
    provider = fields.String(
        load_default=None,
        validate=validate.Length(min=1, max=24),
        metadata={"description": "an adapter: `sendgrid`, …"},
    )
    provider_account_id = Digits(load_default=None, validate=Id)
    sort = sort_by("-id", "created_at")


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
        **{name: query[name] for name in ASKED_FOR},
        "channel": Channel(query["channel"]) if query["channel"] else None,
        "status": Status(query["status"]) if query["status"] else None,
        "reason": Reason(query["reason"]) if query["reason"] else None,
    }
    page = sorted_page(
        query,
        Communication,
        lambda walk, limit: queries.communications_page(
            db(), client_id(), walk=walk, limit=limit, **chosen
        ),
    )
    return page | {"data": shown(list(page["data"]))}


@bp.post("/communications")
@bp.arguments(NewMessageSchema)
@bp.response(201, WrittenSchema)
@bp.alt_response(200, schema=WrittenSchema, description="There is one of this key.")
def create(data: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Send one message to one member: queued, or skipped with the reason.

    It is written down before any provider hears of it. The same `key` is the same message, however
    often it is asked for.
    """
    written = write_message(db(), clock(), client_id=client_id(), draft=_draft(data))
    audit(f"communication:{written.communication_id}")
    ring_after_commit()
    row = queries.communication(db(), client_id(), written.communication_id or 0)
    made = shown([row])[0] | {"outcome": written.outcome.value, "passed": written.passed}
    return made, 201 if written.outcome is Outcome.CREATED else 200


@bp.post("/communications/batch")
@bp.arguments(NewMessagesSchema)
@bp.response(200, OutcomesSchema)
def create_many(data: dict[str, Any]) -> dict[str, Any]:
    """Send up to 5,000 messages, each to one member; each is created, a duplicate or rejected."""
    told: list[dict[str, Any] | Refused] = data["messages"]
    good = [one for one in told if not isinstance(one, Refused)]
    written = iter(
        write_messages(db(), clock(), client_id=client_id(), drafts=[_draft(one) for one in good])
    )
    results = [
        _unread(one) if isinstance(one, Refused) else _outcome(index, next(written))
        for index, one in enumerate(told)
    ]
    counted = Counter(one["outcome"] for one in results)
    audit(f"communications:{counted[Outcome.CREATED]}")
    ring_after_commit()
    return {
        "created": counted[Outcome.CREATED],
        "duplicates": counted[Outcome.DUPLICATE],
        "rejected": counted[Outcome.REJECTED],
        "results": results,
    }


def _draft(data: dict[str, Any]) -> Draft:
    said = {"template_id", "channel", "subject", "text"}
    first = Wording(**{name: data[name] for name in said & data.keys()})
    others = [Wording(**one) for one in data.get("otherwise", ())]
    rest = {name: data[name] for name in data.keys() - said - {"otherwise", "cap"}}
    cap = Cap(**data["cap"]) if "cap" in data else None
    return Draft(wordings=(first, *others), cap=cap, **rest)


def _unread(refused: Refused) -> dict[str, Any]:
    field = None if refused.field == "event" else refused.field
    error = InvalidError(refused.message, field=field, remedy=refused.remedy)
    return _outcome(refused.index, Written(Outcome.REJECTED, error=error))


def _outcome(index: int, one: Written) -> dict[str, Any]:
    error = one.error and of_one(one.error, f"/messages/{index}")
    names = ("outcome", "communication_id", "status", "reason", "passed")
    return {"index": index, "error": error} | {name: getattr(one, name) for name in names}


@bp.get("/communications/<int(min=1,max=9223372036854775807):communication_id>")
@bp.response(200, StorySchema)
def get(communication_id: int) -> dict[str, Any]:
    """Show one message: what it said, and everything that is known of it."""
    row = queries.communication(db(), client_id(), communication_id)
    return shown([row])[0] | {
        "content": _content(row),
        "timeline": timeline(
            db(), clock(), client_id(), row.id, arrival=arrival(db(), client_id(), row.id)
        ),
    }


def _content(row: Communication) -> dict[str, str]:
    """Return what a message says; nothing, where that is why it was not sent."""
    try:
        return queries.rendered(db(), services().content, row)
    except TemplateRenderError:
        return {}
