"""IdempotencyKey: a caller's own name for one request, so that sending it again changes nothing.

A try reserves its key in a transaction of its own, and its answer is stored in the transaction of
what it wrote. Answers are kept sealed for a day: some hold what is shown only once.

Invariants
    1. What a try wrote and its stored answer are committed together or not at all.
    2. Of several tries under one key at most one commits: `settle` refuses whoever lost the key.
    3. A key is held by a try for LEASE at most; one whose try died is free again after that.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    delete,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.clock import Clock
from core.db import Base, BigId, Id, Json
from core.errors import ConflictError, InvalidError
from core.secret import Vault
from core.sql import insert_into

KEPT = timedelta(hours=24)
LEASE = timedelta(seconds=60)
SLICE = 1000
"""Rows that are forgotten in one transaction."""
FIELD = "header:/Idempotency-Key"


class IdempotencyKeyReusedError(InvalidError):
    """The idempotency key was used for another request."""

    code = "idempotency_key_reused"


class IdempotencyKeyBusyError(ConflictError):
    """A request with this idempotency key is under way."""

    code = "idempotency_key_busy"
    retry_after = 1


class IdempotencyKey(Base):
    """One key of one caller: who works on it, then what was answered."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        UniqueConstraint("client_id", "principal", "key_hash"),
        Index(None, "expires_at"),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(BigId)
    """0 where a person acts for no client."""
    principal: Mapped[str] = mapped_column(String(64))
    """Who asks: `key:3`. Keys of different callers never meet."""
    key_hash: Mapped[str] = mapped_column(String(64))
    request: Mapped[bytes] = mapped_column(LargeBinary)
    """The request's fingerprint, sealed: a short body could be guessed from its plain hash."""
    owner: Mapped[str] = mapped_column(String(32))
    """The try that holds the key."""
    leased_until: Mapped[datetime]
    status: Mapped[int | None]
    """The answer's, once there is one."""
    headers: Mapped[dict[str, str]] = mapped_column(Json, default=dict)
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The answer's body, sealed."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request under a key, and who sends it."""

    client_id: int
    principal: str
    key: str
    fingerprint: bytes

    @property
    def key_hash(self) -> str:
        """What stands for the key in the database."""
        return hashlib.sha256(self.key.encode()).hexdigest()

    @property
    def place(self) -> str:
        """Where what is sealed belongs."""
        return place(self)


def place(of: "Asked | IdempotencyKey") -> str:
    """Return where what is sealed for a key belongs."""
    return f"idempotency:{of.client_id}:{of.principal}:{of.key_hash}"


@dataclass(frozen=True, slots=True)
class Try:
    """A key that is ours until `settle` or `free`, or until LEASE is over."""

    asked: Asked
    owner: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def reserve(session: Session, clock: Clock, vault: Vault, asked: Asked) -> Try | Answer:
    """Take the key for a try, or return what the request was answered already.

    Raises IdempotencyKeyReusedError for another request, IdempotencyKeyBusyError while one is
    under way.
    """
    now = clock.now()
    mine = {
        "request": vault.encrypt(asked.fingerprint, context=asked.place),
        "owner": secrets.token_hex(16),
        "leased_until": now + LEASE,
        "status": None,
        "headers": {},
        "answer": None,
        "created_at": now,
        "expires_at": now + KEPT,
    }
    row = None
    while row is None:
        place = {n: getattr(asked, n) for n in ("client_id", "principal", "key_hash")}
        insert = insert_into(session, IdempotencyKey).values(**place, **mine)
        taken = insert.on_conflict_do_nothing().returning(IdempotencyKey.id)
        if session.execute(taken).first() is not None:
            return Try(asked, str(mine["owner"]))
        row = session.scalar(select(IdempotencyKey).where(_at(asked)).with_for_update())
    if row.expires_at > now:
        _check_same(row, vault, asked)
        if row.status is not None:
            body = vault.decrypt(row.answer or b"", context=asked.place)
            return Answer(row.status, body, row.headers)
        if row.leased_until > now:
            raise IdempotencyKeyBusyError(
                "a request with this key is under way",
                field=FIELD,
                remedy="wait a moment and send it again, with the same key",
            )
    session.execute(update(IdempotencyKey).where(_at(asked)).values(**mine))
    return Try(asked, str(mine["owner"]))


def _check_same(row: IdempotencyKey, vault: Vault, asked: Asked) -> None:
    known = vault.decrypt(row.request, context=asked.place)
    if not secrets.compare_digest(known, asked.fingerprint):
        raise IdempotencyKeyReusedError(
            "this key was sent with another method, path or body",
            field=FIELD,
            remedy="use a new key for a new request; send a retry exactly as it was",
        )


def settle(session: Session, vault: Vault, mine: Try, answer: Answer) -> None:
    """Store the answer. Raises IdempotencyKeyBusyError when another try took the key meanwhile."""
    stored = session.execute(
        update(IdempotencyKey)
        .where(_at(mine.asked), IdempotencyKey.owner == mine.owner)
        .values(
            status=answer.status,
            headers=answer.headers,
            answer=vault.encrypt(answer.body, context=mine.asked.place),
        )
        .returning(IdempotencyKey.id)
        .execution_options(synchronize_session=False)
    )
    if stored.first() is None:
        raise IdempotencyKeyBusyError(
            "this took too long, and another request with this key began",
            field=FIELD,
            remedy="send it again with the same key to learn what became of it",
        )


def free(session: Session, mine: Try) -> None:
    """Give the key back unused: nothing was written."""
    session.execute(
        delete(IdempotencyKey).where(_at(mine.asked), IdempotencyKey.owner == mine.owner)
    )


def forget_expired(session: Session, clock: Clock) -> int:
    """Forget a slice of the keys whose day is over; return how many."""
    old = select(IdempotencyKey.id).where(IdempotencyKey.expires_at <= clock.now())
    some = old.order_by(IdempotencyKey.expires_at).limit(SLICE).scalar_subquery()
    gone = session.execute(
        delete(IdempotencyKey)
        .where(IdempotencyKey.id.in_(some), IdempotencyKey.expires_at <= clock.now())
        .returning(IdempotencyKey.id)
        .execution_options(synchronize_session=False)
    )
    return len(gone.all())


def _at(asked: Asked) -> ColumnElement[bool]:
    return (
        (IdempotencyKey.client_id == asked.client_id)
        & (IdempotencyKey.principal == asked.principal)
        & (IdempotencyKey.key_hash == asked.key_hash)
    )
