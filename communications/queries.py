"""Reads of the log: rows, pages, counts, what a message said. Writes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, union_all
from sqlalchemy.orm import Session

from channels.channel import Channel
from communications.account import account_ids
from communications.communication import Communication, Direction, Reason
from communications.content import ContentStore
from communications.day import COUNTS, MessageDay, kept, recounted, sums
from communications.errors import CommunicationNotFoundError
from communications.status import ACCEPTED, OPEN, REACHED, Status
from core.db import is_sqlite
from core.page import NEWEST, Walk
from members.address import MemberAddress

C, D = Communication, MessageDay


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
    error_code: str | None = None,
    provider_account_id: int | None = None,
    provider: str | None = None,
    walk: Walk = NEWEST,
    limit: int = 50,
) -> list[Communication]:
    """Return up to `limit` rows, newest first or as `walk` says.

    `provider` is an adapter's name and means all accounts of it, archived ones too.
    """
    filters = {
        C.member_id: member_id,
        C.campaign_id: campaign_id,
        C.run_id: run_id,
        C.channel: channel,
        C.status: status,
        C.reason: reason,
        C.error_code: error_code,
        C.provider_account_id: provider_account_id,
    }
    given = [column == value for column, value in filters.items() if value is not None]
    if provider is not None:
        given.append(C.provider_account_id.in_(account_ids(session, client_id, provider)))
    query = select(C).where(C.client_id == client_id)
    if walk.column != "id" or walk.spans:
        return list(session.scalars(walk.over(query.where(*given), C, limit)))
    ids = _ids(session, query.with_only_columns(C.id), given, walk, limit)
    return list(session.scalars(walk.over(query.where(C.id.in_(ids)), C, limit)))


def _ids(
    session: Session,
    mine: Select[Any],
    given: Sequence[ColumnElement[bool]],
    walk: Walk,
    limit: int,
) -> Select[Any]:
    """Return the ids of a page, so that indexes alone say them: each filter's own ends with the id.

    Left to itself, PostgreSQL walks the log until it has met enough rows of a campaign that is long
    over. No index holds a client's rows by id alone, which every write would pay for: without a
    filter, the page is merged from the first rows of each channel.
    """
    if not given:
        each = [walk.over(mine.where(C.channel == one), C, limit).subquery() for one in Channel]
        return union_all(*(select(one.c.id) for one in each)).subquery().select()
    if is_sqlite(session):
        return walk.over(mine.where(*given), C, limit)
    one, *others = given
    # What one filter means may be long ago: the others' indexes are not read down to it.
    own = mine.correlate(None).where(one)
    first, last = (
        own.with_only_columns(end(C.id)).scalar_subquery() for end in (func.min, func.max)
    )
    there = mine.correlate(None).where(C.id >= first, C.id <= last)
    either = [C.id.in_(there.where(other)) for other in others]
    return walk.over(mine.where(one, *either), C, limit)


def rendered(session: Session, content: ContentStore, row: Communication) -> dict[str, str]:
    """Return what the message said, face by face (`subject`, `html`, `text`, …).

    Rendered anew from the immutable version and the values kept with the row, so it is what was
    sent, byte for byte, but for the mail headers around it. Nothing, once it was removed.
    """
    if row.content_removed_at is not None:
        return {}
    if row.template_version_id is None:
        return {"subject": row.subject or "", "text": row.content or ""}
    skeleton, values = content.values(
        session, row.template_version_id, row.id, row.merge, tracked=row.tracked
    )
    return skeleton.fill(values)


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows of a run are alike."""

    channel: Channel
    status: Status
    reason: Reason | None
    clicked: bool
    rows: int


def run_statistics(session: Session, run_id: int) -> dict[Channel, dict[str, Any]]:
    """Return what became of a run's messages, per channel: a recount of its rows.

    audience = sent + skipped + failed + unknown + queued, and sent = delivered + bounced + pending.
    `sent` counts what a provider took and did not give up on. A click or a reply is also a read.
    """
    own = recounted(C.run_id == run_id) if is_sqlite(session) else kept(D.run_id == run_id)
    counts = own.subquery()
    by = (counts.c.channel, counts.c.reason)
    query = select(*by, *sums(counts, *COUNTS)).where(counts.c.direction == Direction.OUTBOUND)
    totals: dict[Channel, dict[str, Any]] = {}
    for row in session.execute(query.group_by(*by)).mappings():
        total = totals.setdefault(
            row["channel"], {**dict.fromkeys(PARTS, 0), "skipped_reasons": {}}
        )
        for name, parts in PARTS.items():
            total[name] += sum(row[part] for part in parts)
        if row["skipped"]:
            total["skipped_reasons"][row["reason"].value] = row["skipped"]
    return totals


PARTS: Mapping[str, tuple[str, ...]] = {
    # column: what of a day's counts adds up to it
    "audience": ("messages",),
    "sent": ("delivered", "bounced", "pending"),
    "skipped": ("skipped",),
    "failed": ("refused", "undelivered"),
    "unknown": ("unknown",),
    "queued": ("queued",),
    "delivered": ("delivered",),
    "bounced": ("bounced",),
    "pending": ("pending",),
    "read": ("ended_read",),
    "clicked": ("clicked",),
    "replied": ("ended_replied",),
}


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
