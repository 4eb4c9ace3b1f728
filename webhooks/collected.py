"""Collected: events as a client's program told them, stored before they are acknowledged (law 5).

Invariants
    1. A row goes with the transaction that keeps its events; until then it is here.
    2. What cannot be applied after MAX_TRIES stays, as DEAD; it holds up no other.
"""

import secrets
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ForeignKey,
    Index,
    LargeBinary,
    String,
    delete,
    insert,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.client import Client
from core.clock import Clock
from core.db import Base, BigId, Id
from core.rows import among
from core.secret import Vault
from webhooks.inbox import MAX_TRIES, PATIENCE, InboxState
from webhooks.write_key import WriteKey

FAST = 1
"""zlib's quickest: events repeat their names, and shrink to a fifth."""
CLAIM_ROWS = 200
"""Requests looked at by one claim."""


class Collected(Base):
    """One request with its events."""

    __tablename__ = "collected"
    __table_args__ = (
        Index(
            "ix_collected_new",
            "client_id",
            "id",
            sqlite_where=text("state = 'new'"),
            postgresql_where=text("state = 'new'"),
        ),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    key_id: Mapped[int] = mapped_column(BigId)
    trusted: Mapped[bool]
    """Whether its key may change profiles."""
    mark: Mapped[str] = mapped_column(String(32))
    """Ours: message ids of events that have none begin with it."""
    body: Mapped[bytes] = mapped_column(LargeBinary)
    """As it came, compressed and encrypted: it holds addresses."""
    kind: Mapped[str | None] = mapped_column(String(16))
    """Of the one event it is; None for a batch."""
    events: Mapped[int]
    state: Mapped[InboxState] = mapped_column(default=InboxState.NEW)
    tries: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime]
    """When to apply it (again)."""
    received_at: Mapped[datetime]


def sealed(
    clock: Clock, vault: Vault, *, key: WriteKey, body: bytes, kind: str | None, events: int
) -> Mapping[str, Any]:
    """Return a request as the row that keeps it; needs no database."""
    now, mark = clock.now(), secrets.token_hex(16)
    return {
        "client_id": key.client_id,
        "key_id": key.id,
        "trusted": key.trusted,
        "mark": mark,
        "body": vault.encrypt(zlib.compress(body, FAST), context=_context(mark)),
        "kind": kind,
        "events": events,
        "state": InboxState.NEW,
        "tries": 0,
        "not_before": now,
        "received_at": now,
    }


def store(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep requests made by sealed()."""
    session.connection().execute(insert(Collected), [dict(row) for row in rows])


def opened(vault: Vault, row: Collected) -> bytes:
    """Return the body as it came. Raises SealedError."""
    return zlib.decompress(vault.decrypt(row.body, context=place(row)))


def place(row: Collected) -> str:
    """Return where a sealed body belongs."""
    return _context(row.mark)


def _context(mark: str) -> str:
    return f"collected:{mark}"


def waiting(session: Session, clock: Clock) -> Sequence[int]:
    """Return the clients for whom something waits, who waits longest first."""
    oldest = (
        # One look into the index for each client: what one told, however much, hides no other.
        select(Collected.id)
        .where(
            Collected.state == literal_column("'new'"),
            Collected.client_id == Client.id,
            Collected.not_before <= clock.now(),
        )
        .order_by(Collected.id)
        .limit(1)
        .scalar_subquery()
    )
    each = select(Client.id, oldest.label("oldest")).subquery().c
    query = select(each.id).where(each.oldest.is_not(None)).order_by(each.oldest)
    return session.scalars(query).all()


def claim(session: Session, clock: Clock, *, client_id: int, events: int) -> Sequence[Collected]:
    """Lock a client's requests that are due, oldest first, with at most so many events.

    But at least one. Other workers skip what is locked here (PostgreSQL).
    """
    due = (
        select(Collected.id, Collected.events)
        .where(
            Collected.state == literal_column("'new'"),
            Collected.client_id == client_id,
            Collected.not_before <= clock.now(),
        )
        .order_by(Collected.id)
        .limit(CLAIM_ROWS)
        .with_for_update(skip_locked=True)
    )
    taken: list[int] = []
    for id_, count in session.execute(due):
        events -= count
        if taken and events < 0:
            break
        taken.append(id_)
    chosen = select(Collected).where(among(session, Collected.id, taken)).order_by(Collected.id)
    return session.scalars(chosen).all() if taken else []


def close(session: Session, rows: Sequence[Collected]) -> None:
    """Let go of requests whose events are kept."""
    session.execute(
        delete(Collected)
        .where(among(session, Collected.id, [row.id for row in rows]))
        .execution_options(synchronize_session=False)
    )


def put_aside(session: Session, clock: Clock, row: Collected) -> bool:
    """Try a request again later, or give it up; say whether it was given up."""
    tries = row.tries + 1
    dead = tries >= MAX_TRIES
    session.execute(
        update(Collected)
        .where(Collected.id == row.id)
        .values(
            tries=tries,
            state=InboxState.DEAD if dead else InboxState.NEW,
            not_before=clock.now() + (timedelta() if dead else PATIENCE * 4 ** (tries - 1)),
        )
        .execution_options(synchronize_session=False)
    )
    return dead
