"""Reads of the log: rows, pages, counts, a message's whole story. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from channels.channel import Channel
from communications.attempt import Attempt
from communications.communication import Communication, Direction, Reason
from communications.content import ContentStore
from communications.errors import CommunicationNotFoundError
from communications.event import CommunicationEvent
from communications.status import ACCEPTED, REACHED, Status

C = Communication


def communication(session: Session, client_id: int, communication_id: int) -> Communication:
    """Return the client's communication. Raises CommunicationNotFoundError."""
    found = session.scalar(select(C).where(C.client_id == client_id, C.id == communication_id))
    if found is None:
        raise CommunicationNotFoundError(f"no communication {communication_id}")
    return found


def communications_page(
    session: Session,
    client_id: int,
    *,
    member_id: int | None = None,
    campaign_id: int | None = None,
    run_id: int | None = None,
    channel: Channel | None = None,
    status: Status | None = None,
    reason: Reason | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Communication]:
    """Return up to `limit` rows, newest first, older than id `before`."""
    conditions: list[ColumnElement[bool]] = [C.client_id == client_id]
    filters = {
        C.member_id: member_id,
        C.campaign_id: campaign_id,
        C.run_id: run_id,
        C.channel: channel,
        C.status: status,
        C.reason: reason,
    }
    conditions += [column == value for column, value in filters.items() if value is not None]
    if before is not None:
        conditions.append(C.id < before)
    return list(session.scalars(select(C).where(*conditions).order_by(C.id.desc()).limit(limit)))


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a message's story."""

    at: datetime
    what: str
    """`queued`, `sent`, `delivered`, …, or the type of an event or outcome of an attempt."""
    source: str
    """`engine`, a provider's name, `tracking` or `operator`."""
    detail: str | None = None
    machine: bool = False


def timeline(session: Session, client_id: int, communication_id: int) -> list[Moment]:
    """Return everything known about a message, in the order of time."""
    row = communication(session, client_id, communication_id)
    moments = [Moment(row.created_at, "decided", "engine", row.reason)]
    moments += [
        Moment(at, what, "engine")
        for at, what in ((row.sent_at, "sent"), (row.failed_at, "failed"))
        if at is not None
    ]
    attempts = session.scalars(
        select(Attempt).where(
            Attempt.client_id == client_id, Attempt.communication_id == communication_id
        )
    )
    moments += [Moment(a.finished_at, a.outcome.value, "engine", a.detail) for a in attempts]
    events = session.scalars(
        select(CommunicationEvent).where(
            CommunicationEvent.client_id == client_id,
            CommunicationEvent.communication_id == communication_id,
        )
    )
    moments += [Moment(e.occurred_at, e.type, e.source, e.detail, e.machine) for e in events]
    return sorted(moments, key=lambda moment: moment.at)


def rendered(session: Session, content: ContentStore, row: Communication) -> dict[str, str]:
    """Return what the message said, face by face (`subject`, `html`, `text`, …).

    Rendered anew from the immutable version and the values kept with the row, so it is what was
    sent, byte for byte, but for the mail headers around it.
    """
    if row.template_version_id is None:
        return {"subject": row.subject or "", "text": row.content or ""}
    skeleton, values = content.values(session, row.template_version_id, row.id, row.merge)
    return skeleton.fill(values)


def status_counts(
    session: Session, run_id: int
) -> list[tuple[Channel, Status, Reason | None, int]]:
    """Return how many rows of a run are in each channel, status and reason.

    One pass over the run's rows: 100,000 take about 50 ms on PostgreSQL.
    """
    query = (
        select(C.channel, C.status, C.reason, func.count())
        .where(C.run_id == run_id)
        .group_by(C.channel, C.status, C.reason)
    )
    return [(row[0], row[1], row[2], row[3]) for row in session.execute(query)]


def run_statistics(session: Session, run_id: int) -> dict[Channel, dict[str, Any]]:
    """Return what became of a run's messages, per channel.

    audience = sent + skipped + failed + unknown + queued, and sent = delivered + bounced + pending.
    `sent` counts what a provider took and did not give up on; `read`, `clicked` and `replied` count
    messages that got at least that far, so a click is also a read.
    """
    totals: dict[Channel, dict[str, Any]] = {}
    for channel, status, reason, count in status_counts(session, run_id):
        total = totals.setdefault(channel, _empty())
        total["audience"] += count
        for name in _columns(status):
            total[name] += count
        if status is Status.SKIPPED and reason is not None:
            reasons = total["skipped_reasons"]
            reasons[reason.value] = reasons.get(reason.value, 0) + count
    return totals


COLUMNS = (
    "audience sent skipped failed unknown queued delivered bounced pending read clicked replied"
).split()
OPENED = (Status.READ, Status.CLICKED, Status.REPLIED)


def _empty() -> dict[str, Any]:
    return {name: 0 for name in COLUMNS} | {"skipped_reasons": {}}


def _columns(status: Status) -> Sequence[str]:
    """Return the columns of the statistics in which a row of this status counts."""
    membership = {
        "sent": status in ACCEPTED,
        "skipped": status is Status.SKIPPED,
        "failed": status is Status.FAILED,
        "unknown": status is Status.UNKNOWN,
        "queued": status in (Status.QUEUED, Status.SENDING),
        "delivered": status in REACHED,
        "bounced": status is Status.BOUNCED,
        "pending": status is Status.SENT,
        "read": status in OPENED,
        "clicked": status in (Status.CLICKED, Status.REPLIED),
        "replied": status is Status.REPLIED,
    }
    return [name for name, counts in membership.items() if counts]


def latest_to(
    session: Session, client_id: int, channel: Channel, address_hash: str
) -> Communication | None:
    """Return the newest outbound message to an address: the one a reply answers."""
    query = (
        select(C)
        .where(
            C.client_id == client_id,
            C.channel == channel,
            C.address_hash == address_hash,
            C.direction == Direction.OUTBOUND,
            C.sent_at.is_not(None),
        )
        .order_by(C.id.desc())
        .limit(1)
    )
    return session.scalar(query)


def unfinished(session: Session, run_id: int) -> int:
    """Return how many rows of a run are still to be sent or on their way."""
    open_states = (Status.QUEUED, Status.SENDING)
    query = select(func.count()).where(C.run_id == run_id, C.status.in_(open_states))
    return session.scalar(query) or 0
