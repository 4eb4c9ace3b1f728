"""Claiming: a lease on queued rows, so that no other worker prepares the same ones.

Nothing has been sent while a row is claimed, so a lease that ran out is simply free. It does mean
that a worker died with the row in its hands: such rows are taken a few at a time, then one by one,
and after MAX_CRASHES held as poison. One message that kills its worker cannot take others with it
(docs/why/sending.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy import ColumnElement, Select, case, or_, select, tuple_, update
from sqlalchemy.orm import Session

from accounts.client import tracks
from channels.channel import Channel
from communications.communication import Communication, MessageType
from communications.ledger import QUEUED
from core.clock import Clock
from core.rows import among

C = Communication
PRIORITIES = (0, 1, 2, 3)
POISON = "poison"
"""Why a queued row is held whose workers died, one after the other."""
MAX_CRASHES = 3
PRUDENT = {1: 10}
"""How many rows are taken at a time with which so many workers have died; others one by one."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """One row a worker holds, with all it needs to send it."""

    id: int
    token: int
    client_id: int
    member_id: int | None
    channel: Channel
    message_type: MessageType
    to_address: str
    address_hash: str | None
    template_version_id: int | None
    tracked: bool
    merge: dict[str, Any]
    subject: str | None
    content: str | None
    tries: int


@dataclass(slots=True)
class Cursor:
    """Where a worker's last claim in a lane ended, so that it need not skip over its own rows."""

    not_before: datetime | None = None
    id: int = 0


def due_and_free(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions under which a row may be claimed now.

    With the account's id and a priority, both databases find them in the due index.
    """
    free = or_(C.lease_until.is_(None), C.lease_until < now)
    return QUEUED, C.held.is_(None), C.not_before <= now, free


def claim(
    session: Session,
    clock: Clock,
    *,
    account_id: int,
    owner: str,
    limit: int,
    lease_seconds: int,
    cursors: dict[int, Cursor],
) -> list[Claimed]:
    """Lease up to `limit` due rows of an account to `owner`, most urgent first, oldest first.

    `owner` must be new for every claim: it is what the intent proves itself with. `cursors` (by
    priority) are moved on; a lane that is found empty starts again from its head. What was to be
    tracked of a client that wants that no longer is not, from here on.
    """
    now = clock.now()
    found: list[Claimed] = []
    for priority in PRIORITIES:
        cursor = cursors.setdefault(priority, Cursor())
        rows = _due(session, now, account_id, priority, cursor, limit - len(found))
        if not rows and cursor.not_before is not None:
            cursors[priority] = cursor = Cursor()
            rows = _due(session, now, account_id, priority, cursor, limit - len(found))
        rows = _prudent(session, rows)
        suspect = bool(rows) and _crashes(rows[0]) > 0
        if suspect and found:
            break  # they go on their own, next time
        if rows:
            cursor.not_before, cursor.id = rows[-1].not_before, rows[-1].id
            found += [_claimed(row) for row in rows]
        if suspect or len(found) >= limit:
            break
    return _leased(session, found, owner, now + timedelta(seconds=lease_seconds))


def _leased(session: Session, found: list[Claimed], owner: str, until: datetime) -> list[Claimed]:
    """Write the lease, and return the rows as they are then."""
    if not found:
        return found
    silent = _silent(session, found)
    untracked = {"tracked": case((C.client_id.in_(silent), False), else_=C.tracked)}
    session.execute(
        update(C)
        .where(among(session, C.id, [row.id for row in found]))
        .values(
            token=C.token + 1,
            tries=C.tries + 1,
            crashes=C.crashes + case((C.lease_until.is_not(None), 1), else_=0),
            owner=owner,
            lease_until=until,
            **(untracked if silent else {}),
        )
        .execution_options(synchronize_session=False)
    )
    return [replace(one, tracked=False) if one.client_id in silent else one for one in found]


def _silent(session: Session, found: Sequence[Claimed]) -> list[int]:
    """Return which clients of tracked rows want nothing tracked: one short look a claim."""
    clients = {one.client_id for one in found if one.tracked}
    return sorted(one for one in clients if not tracks(session, one))


def _crashes(row: Any) -> int:
    """Return how many workers died with a row, the one whose lease ran out included."""
    return int(row.crashes) + (row.lease_until is not None)


def _prudent(session: Session, rows: Sequence[Any]) -> Sequence[Any]:
    """Hold what is poison; return the first rows that are alike, no more than is prudent."""
    poison = [row.id for row in rows if row.lease_until and _crashes(row) >= MAX_CRASHES]
    if poison:
        session.execute(
            update(C)
            .where(among(session, C.id, poison), QUEUED)
            .values(held=POISON, crashes=C.crashes + 1, owner=None, lease_until=None)
            .execution_options(synchronize_session=False)
        )
        rows = [row for row in rows if row.id not in poison]
    if not any(map(_crashes, rows)):
        return rows
    first = _crashes(rows[0])
    alike = list(takewhile(lambda row: _crashes(row) == first, rows))
    return alike[: PRUDENT.get(first, 1)] if first else alike


def _due(
    session: Session, now: datetime, account_id: int, priority: int, cursor: Cursor, limit: int
) -> Sequence[Any]:
    query: Select[Any] = select(
        C.id,
        C.token,
        C.client_id,
        C.member_id,
        C.channel,
        C.message_type,
        C.to_address,
        C.address_hash,
        C.template_version_id,
        C.merge,
        C.subject,
        C.content,
        C.tries,
        C.crashes,
        C.lease_until,
        C.not_before,
        C.tracked,
    ).where(
        C.provider_account_id == account_id,
        C.priority == priority,
        *due_and_free(now),
    )
    if cursor.not_before is not None:
        query = query.where(tuple_(C.not_before, C.id) > tuple_(cursor.not_before, cursor.id))
    query = query.order_by(C.not_before, C.id).limit(limit).with_for_update(skip_locked=True)
    return session.execute(query).all()


def _claimed(row: Any) -> Claimed:
    return Claimed(
        id=row.id,
        token=row.token + 1,
        client_id=row.client_id,
        member_id=row.member_id,
        channel=row.channel,
        message_type=row.message_type,
        to_address=row.to_address,
        address_hash=row.address_hash,
        template_version_id=row.template_version_id,
        tracked=row.tracked,
        merge=row.merge,
        subject=row.subject,
        content=row.content,
        tries=row.tries + 1,
    )
