"""LastAdmin: a client always keeps an admin who may log in."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from accounts.client import hold
from accounts.user import ClientRole, Role, User, UserStatus
from accounts.user_queries import Seen
from core.errors import ConflictError


def hold_theirs(session: Session, users: Iterable[Seen], client_id: int | None) -> None:
    """Hold the clients where some of these are admins: all of them, or only `client_id`.

    Of two that would take the last two admins away, the second waits, and sees what the first did.
    """
    admins = (pair for one in users for pair in one.roles if pair[1] is Role.ADMIN)
    hold(session, *{where for where, _ in admins if client_id in (None, where)})


def keep_an_admin(session: Session, seen: Seen, client_id: int) -> None:
    """Raise ConflictError for the only admin a client has; the caller holds the client."""
    if (client_id, Role.ADMIN) not in seen.roles:
        return
    able = (
        select(User.id)
        .join(ClientRole, User.id == ClientRole.user_id)
        .where(
            ClientRole.client_id == client_id,
            ClientRole.role == Role.ADMIN,
            ClientRole.status == UserStatus.ACTIVE,
            User.status == UserStatus.ACTIVE,
            User.deleted_at.is_(None),
        )
    )
    if set(session.scalars(able)) == {seen.user.id}:
        raise ConflictError(
            f"this is the last admin of client {client_id}",
            remedy="make somebody else an admin there first",
        )
