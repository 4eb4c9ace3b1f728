"""ApiKey: how a program proves for which client it speaks.

Invariants
    1. A key's text is given out once, by `issue_key`; the database holds only its hash.
    2. Every refusal reads the same: a caller cannot learn whether a key ever existed.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.client import USABLE, Client
from accounts.permission import EVERYTHING, checked_scopes
from core.clock import Clock
from core.db import Base, Id
from core.errors import InvalidError, NotFoundError, UnauthenticatedError
from core.page import NEWEST, Walk

MARK = "ex"
PREFIX_BYTES = 4
SECRET_BYTES = 32
MAX_TEXT = 128
MAX_NAME = 100
USE_NOTED_EVERY = timedelta(minutes=1)
"""A busy key must not turn every read into a write."""


class ApiKey(Base):
    """One key of one client. The key itself is shown once and never stored."""

    __tablename__ = "api_keys"
    __table_args__ = (UniqueConstraint("key_hash"), Index(None, "client_id"))

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(MAX_NAME))
    prefix: Mapped[str] = mapped_column(String(16))
    """The first characters, so that a person can tell keys apart."""
    key_hash: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the whole key in hex: keys are random, so no slow hash is needed."""
    scopes: Mapped[list[str]] = mapped_column(default=list)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    rate: Mapped[int | None]
    """Requests a second it may send; None is what every key may."""
    created_at: Mapped[datetime]


def issue_key(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    name: str,
    user_id: int | None = None,
    scopes: Sequence[str] = (EVERYTHING,),
    expires_at: datetime | None = None,
    rate: int | None = None,
) -> tuple[ApiKey, str]:
    """Make a key for a client; return it with its text, which cannot be shown again.

    Raises InvalidError for a name that is empty or too long, what is no scope, or a past expiry.
    """
    if expires_at is not None and expires_at <= clock.now():
        raise InvalidError(
            "a key cannot expire in the past", field="expires_at", remedy="name a later time"
        )
    prefix = secrets.token_hex(PREFIX_BYTES)
    text = f"{MARK}_{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"
    key = ApiKey(
        client_id=client_id,
        user_id=user_id,
        name=_name_of(name),
        prefix=f"{MARK}_{prefix}",
        key_hash=_hash(text),
        scopes=checked_scopes(scopes, field="scopes"),
        expires_at=expires_at,
        rate=rate,
        created_at=clock.now(),
    )
    session.add(key)
    session.flush()
    return key, text


def _name_of(name: str) -> str:
    if not 0 < len(name.strip()) <= MAX_NAME:
        raise InvalidError(
            f"a key needs a name of 1 to {MAX_NAME} characters",
            field="name",
            remedy="say what the key is for",
        )
    return name.strip()


def authenticate(session: Session, clock: Clock, text: str) -> ApiKey:
    """Return the key with this text; it only reads, `note_use` writes.

    Raises UnauthenticatedError for one that is unknown, revoked or expired, and for a client that
    may not use the engine.
    """
    key = None
    if text.startswith(f"{MARK}_") and len(text) <= MAX_TEXT and text.isascii():
        key = session.scalar(
            select(ApiKey)
            .join(Client, Client.id == ApiKey.client_id)
            .where(
                ApiKey.key_hash == _hash(text),
                ApiKey.revoked_at.is_(None),
                or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > clock.now()),
                Client.deleted_at.is_(None),
                Client.status.in_(USABLE),
            )
        )
    if key is None:
        raise refusal()
    return key


def refusal() -> UnauthenticatedError:
    """Return the one answer for every key that is not in force, whatever the reason."""
    return UnauthenticatedError(
        "this API key is not valid",
        field="Authorization",
        remedy="send `Authorization: Bearer ex_…` with a key that is in force",
    )


def key_of_text(session: Session, text: str) -> ApiKey | None:
    """Return the key with this text, in force or not: for telling whose it was, no more."""
    return session.scalar(select(ApiKey).where(ApiKey.key_hash == _hash(text)))


def note_use(session: Session, clock: Clock, *, key_id: int) -> bool:
    """Write down that a key was used, at most once a minute; say whether it was written."""
    now = clock.now()
    noted = session.execute(
        update(ApiKey)
        .where(
            ApiKey.id == key_id,
            or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= now - USE_NOTED_EVERY),
        )
        .values(last_used_at=now)
        .returning(ApiKey.id)
        .execution_options(synchronize_session=False)
    )
    return noted.first() is not None


def revoke_key(session: Session, clock: Clock, *, client_id: int, key_id: int) -> ApiKey:
    """End a key at once; a second time changes nothing. Raises NotFoundError."""
    key = key_by_id(session, client_id, key_id)
    if key.revoked_at is None:
        key.revoked_at = clock.now()
        session.flush()
    return key


def rename_key(session: Session, *, client_id: int, key_id: int, name: str) -> ApiKey:
    """Say anew what a key is for. Raises NotFoundError, or InvalidError for the name."""
    key = key_by_id(session, client_id, key_id)
    key.name = _name_of(name)
    session.flush()
    return key


def key_by_id(session: Session, client_id: int, key_id: int) -> ApiKey:
    """Return a client's key, a revoked one too. Raises NotFoundError."""
    key = session.scalar(select(ApiKey).where(ApiKey.id == key_id, ApiKey.client_id == client_id))
    if key is None:
        raise NotFoundError(f"there is no API key {key_id}")
    return key


def keys(
    session: Session, client_id: int, *, walk: Walk = NEWEST, limit: int = 50
) -> Sequence[ApiKey]:
    """Return up to `limit` keys, newest first or as `walk` says, revoked ones included."""
    query = select(ApiKey).where(ApiKey.client_id == client_id)
    return session.scalars(walk.over(query, ApiKey, limit)).all()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
