"""User: a person who logs in, and their role at each client."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, Id


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
    )

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(String(320))
    """Normal form (core.address); two spellings are one account."""
    password_hash: Mapped[str | None] = mapped_column(String(200))
    first_name: Mapped[str | None] = mapped_column(String(100))
    last_name: Mapped[str | None] = mapped_column(String(100))
    full_name: Mapped[str | None] = mapped_column(String(200))
    role: Mapped[Role] = mapped_column(default=Role.USER)
    """The role at clients that give none of their own (client_roles)."""
    status: Mapped[UserStatus] = mapped_column(default=UserStatus.PENDING)
    phone: Mapped[str | None] = mapped_column(String(32))
    avatar_url: Mapped[str | None] = mapped_column(String(500))
    timezone: Mapped[str | None] = mapped_column(String(64))
    language: Mapped[str | None] = mapped_column(String(16))
    preferences: Mapped[dict[str, Any] | None]
    permissions: Mapped[list[str] | None]
    last_login: Mapped[datetime | None]
    login_count: Mapped[int] = mapped_column(default=0)
    failed_login_attempts: Mapped[int] = mapped_column(default=0)
    password_reset_token: Mapped[str | None] = mapped_column(String(128))
    password_reset_expires: Mapped[datetime | None]
    email_verified: Mapped[bool] = mapped_column(default=False)
    email_verification_token: Mapped[str | None] = mapped_column(String(128))
    two_factor_enabled: Mapped[bool] = mapped_column(default=False)
    two_factor_secret: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class ClientRole(Base):
    """One user's role at one client."""

    __tablename__ = "client_roles"
    __table_args__ = (UniqueConstraint("user_id", "client_id"), Index(None, "client_id"))

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    role: Mapped[Role]
    created_at: Mapped[datetime]
