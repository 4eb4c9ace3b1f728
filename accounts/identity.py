"""UserIdentity: who a user is elsewhere, so that somebody else's proof signs them in.

Rules
    1. An issuer's subject is one user for good: an address may pass to somebody else.
    2. The first time, the issuer's verified address finds an active user. The operator chose the
       issuer and with it this rule.
    3. A user has one subject at an issuer: whoever has the address later does not get the account.
    4. No user is made here.
    5. What is unlinked may be linked anew by rule 2; nobody unlinks their only way in.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.issuer import MAX_SUBJECT, Proven
from accounts.sign_in import Account, spelled
from accounts.user import User, UserStatus
from core.clock import Clock
from core.db import Base, Id
from core.errors import ConflictError, NotFoundError, UnauthenticatedError
from core.sql import insert_into

MAX_ISSUER = 255


class UserIdentity(Base):
    """One user's name at one issuer."""

    __tablename__ = "user_identities"
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        UniqueConstraint("user_id", "issuer"),
    )

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    issuer: Mapped[str] = mapped_column(String(MAX_ISSUER))
    subject: Mapped[str] = mapped_column(String(MAX_SUBJECT))
    created_at: Mapped[datetime]


def identified(session: Session, clock: Clock, who: Proven) -> tuple[Account, bool]:
    """Return whose account this is, and whether it was linked just now.

    Raises UnauthenticatedError, the same for nobody's and for one that may not sign in.
    """
    held = _linked(session, who)
    linked = held is None and _link(session, clock, who)
    held = held or _linked(session, who)  # made just now, or by another request meanwhile
    if held is None or held.status is not UserStatus.ACTIVE or held.deleted_at is not None:
        raise UnauthenticatedError(
            "nobody here signs in as this person", remedy="ask an admin for an invitation"
        )
    return Account(held.email, held.id, held.password_hash, held.two_factor_enabled), linked


def identities(session: Session, user_id: int) -> Sequence[UserIdentity]:
    """Return who a user is elsewhere, oldest first."""
    query = select(UserIdentity).where(UserIdentity.user_id == user_id)
    return session.scalars(query.order_by(UserIdentity.id)).all()


def unlink(session: Session, user: User, identity_id: int) -> None:
    """Let a user be somebody elsewhere no more; who has their address there may be linked next.

    Raises NotFoundError, or ConflictError for somebody who has no password to come in by.
    """
    found = session.scalar(
        select(UserIdentity).where(UserIdentity.id == identity_id, UserIdentity.user_id == user.id)
    )
    if found is None:
        raise NotFoundError(f"there is no identity {identity_id}")
    if user.password_hash is None:
        raise ConflictError(
            "this is your only way in", remedy="set a password first: POST /password-resets"
        )
    session.delete(found)
    session.flush()


def _linked(session: Session, who: Proven) -> User | None:
    return session.scalar(
        select(User)
        .join(UserIdentity, UserIdentity.user_id == User.id)
        .where(UserIdentity.issuer == who.issuer, UserIdentity.subject == who.subject)
    )


def _link(session: Session, clock: Clock, who: Proven) -> bool:
    """Link the active user with this address; of two at once one does."""
    user = session.scalar(
        select(User).where(
            User.email == spelled(who.email),
            User.status == UserStatus.ACTIVE,
            User.deleted_at.is_(None),
        )
    )
    if user is None:
        return False
    made = session.scalar(
        insert_into(session, UserIdentity)
        .values(user_id=user.id, issuer=who.issuer, subject=who.subject, created_at=clock.now())
        .on_conflict_do_nothing()
        .returning(UserIdentity.id)
    )
    user.email_verified = user.email_verified or made is not None
    session.flush()
    return made is not None
