"""Signing in: from an address and a password, and a code where that is asked for, to a session.

The steps are apart because the slow one, the password, must not hold a transaction: `known` reads,
`proven` computes, `signed_in` writes, and only if nothing changed between.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from accounts.password import matches
from accounts.session import Device, UserSession, open_session
from accounts.user import User, UserStatus, note_login
from core.address import AddressError, normalise_email
from core.clock import Clock
from core.errors import UnauthenticatedError


@dataclass(frozen=True, slots=True)
class Account:
    """What is asked about an account before anything is proven; nobody's has no `user_id`."""

    email: str
    """Its normal form, or what was given where that is no address."""
    user_id: int | None = None
    password_hash: str | None = None
    two_factor: bool = False


def spelled(email: str) -> str:
    """Return the one spelling of an address that tries are counted under."""
    try:
        return normalise_email(email)
    except AddressError:
        return email.strip().casefold()


def known(session: Session, email: str) -> Account:
    """Look up an account that may sign in."""
    name = spelled(email)
    row = session.execute(
        select(User.id, User.password_hash, User.two_factor_enabled).where(
            User.email == name, User.status == UserStatus.ACTIVE, User.deleted_at.is_(None)
        )
    ).first()
    return Account(name, *row) if row else Account(name)


def proven(account: Account, password: str) -> None:
    """Raise UnauthenticatedError, the same for a wrong password and for nobody's account."""
    if not matches(account.password_hash, password):
        raise refused()


def refused() -> UnauthenticatedError:
    """Return the one answer to whoever cannot sign in."""
    return UnauthenticatedError(
        "this address and password do not sign in",
        field="email",
        remedy="check both, or ask for a link at /password-resets",
    )


def signed_in(
    session: Session, clock: Clock, account: Account, device: Device, *, proven_at: datetime | None
) -> tuple[UserSession, str]:
    """Open a session for an account that was proven then; None, where nobody knows when.

    Raises UnauthenticatedError if it changed meanwhile.
    """
    unchanged = session.execute(
        update(User)
        .where(
            User.id == account.user_id,
            User.password_hash == account.password_hash,
            User.two_factor_enabled == account.two_factor,
            User.status == UserStatus.ACTIVE,
            User.deleted_at.is_(None),
        )
        .values(updated_at=User.updated_at)
        .returning(User.id)
        .execution_options(synchronize_session=False)
    ).first()
    if unchanged is None or account.user_id is None:
        raise refused()
    note_login(session, clock, user_id=account.user_id)
    return open_session(session, clock, user_id=account.user_id, device=device, proven_at=proven_at)
