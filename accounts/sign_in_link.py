"""SignInLink: into an account by a link that was mailed to its address.

Its text is random, kept as a hash, good once, for a quarter of an hour, and replaced by the next
one. It stands for the password only: an account with a second factor asks for that, too.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from accounts.one_time import digest, new_text
from accounts.recovery import dead_link
from accounts.sign_in import Account, spelled
from accounts.user import User, UserStatus
from core.clock import Clock

PURPOSE = "sign-in"
LIVES = timedelta(minutes=15)


def ask_sign_in(session: Session, clock: Clock, *, email: str) -> tuple[str, str] | None:
    """Give an account a link; return where it goes and its text, None when there is no account.

    Either way it is one statement, so that nobody learns from the time it took.
    """
    text = new_text()
    found = session.scalar(
        update(User)
        .where(
            User.email == spelled(email),
            User.status == UserStatus.ACTIVE,
            User.deleted_at.is_(None),
        )
        .values(sign_in_token=digest(PURPOSE, text), sign_in_expires=clock.now() + LIVES)
        .returning(User.email)
        .execution_options(synchronize_session=False)
    )
    return (found, text) if found else None


def account_of_link(session: Session, clock: Clock, *, text: str) -> Account:
    """Return whose account a link opens; it only reads. Raises InvalidError."""
    row = session.execute(
        select(User.email, User.id, User.password_hash, User.two_factor_enabled).where(
            *_good(clock, text)
        )
    ).first()
    if row is None:
        raise dead_link()
    return Account(*row)


def use_link(session: Session, clock: Clock, *, text: str) -> None:
    """Use a link up, which proves its address: of two at once one does. Raises InvalidError."""
    used = session.scalar(
        update(User)
        .where(*_good(clock, text))
        .values(sign_in_token=None, sign_in_expires=None, email_verified=True)
        .returning(User.id)
        .execution_options(synchronize_session=False)
    )
    if used is None:
        raise dead_link()


def _good(clock: Clock, text: str) -> tuple[ColumnElement[bool], ...]:
    return (
        User.sign_in_token == digest(PURPOSE, text),
        User.sign_in_expires > clock.now(),
        User.status == UserStatus.ACTIVE,
        User.deleted_at.is_(None),
    )
