"""Thread: everything between a client and one member, in the order of time.

What was sent and what was not, and why; what providers told; what the member did, said and was
changed about. Each kind is read by an index of its own, a page at a time, and merged: a page costs
six queries, however long the thread is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session

from communications.communication import Communication
from communications.event import CommunicationEvent
from members.change import MemberChange
from members.consent import Consent
from members.event import Event
from members.note import MemberNote


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. (at, kind, id) is unique, and is where a page goes on."""

    at: datetime
    kind: str
    """`message`, `receipt`, `event`, `consent`, `note` or `change`."""
    id: int
    what: str
    """`sent`, `skipped`, `clicked`, `purchase`, `granted`, … by kind."""
    detail: dict[str, Any]


Edge = tuple[datetime, str, int]
Source = tuple[str, type[Any], Any, Callable[[Any], Entry]]


def thread(
    session: Session,
    client_id: int,
    member_id: int,
    *,
    before: Edge | None = None,
    kinds: Sequence[str] | None = None,
    limit: int = 50,
) -> list[Entry]:
    """Return up to `limit` entries, newest first, before the edge (at, kind, id)."""
    found: list[Entry] = []
    for kind, model, at, entry in SOURCES:
        if kinds is not None and kind not in kinds:
            continue
        query = _of(kind, model, client_id, member_id)
        if before is not None:
            query = query.where(_before(before, kind, at, model.id))
        rows = session.scalars(query.order_by(at.desc(), model.id.desc()).limit(limit))
        found += [entry(row) for row in rows]
    found.sort(key=lambda one: (one.at, one.kind, one.id), reverse=True)
    return found[:limit]


def _of(kind: str, model: type[Any], client_id: int, member_id: int) -> Select[Any]:
    query = select(model).where(model.client_id == client_id)
    if kind == "receipt":
        messages = select(Communication.id).where(
            Communication.client_id == client_id, Communication.member_id == member_id
        )
        return query.where(CommunicationEvent.communication_id.in_(messages))
    if kind == "note":
        query = query.where(MemberNote.deleted_at.is_(None))
    return query.where(model.member_id == member_id)


def _before(edge: Edge, kind: str, at: Any, id_: Any) -> ColumnElement[bool]:
    """Return what comes after the edge on the way back in time, for rows of one kind."""
    when, its_kind, its_id = edge
    earlier: ColumnElement[bool] = at < when
    if kind < its_kind:
        return or_(earlier, at == when)
    if kind == its_kind:
        return or_(earlier, and_(at == when, id_ < its_id))
    return earlier


def _message(row: Communication) -> Entry:
    told = {
        "channel": row.channel.value,
        "direction": row.direction.value,
        "campaign_id": row.campaign_id,
        "run_id": row.run_id,
        "reason": row.reason.value if row.reason is not None else None,
        "error": row.error_code,
    }
    return Entry(row.created_at, "message", row.id, row.status.value, _known(told))


def _receipt(row: CommunicationEvent) -> Entry:
    told = {
        "communication_id": row.communication_id,
        "source": row.source,
        "machine": row.machine,
        "detail": row.detail,
    }
    return Entry(row.occurred_at, "receipt", row.id, row.type, _known(told))


def _event(row: Event) -> Entry:
    amount = str(row.amount) if row.amount is not None else None
    told = {"properties": row.properties, "amount": amount}
    return Entry(row.occurred_at, "event", row.id, row.name, _known(told))


def _consent(row: Consent) -> Entry:
    told = {"channel": row.channel, "topic": row.topic, "source": row.source}
    return Entry(row.occurred_at, "consent", row.id, row.state.value, told)


def _note(row: MemberNote) -> Entry:
    return Entry(row.created_at, "note", row.id, "noted", {"author": row.author, "text": row.text})


def _change(row: MemberChange) -> Entry:
    told = {"source": row.source, "actor": row.actor, "changed": row.changed}
    return Entry(row.changed_at, "change", row.id, row.source.partition(":")[0], _known(told))


def _known(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None}


SOURCES: tuple[Source, ...] = (
    ("message", Communication, Communication.created_at, _message),
    ("receipt", CommunicationEvent, CommunicationEvent.occurred_at, _receipt),
    ("event", Event, Event.occurred_at, _event),
    ("consent", Consent, Consent.occurred_at, _consent),
    ("note", MemberNote, MemberNote.created_at, _note),
    ("change", MemberChange, MemberChange.changed_at, _change),
)
KINDS = tuple(kind for kind, *_ in SOURCES)
