"""Throttle: how often somebody may try, counted in the database.

Each try moves `free_at` of its subject ahead by one interval; a try is refused while that is more
than a burst ahead (GCRA). So within any `window` at most `most` are let through, however many ask
at once and on however many machines, and one row is all there is to keep.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import BigInteger, Index, String, UniqueConstraint, case, delete, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.one_time import digest
from core.clock import Clock
from core.db import Base, Id
from core.errors import RateLimitedError
from core.sql import insert_into

KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` tries within any `window`, half of them at once."""

    kind: str
    most: int
    window: timedelta

    @property
    def interval(self) -> int:
        """Milliseconds that one try takes up."""
        return int(self.window.total_seconds() * 1000) // (self.most - self.most // 2)

    @property
    def ahead(self) -> int:
        """How far `free_at` may lie ahead when one more is let through."""
        return self.interval * (self.most // 2 - 1)


PASSWORD = Limit("password", 10, timedelta(minutes=15))
TWO_FACTOR = Limit("two_factor", 10, timedelta(hours=1))
MAIL = Limit("mail", 6, timedelta(hours=1))
INVITATION = Limit("invitation", 6, timedelta(days=1))
"""Of an address, whoever invites it."""
INVITING = Limit("inviting", 1000, timedelta(days=1))
"""Of a client."""


class Throttle(Base):
    """One subject's tries of one kind."""

    __tablename__ = "throttles"
    __table_args__ = (UniqueConstraint("kind", "subject"), Index(None, "free_at"))

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(64))
    """A hash: of an account that may not even exist."""
    free_at: Mapped[int] = mapped_column(BigInteger)
    """Milliseconds since 1970, up to which tries are used up."""


def take(session: Session, clock: Clock, limit: Limit, subject: str) -> None:
    """Count one try; commit it whatever becomes of the try. Raises RateLimitedError."""
    now = int(clock.now().timestamp() * 1000)
    start = case((Throttle.free_at > now, Throttle.free_at), else_=now)
    values = {"kind": limit.kind, "subject": _hash(limit, subject)}
    row = session.execute(
        insert_into(session, Throttle)
        .values(**values, free_at=now + limit.interval)
        .on_conflict_do_update(
            index_elements=["kind", "subject"],
            set_={"free_at": start + limit.interval},
            where=Throttle.free_at <= now + limit.ahead,
        )
        .returning(Throttle.id)
    ).first()
    if row is None:
        refusal = RateLimitedError(
            "too many tries in too short a time",
            remedy=f"wait {-(-limit.interval // 60_000)} minutes, then try again",
        )
        refusal.retry_after = -(-limit.interval // 1000)
        raise refusal
    session.execute(
        delete(Throttle).where(Throttle.free_at < now - int(KEPT.total_seconds() * 1000))
    )


def give_back(session: Session, limit: Limit, subject: str) -> None:
    """Uncount one try: it was right, and rightful tries are not limited."""
    session.execute(
        update(Throttle)
        .where(Throttle.kind == limit.kind, Throttle.subject == _hash(limit, subject))
        .values(free_at=Throttle.free_at - limit.interval)
    )


def _hash(limit: Limit, subject: str) -> str:
    return digest(f"throttle {limit.kind}", subject)
