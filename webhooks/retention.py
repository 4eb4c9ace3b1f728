"""Retention: how long each kind of data is kept, and the forgetting of what is older.

It is here because this is the highest package below the API: it sees the inbox, the log, events
and the audit log. Care takes a slice at a time, each in a transaction of its own; a mark for each
client and class says how far it came, so that a killed worker goes on where it was and old rows are
never read again.

Invariants
    1. A slice holds locks for some tenths of a second, however much there is to forget.
    2. Counts, states and costs stay true: rows are emptied, except for events and audit entries.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, String, delete, func, literal, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts import audit_chain
from accounts.audit import AuditEntry
from accounts.client import Client
from communications.communication import Communication
from communications.status import Status
from core.bisection import RIGHT, first_since
from core.clock import Clock
from core.db import Base, BigId, UtcDateTime
from core.rows import among
from core.sql import insert_into
from members import partition
from members.event import Event
from webhooks.collected import Collected
from webhooks.inbox import InboxItem, InboxState

SLICE = 1000
MAX_ID = 2**63 - 1
AGAIN = timedelta(hours=20)
"""A class that is done is looked at again the next night."""


class RetentionMark(Base):
    """How far one class of one client was forgotten."""

    __tablename__ = "retention_marks"

    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(24), primary_key=True)
    position: Mapped[int] = mapped_column(BigId, default=0)
    """Rows up to this id were dealt with; they are in the order of time."""
    done_at: Mapped[datetime | None]
    """When nothing was left to forget."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What one step is about."""

    client_id: int
    before: datetime
    position: int
    limit: int


Counted = Callable[[Session, Slice], int]
Forgotten = Callable[[Session, Clock, Slice], tuple[int, int]]
"""Returns how many rows were looked at, and up to which id."""


@dataclass(frozen=True, slots=True)
class DataClass:
    """One kind of data."""

    setting: str
    """The client's setting that says for how many days it is kept."""
    days: int
    """Unless the client says otherwise."""
    count: Counted
    forget: Forgotten


@dataclass(frozen=True, slots=True)
class Due:
    """What would be forgotten now of one class."""

    name: str
    days: int
    before: datetime
    rows: int


def preview(session: Session, clock: Clock, client_id: int) -> list[Due]:
    """Return what would be forgotten now of a client, by class; nothing changes."""
    settings = session.get_one(Client, client_id).settings
    marks = _positions(session, client_id)
    found = []
    for name, one in CLASSES.items():
        days = settings.get(one.setting, one.days)
        what = Slice(client_id, clock.now() - timedelta(days=days), marks.get(name, 0), SLICE)
        found.append(Due(name, days, what.before, one.count(session, what)))
    return found


def step(session: Session, clock: Clock, *, limit: int = SLICE) -> bool:
    """Forget one slice of what is due, of any client; say whether there may be more to do."""
    rested = clock.now() - AGAIN
    for client_id, settings in session.execute(select(Client.id, Client.settings)).all():
        marks = select(RetentionMark.name, RetentionMark.done_at).where(
            RetentionMark.client_id == client_id
        )
        done = {row.name: row.done_at for row in session.execute(marks)}
        for name in CLASSES:
            if (done.get(name) or rested) <= rested:
                forget(session, clock, client_id, name, settings=settings, limit=limit)
                return True
    return False


def forget(
    session: Session,
    clock: Clock,
    client_id: int,
    name: str,
    *,
    settings: Mapping[str, Any],
    limit: int = SLICE,
) -> int:
    """Forget one slice of one class of a client; return how many rows were looked at.

    Less than `limit` rows mean that it is done.
    """
    made = insert_into(session, RetentionMark).values(client_id=client_id, name=name, position=0)
    session.execute(made.on_conflict_do_nothing(index_elements=["client_id", "name"]))
    R = RetentionMark  # noqa: N806  (a table alias)
    locked = select(R).where(R.client_id == client_id, R.name == name).with_for_update()
    mark = session.scalars(locked.execution_options(populate_existing=True)).one()
    one = CLASSES[name]
    before = clock.now() - timedelta(days=settings.get(one.setting, one.days))
    rows, mark.position = one.forget(session, clock, Slice(client_id, before, mark.position, limit))
    mark.done_at = clock.now() if rows < limit else None
    session.flush()
    return rows


def forget_of_no_client(session: Session, clock: Clock) -> int:
    """Forget a slice of audit entries that concern no client; return how many."""
    before = clock.now() - timedelta(days=CLASSES["audit"].days)
    return audit_chain.forget(session, clock, client_id=None, before=before)


def _positions(session: Session, client_id: int) -> dict[str, int]:
    query = select(RetentionMark.name, RetentionMark.position)
    return {
        row.name: row.position
        for row in session.execute(query.where(RetentionMark.client_id == client_id))
    }


