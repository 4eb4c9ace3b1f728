"""InboxItem: a provider's request as it came, stored before it is acknowledged (law 5).

Invariants
    1. The same bytes to the same account are one item, however often they come.
    2. An item leaves NEW once: APPLIED with its events, or DEAD after MAX_TRIES.
    3. An item that cannot be understood waits; it holds up no other.
"""

import enum
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    ForeignKey,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    bindparam,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from channels.adapter import RawWebhook
from communications.account import ProviderAccount
from core.clock import Clock
from core.db import Base, Id, UtcDateTime, is_sqlite
from core.rows import among
from core.secret import SealedError, Vault

MAX_TRIES = 5
CLAIM_BYTES = 2 * 1024 * 1024
"""Read by one claim; parsed, they take some ten times as much memory."""
PATIENCE = timedelta(minutes=1)
"""Wait before the second try; four times as long before each further one."""


class InboxState(enum.StrEnum):
    """What became of a stored request."""

    NEW = "new"
    APPLIED = "applied"
    DEAD = "dead"  # could not be understood; kept for replay


class InboxItem(Base):
    """One verified request: raw bytes first, meaning later."""

    __tablename__ = "inbox"
    __table_args__ = (
        # The same bytes to the same account again are the same request.
        UniqueConstraint("provider_account_id", "digest"),
        Index(
            "ix_inbox_new",
            "id",
            sqlite_where=text("state = 'new'"),
            postgresql_where=text("state = 'new'"),
        ),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    provider_account_id: Mapped[int] = mapped_column(ForeignKey("providers.id"))
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of method, URL and body in hex."""
    request: Mapped[bytes] = mapped_column(LargeBinary)
    """URL, headers that matter and body, encrypted: it holds addresses and texts."""
    state: Mapped[InboxState] = mapped_column(default=InboxState.NEW)
    tries: Mapped[int] = mapped_column(default=0)
    """How often it could not be understood."""
    not_before: Mapped[datetime]
    """When to try (again)."""
    error: Mapped[str | None] = mapped_column(String(300))
    repeats: Mapped[int] = mapped_column(default=0)
    """How often the very same request came again."""
    events: Mapped[int] = mapped_column(default=0)
    """Events it held."""
    duplicates: Mapped[int] = mapped_column(default=0)
    """Of these, how many were known already."""
    received_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]


def _store_statement(make: Any) -> Any:
    # Core, not ORM: one statement for a whole group, without an object for each row.
    table = InboxItem.__table__
    statement = make(table)
    return statement.on_conflict_do_update(
        index_elements=["provider_account_id", "digest"],
        set_={"repeats": table.c.repeats + statement.excluded.repeats + 1},
    ).returning(table.c.provider_account_id, table.c.digest, table.c.repeats)


_STORE_SQLITE = _store_statement(sqlite.insert)
_STORE_POSTGRESQL = _store_statement(postgresql.insert)
_CLOSE = (
    update(InboxItem)
    .where(InboxItem.id == bindparam("b_id"), InboxItem.state == literal_column("'new'"))
    .values(
        state=InboxState.APPLIED,
        events=bindparam("b_events"),
        duplicates=bindparam("b_duplicates"),
        error=None,
        applied_at=bindparam("b_now", type_=UtcDateTime()),
    )
)


def sealed(
    clock: Clock, vault: Vault, *, account: ProviderAccount, webhook: RawWebhook
) -> dict[str, Any]:
    """Return a verified request as the row that keeps it; needs no database."""
    digest = _digest(webhook)
    now = clock.now()
    return {
        "client_id": account.client_id,
        "provider_account_id": account.id,
        "digest": digest,
        "request": vault.encrypt(_pack(webhook), context=_context(account.id, digest)),
        "state": InboxState.NEW,
        "tries": 0,
        "not_before": now,
        "events": 0,
        "duplicates": 0,
        "received_at": now,
    }


def store(session: Session, rows: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Keep verified requests, made by sealed().

    False for each that is kept already, or comes twice in `rows`; the repeat is counted.
    """
    keys = [(row["provider_account_id"], row["digest"]) for row in rows]
    times = Counter(keys)
    kept = {key: {**row, "repeats": times[key] - 1} for key, row in zip(keys, rows, strict=True)}
    statement = _STORE_SQLITE if is_sqlite(session) else _STORE_POSTGRESQL
    # In one order everywhere: two processes that keep the same requests must not deadlock.
    told = session.connection().execute(statement, [kept[key] for key in sorted(kept)])
    new = {(row[0], row[1]) for row in told if row[2] < times[row[0], row[1]]}
    found = []
    for key in keys:
        found.append(key in new)
        new.discard(key)
    return found


def opened(vault: Vault, item: InboxItem) -> RawWebhook:
    """Return the request as it came, but for headers nobody reads. Raises SealedError.

    One that was emptied (retention, or somebody it may name was erased) cannot be opened any more.
    """
    if not item.request:
        raise SealedError("the request was emptied", remedy="what it told is in the log")
    head, _, body = vault.decrypt(item.request, context=place(item)).partition(b"\n")
    told = json.loads(head)
    return RawWebhook(url=told["url"], headers=told["headers"], body=body, method=told["method"])


def claim(session: Session, clock: Clock, *, limit: int) -> Sequence[InboxItem]:
    """Lock up to `limit` items that are due, oldest first, for this transaction.

    At most CLAIM_BYTES of them, but at least one. Other workers skip what is locked here
    (PostgreSQL); on SQLite there is one writer at a time.
    """
    due = (
        select(InboxItem.id, func.length(InboxItem.request))
        .where(
            # Literal, not bound: only then do both databases use the partial index.
            InboxItem.state == literal_column("'new'"),
            InboxItem.not_before <= clock.now(),
        )
        .order_by(InboxItem.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken: list[int] = []
    room = CLAIM_BYTES
    for item_id, size in session.execute(due):
        room -= size
        if taken and room < 0:
            break
        taken.append(item_id)
    if not taken:
        return []
    chosen = select(InboxItem).where(among(session, InboxItem.id, taken)).order_by(InboxItem.id)
    return session.scalars(chosen).all()


def mark_applied(session: Session, clock: Clock, *, counts: Mapping[int, tuple[int, int]]) -> None:
    """Close items with what they held: (events, those of them known already) by item id."""
    now = clock.now()
    session.connection().execute(
        _CLOSE,
        [
            {"b_id": item_id, "b_events": events, "b_duplicates": duplicates, "b_now": now}
            for item_id, (events, duplicates) in counts.items()
        ],
    )


def empty(session: Session, *, item_ids: Collection[int]) -> None:
    """Empty requests that nobody may keep: they cannot be replayed."""
    if item_ids:
        statement = update(InboxItem).where(among(session, InboxItem.id, sorted(item_ids)))
        statement = statement.values(request=b"")
        session.execute(statement.execution_options(synchronize_session=False))


def mark_unreadable(session: Session, clock: Clock, *, item_id: int, tries: int, why: str) -> None:
    """Put an item aside that was not understood `tries` times before, or give it up."""
    tries += 1
    values: dict[str, object] = {"tries": tries, "error": why[:300]}
    if tries >= MAX_TRIES:
        values["state"] = InboxState.DEAD
    else:
        values["not_before"] = clock.now() + PATIENCE * 4 ** (tries - 1)
    session.execute(
        update(InboxItem)
        .where(InboxItem.id == item_id, InboxItem.state == InboxState.NEW)
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def _digest(webhook: RawWebhook) -> str:
    seen = sha256(f"{webhook.method} {webhook.url}\n".encode("utf-8", "surrogateescape"))
    # Two topics of a shop may have one body.
    seen.update(webhook.headers.get("x-shopify-topic", "").encode("utf-8", "surrogateescape"))
    seen.update(webhook.body)
    return seen.hexdigest()


def place(item: InboxItem) -> str:
    """Return where a sealed request belongs."""
    return _context(item.provider_account_id, item.digest)


def _context(account_id: int, digest: str) -> str:
    return f"inbox:{account_id}:{digest}"


def _pack(webhook: RawWebhook) -> bytes:
    head = {
        "method": webhook.method,
        "url": webhook.url,
        "headers": {k: v for k, v in webhook.headers.items() if _matters(k)},
    }
    return json.dumps(head).encode() + b"\n" + webhook.body


def _matters(header: str) -> bool:
    """Say whether an adapter could want it: never cookies, credentials or proxies' notes."""
    if header.startswith(("x-forwarded", "x-real-")):
        return False
    return header == "content-type" or header.startswith(("x-", "webhook-", "i-twilio-"))
