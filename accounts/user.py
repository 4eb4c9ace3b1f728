"""User: a person who logs in, and their role at each client."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.address import normalise_email
from core.clock import Clock
from core.db import Base, Id
from core.errors import ConflictError, InvalidError, NotFoundError


class Role(enum.StrEnum):
    """What a user may do at a client."""

    SUPER_ADMIN = "super_admin"
    ADMIN = "admin"
    MANAGER = "manager"
    USER = "user"


class UserStatus(enum.StrEnum):
    """Whether a user may log in."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    SUSPENDED = "suspended"
    PENDING = "pending"


class User(Base):
    """A person who operates the engine."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("email"),
        Index(None, "status"),
        Index(None, "role"),
        Index(None, "created_at"),
        Index(None, "last_login"),
        # Pattern operators find an email by its beginning in any collation.
        Index("ix_users_email_begins", "email", postgresql_ops={"email": "varchar_pattern_ops"}),
    )

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(String(320))
    """Normal form (core.address); two spellings are one account."""
    password_hash: Mapped[str | None] = mapped_column(String(200))
    first_name: Mapped[str | None] = mapped_column(String(100))
    last_name: Mapped[str | None] = mapped_column(String(100))
    full_name: Mapped[str | None] = mapped_column(String(200))
    role: Mapped[Role] = mapped_column(default=Role.USER)
    """`super_admin` holds at every client; any other role holds only where client_roles says so."""
    status: Mapped[UserStatus] = mapped_column(default=UserStatus.PENDING)
    phone: Mapped[str | None] = mapped_column(String(32))
    avatar_url: Mapped[str | None] = mapped_column(String(500))
    timezone: Mapped[str | None] = mapped_column(String(64))
    language: Mapped[str | None] = mapped_column(String(16))
    preferences: Mapped[dict[str, Any] | None]
    last_login: Mapped[datetime | None]
    login_count: Mapped[int] = mapped_column(default=0)
    failed_login_attempts: Mapped[int] = mapped_column(default=0)
    password_reset_token: Mapped[str | None] = mapped_column(String(128))
    password_reset_expires: Mapped[datetime | None]
    sign_in_token: Mapped[str | None] = mapped_column(String(128))
    sign_in_expires: Mapped[datetime | None]
    email_verified: Mapped[bool] = mapped_column(default=False)
    email_verification_token: Mapped[str | None] = mapped_column(String(128))
    email_verification_expires: Mapped[datetime | None]
    two_factor_enabled: Mapped[bool] = mapped_column(default=False)
    two_factor_secret: Mapped[str | None] = mapped_column(String(200))
    """Sealed by the vault."""
    two_factor_step: Mapped[int | None] = mapped_column(BigInteger)
    """The step of the last code that was used: no code is good twice."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class ClientRole(Base):
    """One user's role at one client."""

    __tablename__ = "client_roles"
    __table_args__ = (
        UniqueConstraint("user_id", "client_id"),
        Index(None, "client_id", "user_id"),
    )

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    role: Mapped[Role]
    permissions: Mapped[list[str]] = mapped_column(default=list)
    """Single actions this user has at this client beyond the role (accounts/permission.py)."""
    status: Mapped[UserStatus] = mapped_column(
        default=UserStatus.ACTIVE, server_default=UserStatus.ACTIVE.value
    )
    """Whether they may work here; the account's own status is for everywhere. Never `pending`."""
    created_at: Mapped[datetime]


def create_user(
    session: Session,
    clock: Clock,
    *,
    email: str,
    role: Role = Role.USER,
    client_id: int | None = None,
    first_name: str | None = None,
    last_name: str | None = None,
    status: UserStatus = UserStatus.PENDING,
) -> User:
    """Make a user; with `client_id` the role holds there and nowhere else, but super_admin's.

    Raises AddressError, and ConflictError for an email that already has a user.
    """
    now = clock.now()
    names = [name for name in (first_name, last_name) if name]
    made = User(
        email=normalise_email(email, field="email"),
        role=role if client_id is None or role is Role.SUPER_ADMIN else Role.USER,
        first_name=first_name,
        last_name=last_name,
        full_name=" ".join(names) or None,
        status=status,
        created_at=now,
        updated_at=now,
    )
    try:
        with session.begin_nested():
            session.add(made)
    except IntegrityError:
        raise ConflictError(
            "there is already a user with this email",
            field="email",
            remedy="give that user a role at the client instead",
        ) from None
    if client_id is not None and role is not Role.SUPER_ADMIN:
        grant_role(session, clock, user_id=made.id, client_id=client_id, role=role)
    return made


def grant_role(
    session: Session, clock: Clock, *, user_id: int, client_id: int, role: Role
) -> ClientRole:
    """Give a user a role at a client, in place of the one they had there.

    Raises InvalidError for `super_admin`, which holds everywhere: set it on the user.
    """
    if role is Role.SUPER_ADMIN:
        raise InvalidError(
            "super_admin is no role of one client",
            field="role",
            remedy="give another role, or make them a super admin without a client",
        )
    held = session.scalar(
        select(ClientRole).where(ClientRole.user_id == user_id, ClientRole.client_id == client_id)
    )
    if held is None:
        held = ClientRole(user_id=user_id, client_id=client_id, role=role, created_at=clock.now())
        session.add(held)
    held.role = role
    session.flush()
    return held


def note_login(session: Session, clock: Clock, *, user_id: int) -> None:
    """Write down that a user logged in: when, how often; failed attempts count anew."""
    now = clock.now()
    session.execute(
        update(User)
        .where(User.id == user_id, User.deleted_at.is_(None))
        .values(
            last_login=now,
            login_count=User.login_count + 1,
            failed_login_attempts=0,
        )
    )


def user(session: Session, user_id: int) -> User:
    """Return a user who was not deleted. Raises NotFoundError."""
    found = session.get(User, user_id)
    if found is None or found.deleted_at is not None:
        raise NotFoundError(f"there is no user {user_id}")
    return found


def user_by_email(session: Session, email: str) -> User | None:
    """Return the user with this address in any spelling. Raises AddressError."""
    return session.scalar(
        select(User).where(User.email == normalise_email(email), User.deleted_at.is_(None))
    )


def role_at(session: Session, *, user_id: int, client_id: int) -> Role | None:
    """Return a user's role at a client, suspended there or not. Raises NotFoundError."""
    held = held_at(session, user_id=user_id, client_id=client_id)
    return held and held[0]


def held_at(session: Session, *, user_id: int, client_id: int) -> tuple[Role, list[str]] | None:
    """Return a user's role at a client and the single actions beyond it. Raises NotFoundError."""
    if user(session, user_id).role is Role.SUPER_ADMIN:
        return Role.SUPER_ADMIN, []
    held = session.execute(
        select(ClientRole.role, ClientRole.permissions).where(
            ClientRole.user_id == user_id, ClientRole.client_id == client_id
        )
    ).first()
    return held and (held.role, held.permissions)
