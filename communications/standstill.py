"""Standstill: a time in which nothing of a campaign, or of a provider account, left.

One row for all the messages that waited meanwhile, so that each can say why (timeline.py) and none
is touched for it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Index, String, case, delete, literal, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.clock import Clock
from core.db import Base, Id, UtcDateTime

KEPT = timedelta(days=180)
FORGOTTEN_AT_ONCE = 1000
PAUSED, RESTED = "paused", "rested"


class Standstill(Base):
    """From when until when, and why."""

    __tablename__ = "standstills"
    __table_args__ = (Index(None, "client_id", "subject", "began_at"), Index(None, "ended_at"))

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    subject: Mapped[str] = mapped_column(String(40))
    """`campaign:5`, or `provider:3` for an account."""
    what: Mapped[str] = mapped_column(String(12))
    """`paused` by somebody or by a rule, until resumed; `rested` for as long as was asked for."""
    reason: Mapped[str | None] = mapped_column(String(300))
    actor: Mapped[str | None] = mapped_column(String(64))
    began_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


S = Standstill


def pause_began(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    subject: str,
    reason: str | None = None,
    actor: str | None = None,
) -> None:
    """Note that something was paused. The caller has it locked, and it was not paused before."""
    told = {"reason": reason and reason[:300], "actor": actor, "began_at": clock.now()}
    session.add(Standstill(client_id=client_id, subject=subject, what=PAUSED, **told))
    session.flush()


def pause_ended(session: Session, clock: Clock, *, client_id: int, subject: str) -> None:
    """Note that something is no longer paused."""
    session.execute(
        update(S)
        .where(S.client_id == client_id, S.subject == subject, S.ended_at.is_(None))
        .values(ended_at=clock.now())
        .execution_options(synchronize_session=False)
    )


def rest_began(
    session: Session, clock: Clock, *, client_id: int, subject: str, reason: str, until: datetime
) -> None:
    """Note that something rests until then; a rest that is not over yet becomes longer."""
    now, end = clock.now(), literal(until, UtcDateTime())
    longer = session.execute(
        update(S)
        .where(S.client_id == client_id, S.subject == subject, S.what == RESTED, S.ended_at >= now)
        .values(ended_at=case((S.ended_at < end, end), else_=S.ended_at))
        .returning(S.id)
        .execution_options(synchronize_session=False)
    )
    if longer.first() is None:
        told = {"reason": reason[:300], "began_at": now, "ended_at": until}
        session.add(Standstill(client_id=client_id, subject=subject, what=RESTED, **told))
        session.flush()


def standstills(
    session: Session, client_id: int, subjects: Sequence[str], since: datetime, until: datetime
) -> Sequence[Standstill]:
    """Return what stood still between two instants, the earliest first."""
    return session.scalars(
        select(S)
        .where(S.client_id == client_id, S.subject.in_(subjects), S.began_at < until)
        .where(or_(S.ended_at.is_(None), S.ended_at > since))
        .order_by(S.began_at, S.id)
    ).all()


def forget_standstills(session: Session, clock: Clock, *, limit: int = FORGOTTEN_AT_ONCE) -> int:
    """Forget up to `limit` that ended 180 days ago; return how many."""
    old = select(S.id).where(S.ended_at < clock.now() - KEPT).limit(limit)
    gone = session.scalars(delete(S).where(S.id.in_(old)).returning(S.id))
    return len(gone.all())
