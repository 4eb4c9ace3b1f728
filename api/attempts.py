"""Attempts: what is counted before it is tried, and stays counted whatever becomes of it."""

from collections.abc import Iterable

from sqlalchemy import select, update

from accounts.password import matches
from accounts.sign_in import spelled
from accounts.throttle import INVITATION, INVITING, MAIL, PASSWORD, Limit, give_back, take
from accounts.user import User
from api.context import clock, principal, release, services
from core.db import read, write
from core.errors import ForbiddenError, RateLimitedError


def attempt(limit: Limit, subject: str) -> None:
    """Count one try and commit that. Raises RateLimitedError.

    What this request read so far is let go of: on SQLite it would hold the right to write.
    """
    release()
    with write(services().sessions) as session:
        take(session, clock(), limit, subject)


def attempt_password(email: str) -> None:
    """Count one try of an account's password. Raises RateLimitedError."""
    name = spelled(email)
    attempt(PASSWORD, name)
    with write(services().sessions) as session:
        session.execute(
            update(User)
            .where(User.email == name)
            .values(failed_login_attempts=User.failed_login_attempts + 1)
        )


def succeeded(limit: Limit, subject: str) -> None:
    """Uncount one try: it was right."""
    release()
    with write(services().sessions) as session:
        give_back(session, limit, subject)


def may_mail(email: str) -> bool:
    """Say whether one more letter may go to an address, and count it."""
    try:
        attempt(MAIL, spelled(email))
    except RateLimitedError:
        return False
    return True


def may_invite(client_id: int, emails: Iterable[str]) -> dict[str, RateLimitedError | None]:
    """Say of each address why no invitation may be mailed to it now, and count those that may.

    All in one transaction and in one order: two that invite the same people wait for each other.
    """
    release()
    found: dict[str, RateLimitedError | None] = {}
    with write(services().sessions) as session:
        for name in sorted(map(spelled, emails)):
            found[name] = None
            try:
                take(session, clock(), INVITING, str(client_id))
                take(session, clock(), INVITATION, name)
            except RateLimitedError as error:
                found[name] = error
    return found


def prove_again(password: str) -> None:
    """Raise ForbiddenError unless the caller's own password is given once more."""
    with read(services().sessions) as session:
        email, held = session.execute(
            select(User.email, User.password_hash).where(User.id == principal().user_id)
        ).one()
    attempt_password(email)
    if not matches(held, password):
        raise ForbiddenError(
            "this is not your password",
            field="password",
            remedy="try again, or ask for a link at /password-resets",
        )
    succeeded(PASSWORD, email)
