"""UserSession: somebody who signed in, on one device, until they sign out or time ends it.

Invariants
    1. A session's text is given out once; the database holds only its hash.
    2. A session ends with its user's suspension or deletion, and with a changed password.
"""

import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.key import ApiKey
from accounts.one_time import MAX_TEXT, digest
from accounts.user import User, UserStatus
from core.clock import Clock
from core.db import Base, Id
from core.errors import NotFoundError, UnauthenticatedError

MARK = "es"
PURPOSE = "session"
LIFETIME = timedelta(days=30)
FRESH = timedelta(minutes=10)
"""So long after they proved who they are somebody is trusted with what cannot be taken back."""
IDLE = timedelta(days=3)
"""How long a session lives unused."""
USE_NOTED_EVERY = timedelta(minutes=1)
DEVICE = 120


class UserSession(Base):
    """One session of one user."""

    __tablename__ = "sessions"
    __table_args__ = (UniqueConstraint("token_hash"), Index(None, "user_id", "id"))

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    token_hash: Mapped[str] = mapped_column(String(64))
    device: Mapped[str | None] = mapped_column(String(DEVICE))
    """What the browser or program calls itself."""
    ip: Mapped[str | None] = mapped_column(String(64))
    """The network it came from: /24, or /48."""
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    proven_at: Mapped[datetime | None]
    """When they last proved who they are, by signing in or since; an identity provider says when
    that was there, or it is not known."""
    ended_at: Mapped[datetime | None]

    def is_fresh(self, now: datetime) -> bool:
        """Say whether they proved who they are only lately."""
        return is_fresh(self.proven_at, now)


def is_fresh(proven_at: datetime | None, now: datetime) -> bool:
    """Say whether a proof was given only lately."""
    return proven_at is not None and proven_at > now - FRESH


@dataclass(frozen=True, slots=True)
class Device:
    """Where somebody signs in from, as far as it is kept."""

    name: str | None
    ip: str | None

    @classmethod
    def of(cls, user_agent: str | None, address: str | None) -> "Device":
        """Shorten what a request says of itself."""
        printable = "".join(char for char in user_agent or "" if char.isprintable())
        return cls(printable[:DEVICE] or None, _network(address))


def _network(address: str | None) -> str | None:
    try:
        ip = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    bits = 24 if ip.version == 4 else 48
    return str(ipaddress.ip_network(f"{ip}/{bits}", strict=False))


def open_session(
    session: Session,
    clock: Clock,
    *,
    user_id: int,
    device: Device,
    proven_at: datetime | None = None,
) -> tuple[UserSession, str]:
    """Make a session of somebody who proved then who they are; None, if nobody knows when.

    Return it with its text, which cannot be shown again.
    """
    text = f"{MARK}_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"
    now = clock.now()
    made = UserSession(
        user_id=user_id,
        token_hash=digest(PURPOSE, text),
        device=device.name,
        ip=device.ip,
        created_at=now,
        last_used_at=now,
        proven_at=proven_at,
        expires_at=now + LIFETIME,
    )
    session.add(made)
    session.flush()
    return made, text


def found_session(session: Session, clock: Clock, text: str) -> tuple[UserSession, User]:
    """Return the session with this text and whose it is. Raises UnauthenticatedError."""
    now = clock.now()
    row = None
    if text.startswith(f"{MARK}_") and len(text) <= MAX_TEXT and text.isascii():
        row = session.execute(
            select(UserSession, User)
            .join(User, User.id == UserSession.user_id)
            .where(
                UserSession.token_hash == digest(PURPOSE, text),
                UserSession.ended_at.is_(None),
                UserSession.expires_at > now,
                UserSession.last_used_at > now - IDLE,
                User.status == UserStatus.ACTIVE,
                User.deleted_at.is_(None),
            )
        ).first()
    if row is None:
        raise UnauthenticatedError(
            "this session has ended", field="Authorization", remedy="sign in again"
        )
    return row[0], row[1]


def note_session_use(session: Session, clock: Clock, *, session_id: int) -> None:
    """Write down that a session was used just now."""
    session.execute(
        update(UserSession).where(UserSession.id == session_id).values(last_used_at=clock.now())
    )


def freshen(session: Session, *, session_id: int, at: datetime) -> None:
    """Write down that somebody proved once more who they are."""
    session.execute(update(UserSession).where(UserSession.id == session_id).values(proven_at=at))


def proof_of_page(text: str) -> str:
    """Return what a page sends along with a session's cookie: no other site can know it."""
    return digest("csrf", text)


def sessions_of(session: Session, clock: Clock, user_id: int) -> Sequence[UserSession]:
    """Return a user's sessions that have not ended, newest first."""
    now = clock.now()
    return session.scalars(
        select(UserSession)
        .where(
            UserSession.user_id == user_id,
            UserSession.ended_at.is_(None),
            UserSession.expires_at > now,
            UserSession.last_used_at > now - IDLE,
        )
        .order_by(UserSession.id.desc())
    ).all()


def end_session(session: Session, clock: Clock, *, user_id: int, session_id: int) -> None:
    """End one of a user's sessions at once. Raises NotFoundError."""
    found = session.scalar(
        select(UserSession).where(UserSession.id == session_id, UserSession.user_id == user_id)
    )
    if found is None:
        raise NotFoundError(f"there is no session {session_id}")
    if found.ended_at is None:
        found.ended_at = clock.now()
        session.flush()


def end_sessions(session: Session, clock: Clock, *, user_id: int, keep: int | None = None) -> None:
    """End all of a user's sessions but one."""
    session.execute(
        update(UserSession)
        .where(
            UserSession.user_id == user_id,
            UserSession.ended_at.is_(None),
            UserSession.id != (keep or 0),
        )
        .values(ended_at=clock.now())
    )


def end_access(
    session: Session, clock: Clock, *, user_id: int, client_id: int | None = None
) -> None:
    """End all of a user's sessions, and their keys: all, or those of a client.

    After a new password, a lost role, a suspension.
    """
    end_sessions(session, clock, user_id=user_id)
    theirs = update(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    if client_id is not None:
        theirs = theirs.where(ApiKey.client_id == client_id)
    session.execute(theirs.values(revoked_at=clock.now()))
