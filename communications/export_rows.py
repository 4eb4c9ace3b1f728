"""The rows of exports: people as an import reads them, messages as the log has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from channels.channel import Channel
from communications.communication import Communication
from core.address import mask
from core.clock import Clock
from core.condition.json import from_json
from core.page import Span
from members import exporting, queries
from members.change import plain
from members.exporting import ExportFormat

if TYPE_CHECKING:
    from communications.export import Export

C = Communication
FILTERS = (
    "member_id", "campaign_id", "run_id", "channel", "status", "reason", "error_code",
    "provider_account_id",
)  # fmt: skip
"""Columns that messages are chosen by; `created_since` and `created_until` are their time."""
MESSAGE_COLUMNS = (
    "id", "created_at", "channel", "direction", "message_type", "member_id", "campaign_id",
    "run_id", "to_address", "status", "reason", "held", "provider_account_id", "provider_id",
    "provider_status", "error_code", "error_message", "tries", "cost", "currency", "segments",
    "not_before", "sent_at", "delivered_at", "read_at", "clicked_at", "replied_at", "failed_at",
)  # fmt: skip
ADDRESSES = {"email": "email", "phone": "sms", "push_token": "push"}
"""Columns of people that are addresses, and of which kind."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some rows of an export, in the order of their ids."""

    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    last: int
    """The id of the last row; 0 when there is none."""


def message_slice(session: Session, clock: Clock, export: "Export", limit: int) -> Slice:
    """Return the next messages of an export."""
    del clock
    query = select(*[getattr(C, name) for name in MESSAGE_COLUMNS]).where(
        C.client_id == export.client_id,
        C.id > export.position,
        C.id <= export.last_id,
        *[getattr(C, name) == value for name, value in export.chosen.items() if name in FILTERS],
    )
    since, until = (export.chosen.get(name) for name in ("created_since", "created_until"))
    time = Span("created_at", _instant(since), _instant(until))
    rows = []
    for found in session.execute(time.over(query, C).order_by(C.id).limit(limit)).mappings():
        row = {name: plain(value) for name, value in found.items()}
        if export.masked and row["to_address"] is not None:
            row["to_address"] = mask(Channel(row["channel"]).address_kind, row["to_address"])
        rows.append(row)
    return Slice(MESSAGE_COLUMNS, rows, rows[-1]["id"] if rows else 0)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def people_slice(session: Session, clock: Clock, export: "Export", limit: int) -> Slice:
    """Return the next people of an export, all or those its rule means."""
    rule = export.chosen.get("rule")
    page = queries.members_page(
        session,
        export.client_id,
        condition=from_json(rule) if rule is not None else None,
        now=clock.now(),
        after=export.position,
        limit=limit,
    )
    page = [one for one in page if one.id <= export.last_id]
    rows = exporting.rows_of(session, export.client_id, page)
    if export.masked:
        rows = [row | _masked(row) for row in rows]
    if export.format is not ExportFormat.JSONL:
        return Slice(exporting.COLUMNS, [exporting.flat(row) for row in rows], _last(page))
    named = [{name: plain(value) for name, value in row.items()} for row in rows]
    return Slice(exporting.COLUMNS, named, _last(page))


def _masked(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: mask(kind, row[name]) for name, kind in ADDRESSES.items() if row[name]}


def _last(page: Sequence[Any]) -> int:
    return int(page[-1].id) if page else 0
