"""Reads of the log: rows, pages, counts, a message's whole story. Writes nothing."""

from collections.abc import Callable
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
from communications.status import ACCEPTED, OPEN, REACHED, Status
from core.page import NEWEST, Walk
from members.address import MemberAddress

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
    walk: Walk = NEWEST,
    limit: int = 50,
) -> list[Communication]:
    """Return up to `limit` rows, newest first or as `walk` says."""
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
    return list(session.scalars(walk.over(select(C).where(*conditions), C, limit)))


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


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows of a run are alike."""

    channel: Channel
    status: Status
    reason: Reason | None
    clicked: bool
    rows: int


def counts(session: Session, run_id: int) -> list[Count]:
    """Count a run's rows by channel, status, reason and click.

    One pass over the run's rows: 100,000 take about 50 ms on PostgreSQL.
    """
    clicked = C.clicked_at.is_not(None)
    query = (
        select(C.channel, C.status, C.reason, clicked, func.count())
        .where(C.run_id == run_id)
        .group_by(C.channel, C.status, C.reason, clicked)
    )
    return [Count(row[0], row[1], row[2], bool(row[3]), row[4]) for row in session.execute(query)]


def run_statistics(session: Session, run_id: int) -> dict[Channel, dict[str, Any]]:
    """Return what became of a run's messages, per channel: a recount of its rows.

    audience = sent + skipped + failed + unknown + queued, and sent = delivered + bounced + pending.
    `sent` counts what a provider took and did not give up on. A click or a reply is also a read.
    """
    totals: dict[Channel, dict[str, Any]] = {}
    for count in counts(session, run_id):
        total = totals.setdefault(count.channel, dict.fromkeys(COLUMNS, 0))
        reasons = total.setdefault("skipped_reasons", {})
        for name, belongs in COLUMNS.items():
            if belongs(count):
                total[name] += count.rows
        if count.status is Status.SKIPPED and count.reason is not None:
            reasons[count.reason.value] = reasons.get(count.reason.value, 0) + count.rows
    return totals


COLUMNS: dict[str, Callable[[Count], bool]] = {
    # column: which rows count
    "audience": lambda _: True,
    "sent": lambda c: c.status in ACCEPTED,
    "skipped": lambda c: c.status is Status.SKIPPED,
    "failed": lambda c: c.status is Status.FAILED,
    "unknown": lambda c: c.status is Status.UNKNOWN,
    "queued": lambda c: c.status in OPEN,
    "delivered": lambda c: c.status in REACHED,
    "bounced": lambda c: c.status is Status.BOUNCED,
    "pending": lambda c: c.status is Status.SENT,
    "read": lambda c: c.status in (Status.READ, Status.CLICKED, Status.REPLIED),
    "clicked": lambda c: c.clicked,
    "replied": lambda c: c.status is Status.REPLIED,
}


def latest_to(
    session: Session, client_id: int, channel: Channel, address_hash: str
) -> Communication | None:
    """Return the newest outbound message to an address: the one a reply answers."""
    # Through the member: the log is indexed by member, not by address.
    holders = select(MemberAddress.member_id).where(
        MemberAddress.client_id == client_id,
        MemberAddress.channel == channel.address_kind,
        MemberAddress.hash == address_hash,
    )
    query = (
        select(C)
        .where(
            C.client_id == client_id,
            C.member_id.in_(holders),
            C.channel == channel,
            C.address_hash == address_hash,
            C.direction == Direction.OUTBOUND,
            C.sent_at.is_not(None),
        )
        .order_by(C.id.desc())
        .limit(1)
    )
    return session.scalar(query)
