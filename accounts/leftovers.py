"""Leftovers: what letting people in leaves behind: sessions that are over, links nobody used.

Nothing of this opens anything any more; it is only kept from piling up.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Delete, Update, delete, or_, select, update
from sqlalchemy.orm import Session

from accounts.invitation import Invitation
from accounts.session import IDLE, UserSession
from accounts.user import User
from core.clock import Clock

KEPT = timedelta(days=30)
"""How long invitations that nobody accepted are still listed. Accepted ones stay."""
SLICE = 1000
"""Rows of a kind that are forgotten in one transaction."""
RESET = {"password_reset_token": None, "password_reset_expires": None}
SIGN_IN = {"sign_in_token": None, "sign_in_expires": None}
VERIFICATION = {"email_verification_token": None, "email_verification_expires": None}

Way = tuple[Any, ColumnElement[bool], Update | Delete]


def leftover(session: Session, clock: Clock) -> bool:
    """Say whether there is anything to forget; it only reads."""
    return any(
        session.scalar(select(model.id).where(old).limit(1)) is not None
        for model, old, _ in _ways(clock)
    )


def forget_leftovers(session: Session, clock: Clock) -> None:
    """Forget a slice of each kind."""
    for model, old, way in _ways(clock):
        some = select(model.id).where(old).limit(SLICE).scalar_subquery()
        # `old` again: a session may be used, a link asked for anew, while this waits for its row.
        session.execute(
            way.where(model.id.in_(some), old), execution_options={"synchronize_session": False}
        )


def _ways(clock: Clock) -> tuple[Way, ...]:
    """Return, for each kind, its rows that are over, and what becomes of them."""
    now, own = clock.now(), UserSession
    ended = own.ended_at.is_not(None)
    over = or_(ended, own.expires_at <= now, own.last_used_at <= now - IDLE)
    unused = Invitation.accepted_at.is_(None) & (Invitation.expires_at <= now - KEPT)
    unreset = User.password_reset_expires <= now
    unentered = User.sign_in_expires <= now
    unproven = User.email_verification_expires <= now
    return (
        (UserSession, over, delete(UserSession)),
        (Invitation, unused, delete(Invitation)),
        (User, unreset, update(User).values(RESET)),
        (User, unentered, update(User).values(SIGN_IN)),
        (User, unproven, update(User).values(VERIFICATION)),
    )
