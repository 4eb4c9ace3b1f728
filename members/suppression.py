"""Suppression: an address that must not be written to; it outlives the member."""

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint, and_, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.clock import Clock
from core.db import Base, Id, is_sqlite
from core.rows import among


class Scope(enum.StrEnum):
    """How far a suppression reaches."""

    ALL = "all"  # nothing may be sent: hard bounce, STOP on sms, invalid number
    MARKETING = "marketing"  # transactional messages still may


class SuppressionReason(enum.StrEnum):
    """Why."""

    UNSUBSCRIBED = "unsubscribed"
    STOPPED = "stopped"  # a STOP word, or the provider's own opt-out list
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    INVALID = "invalid"
    MANUAL = "manual"
    ERASED = "erased"  # its person was forgotten: no import may bring it back


OWN_WORD = (SuppressionReason.UNSUBSCRIBED, SuppressionReason.STOPPED)
"""What a person said themselves, and may take back."""
KEY = ("client_id", "channel", "address_hash", "scope")


class Suppression(Base):
    """One address of one channel under one scope, kept as a keyed hash."""

    __tablename__ = "suppressions"
    __table_args__ = (UniqueConstraint("client_id", "channel", "address_hash", "scope"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    channel: Mapped[str] = mapped_column(String(16))
    address_hash: Mapped[str] = mapped_column(String(32))
    masked: Mapped[str] = mapped_column(String(64))
    """`a***@e***.com`: enough for a person to recognise, not enough to write to."""
    scope: Mapped[Scope]
    reason: Mapped[SuppressionReason]
    evidence: Mapped[str | None] = mapped_column(String(200))
    """What proves it: `communication:12`, `import:3`, `key:2`."""
    since: Mapped[datetime]


def suppress(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    channel: str,
    address_hash: str,
    masked: str,
    scope: Scope,
    reason: SuppressionReason,
    evidence: str | None = None,
) -> bool:
    """Keep an address from being written to; `channel` is the kind of address.

    False: it was suppressed in this scope already. The first reason is kept, unless it was the
    person's own word, which they may take back, and this one is not; or this one is an erasure,
    after which nothing tells who it was.
    """
    row = {
        "client_id": client_id,
        "channel": channel,
        "address_hash": address_hash,
        "masked": masked[:64],
        "scope": scope,
        "reason": reason,
        "evidence": evidence,
        "since": clock.now(),
    }
    return suppress_many(session, [row]) == 1


def suppress_many(session: Session, rows: Sequence[dict[str, Any]]) -> int:
    """Insert suppressions that are not there yet; return how many were new or are firmer now."""
    if not rows:
        return 0
    make = sqlite.insert if is_sqlite(session) else postgresql.insert
    told = make(Suppression)
    # Spelt out, as IN takes a list and a statement for many rows takes none.
    own = or_(*[Suppression.reason == word for word in OWN_WORD])
    firm = and_(*[told.excluded.reason != word for word in OWN_WORD])
    erased = told.excluded.reason == SuppressionReason.ERASED
    statement = told.on_conflict_do_update(
        index_elements=list(KEY),
        set_={"reason": told.excluded.reason, "evidence": told.excluded.evidence},
        where=(own & firm) | erased,
    ).returning(Suppression.id)
    return len(session.scalars(statement, _each_once(rows)).all())


def _each_once(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave one row of each key, the first firm one: PostgreSQL takes no key twice at once.

    In the order of the keys: two that suppress the same addresses never wait in a ring.
    """
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in KEY)
        before = kept.setdefault(key, row)
        if before["reason"] in OWN_WORD and row["reason"] not in OWN_WORD:
            kept[key] = row
    return [kept[key] for key in sorted(kept)]


def lift(
    session: Session,
    *,
    client_id: int,
    channel: str,
    address_hash: str,
    reason: SuppressionReason | None = None,
    before: datetime | None = None,
) -> int:
    """Allow an address again; return how many suppressions were lifted.

    With a `reason`, only that one: a START undoes a STOP, never a hard bounce. With `before`, only
    what was suppressed until then.
    """
    statement = delete(Suppression).where(
        Suppression.client_id == client_id,
        Suppression.channel == channel,
        Suppression.address_hash == address_hash,
    )
    if reason is not None:
        statement = statement.where(Suppression.reason == reason)
    if before is not None:
        statement = statement.where(Suppression.since <= before)
    return len(session.scalars(statement.returning(Suppression.id)).all())


def is_suppressed(
    session: Session, *, client_id: int, channel: str, address_hash: str, marketing: bool
) -> bool:
    """Say whether a message may not be sent to an address."""
    query = select(Suppression.id).where(
        Suppression.client_id == client_id,
        Suppression.channel == channel,
        Suppression.address_hash == address_hash,
    )
    if not marketing:
        query = query.where(Suppression.scope == Scope.ALL)
    return session.scalar(query.limit(1)) is not None


def is_forgotten(session: Session, *, client_id: int, channel: str, address_hash: str) -> bool:
    """Say whether an address was an erased person's."""
    query = select(Suppression.id).where(
        Suppression.client_id == client_id,
        Suppression.channel == channel,
        Suppression.address_hash == address_hash,
        Suppression.reason == SuppressionReason.ERASED,
    )
    return session.scalar(query.limit(1)) is not None


def scopes(
    session: Session, *, client_id: int, address_hashes: Sequence[str]
) -> dict[tuple[str, str], Scope]:
    """Return the widest scope of suppression by (kind of address, keyed hash); one query."""
    if not address_hashes:
        return {}
    query = select(Suppression.channel, Suppression.address_hash, Suppression.scope).where(
        Suppression.client_id == client_id,
        among(session, Suppression.address_hash, list(address_hashes)),
    )
    found: dict[tuple[str, str], Scope] = {}
    for row in session.execute(query):
        key = (row.channel, row.address_hash)
        found[key] = Scope.ALL if Scope.ALL in (row.scope, found.get(key)) else row.scope
    return found
