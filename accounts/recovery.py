"""Recovery: a new password by a link, and the proof that an address is one's own.

A link's text is random, kept as a hash that names its purpose, good once, and replaced by the next
one. Using it is one statement, so of two at once one wins.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from accounts.one_time import digest, new_text
from accounts.session import end_access
from accounts.sign_in import spelled
from accounts.user import User, UserStatus
from core.clock import Clock
from core.errors import InvalidError

RESET, VERIFY, BEGIN = "reset", "verify", "begin"
RESET_LIVES = timedelta(hours=1)
BEGIN_LIVES = timedelta(days=7)
VERIFY_LIVES = timedelta(days=1)
MAY_RESET = (UserStatus.ACTIVE, UserStatus.PENDING)
"""A pending user has no password yet: setting one is how they begin."""


def ask_reset(session: Session, clock: Clock, *, email: str) -> tuple[str, str] | None:
    """Give an account a link; return where it goes and its text, None when there is no account.

    Either way it is one statement, so that nobody learns from the time it took.
    """
    text = new_text()
    found = session.scalar(
        update(User)
        .where(User.email == spelled(email), User.status.in_(MAY_RESET), User.deleted_at.is_(None))
        .values(
            password_reset_token=digest(RESET, text),
            password_reset_expires=clock.now() + RESET_LIVES,
        )
        .returning(User.email)
        .execution_options(synchronize_session=False)
    )
    return (found, text) if found else None


def begin(session: Session, clock: Clock, user: User) -> str:
    """Give an account that waits for its first password a link to set it; return its text.

    It is for whoever runs the installation to hand on, and for nobody else: see
    accounts.invitation, rule 4. It proves no address, and ends with the first password there is.
    """
    text = new_text()
    user.password_reset_token = digest(BEGIN, text)
    user.password_reset_expires = clock.now() + BEGIN_LIVES
    session.flush()
    return text


def email_of_reset(session: Session, clock: Clock, *, text: str) -> str:
    """Return whose password a link may set; it only reads. Raises InvalidError."""
    found = session.scalar(select(User.email).where(*_resettable(clock, text)))
    if found is None:
        raise dead_link()
    return found


def reset(session: Session, clock: Clock, *, text: str, password_hash: str) -> int:
    """Set a password by a link; every session and key of the account ends. Raises InvalidError.

    A second factor stays on. Return the user's id.
    """
    user_id = session.scalar(
        update(User)
        .where(*_resettable(clock, text))
        .values(
            password_hash=password_hash,
            password_reset_token=None,
            password_reset_expires=None,
            sign_in_token=None,
            # A link that was handed on says nothing of the address.
            email_verified=or_(User.email_verified, _mailed(text)),
            status=UserStatus.ACTIVE,
            failed_login_attempts=0,
            updated_at=clock.now(),
        )
        .returning(User.id)
        .execution_options(synchronize_session=False)
    )
    if user_id is None:
        raise dead_link()
    end_access(session, clock, user_id=user_id)
    return user_id


def set_password(session: Session, clock: Clock, user: User, *, password_hash: str) -> None:
    """Give a user a password; every session and key of theirs ends, and every open link."""
    user.password_hash = password_hash
    user.password_reset_token = user.password_reset_expires = user.sign_in_token = None
    user.updated_at = clock.now()
    session.flush()
    end_access(session, clock, user_id=user.id)


def ask_verification(session: Session, clock: Clock, user: User) -> str:
    """Give a user a link that proves the address is theirs; return its text."""
    text = new_text()
    user.email_verification_token = digest(VERIFY, text)
    user.email_verification_expires = clock.now() + VERIFY_LIVES
    session.flush()
    return text


def verify(session: Session, clock: Clock, *, text: str) -> int:
    """Note that an address was proven; return the user's id. Raises InvalidError."""
    user_id = session.scalar(
        update(User)
        .where(
            User.email_verification_token == digest(VERIFY, text),
            User.email_verification_expires > clock.now(),
            User.deleted_at.is_(None),
        )
        .values(email_verified=True, email_verification_token=None, email_verification_expires=None)
        .returning(User.id)
        .execution_options(synchronize_session=False)
    )
    if user_id is None:
        raise dead_link()
    return user_id


def dead_link() -> InvalidError:
    """Return the one answer to every link that is not good, whatever the reason."""
    return InvalidError(
        "this link is not good any more", field="token", remedy="ask for another one"
    )


def _resettable(clock: Clock, text: str) -> tuple[ColumnElement[bool], ...]:
    return (
        or_(_mailed(text), and_(_handed_on(text), User.password_hash.is_(None))),
        User.password_reset_expires > clock.now(),
        User.status.in_(MAY_RESET),
        User.deleted_at.is_(None),
    )


def _mailed(text: str) -> ColumnElement[bool]:
    return User.password_reset_token == digest(RESET, text)


def _handed_on(text: str) -> ColumnElement[bool]:
    return User.password_reset_token == digest(BEGIN, text)