def _end(session: Session, model: Any, at: Any, what: Slice) -> int:
    """Return anybody's first younger row: beyond it none is old, before it all are.

    It is looked for by bisection, not through all that others keep for longer. Where a clock was
    wrong it may be a later one: the caller passes over none that is young.
    """
    start = first_since(session, model.id, at, what.before, after=what.position, wrong=RIGHT)
    young = select(model.id).where(model.id > start, at >= what.before)
    return session.scalar(young.order_by(model.id).limit(1)) or MAX_ID


def _old(model: Any, what: Slice, end: int) -> list[ColumnElement[bool]]:
    return [model.client_id == what.client_id, model.id > what.position, model.id < end]


def _slice(session: Session, model: Any, at: Any, what: Slice) -> tuple[Sequence[int], int]:
    """Return the next ids, and up to where all is dealt with once they are."""
    end = _end(session, model, at, what)
    query = select(model.id, at).where(*_old(model, what, end))
    rows = session.execute(query.order_by(model.id).limit(what.limit)).all()
    # Where a clock was wrong, ids do not rise with time: what is young is never passed over.
    ids = [id for id, _ in takewhile(lambda row: row[1] < what.before, rows)]
    if len(ids) < len(rows):
        return ids, rows[len(ids)].id - 1
    if len(ids) < what.limit and end < MAX_ID:
        return ids, end - 1
    return ids, ids[-1] if ids else what.position


def _count_raw(session: Session, what: Slice) -> int:
    full = func.length(InboxItem.request) > 0
    end = _end(session, InboxItem, InboxItem.received_at, what)
    old = [*_old(InboxItem, what, end), InboxItem.received_at < what.before]
    return session.scalar(select(func.count(InboxItem.id)).where(*old, full)) or 0


def _forget_raw(session: Session, clock: Clock, what: Slice) -> tuple[int, int]:
    del clock
    ids, position = _slice(session, InboxItem, InboxItem.received_at, what)
    if ids:
        session.execute(
            update(InboxItem)
            .where(among(session, InboxItem.id, ids), InboxItem.state != InboxState.NEW)
            .values(request=b"")
            .execution_options(synchronize_session=False)
        )
    session.execute(
        delete(Collected)
        .where(
            Collected.client_id == what.client_id,
            Collected.state == InboxState.DEAD,
            Collected.received_at < what.before,
        )
        .execution_options(synchronize_session=False)
    )
    return len(ids), position


def _count_content(session: Session, what: Slice) -> int:
    end = _end(session, Communication, Communication.created_at, what)
    old = [*_old(Communication, what, end), Communication.created_at < what.before]
    return session.scalar(select(func.count(Communication.id)).where(*old)) or 0


def _forget_content(session: Session, clock: Clock, what: Slice) -> tuple[int, int]:
    ids, position = _slice(session, Communication, Communication.created_at, what)
    if ids:
        open_still = Communication.status.in_((Status.QUEUED, Status.SENDING))
        session.execute(
            update(Communication)
            .where(among(session, Communication.id, ids), ~open_still)
            .values(
                merge={},
                subject=None,
                content=None,
                content_removed_at=func.coalesce(
                    Communication.content_removed_at, literal(clock.now(), UtcDateTime())
                ),
            )
            .execution_options(synchronize_session=False)
        )
    return len(ids), position


def _count_events(session: Session, what: Slice) -> int:
    old = (Event.client_id == what.client_id, Event.occurred_at < what.before)
    return session.scalar(select(func.count()).select_from(Event).where(*old)) or 0


def _forget_events(session: Session, clock: Clock, what: Slice) -> tuple[int, int]:
    days = (clock.now() - what.before).days
    gone = partition.forget_events(
        session, clock, client_id=what.client_id, older_than_days=days, limit=what.limit
    )
    return gone, 0


def _count_audit(session: Session, what: Slice) -> int:
    last = audit_chain.forgettable(session, what.client_id, what.before)
    mine = (AuditEntry.client_id == what.client_id, AuditEntry.seq <= last)
    return session.scalar(select(func.count(AuditEntry.id)).where(*mine)) or 0


def _forget_audit(session: Session, clock: Clock, what: Slice) -> tuple[int, int]:
    gone = audit_chain.forget(
        session, clock, client_id=what.client_id, before=what.before, limit=what.limit
    )
    return gone, 0


CLASSES: Mapping[str, DataClass] = {
    "raw_webhooks": DataClass("raw_webhook_days_kept", 30, _count_raw, _forget_raw),
    "message_content": DataClass("message_content_days_kept", 180, _count_content, _forget_content),
    "events": DataClass("event_days_kept", 730, _count_events, _forget_events),
    "audit": DataClass("audit_days_kept", 730, _count_audit, _forget_audit),
}
"""Every class, by the name it has in the command and the API."""
