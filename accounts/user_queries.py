"""Reads of users: who is there, as far as the asking client may see them. Writes nothing.

A client sees the users with a role there and no others; `client_id` None sees everybody, which is
for super admins. Roles at other clients are only for the rules of user_edit.py, never for show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, select, union
from sqlalchemy.orm import Session

from accounts.audit import AuditEntry
from accounts.client import Client
from accounts.key import ApiKey
from accounts.permission import RANKS
from accounts.user import ClientRole, Role, User, UserStatus
from accounts.user_search import best, holding
from core.address import normalise_email
from core.clock import Clock
from core.errors import NotFoundError
from core.page import OLDEST, Walk
from core.rows import among

USERS = "users"
LATELY = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Seen:
    """A user as one client sees them."""

    user: User
    role: Role
    """At the client that asks; for those who see everybody, the highest anywhere."""
    status: UserStatus
    """At the client that asks, or else the account's: the account's for those who see everybody."""
    roles: tuple[tuple[int, Role], ...]
    """(client, role), of every client."""
    barred: Mapping[int, UserStatus]
    """Clients where the status is another than active, and which."""


@dataclass(frozen=True, slots=True)
class Held:
    """One client where a user has a role, suspended there or not."""

    client_id: int
    name: str
    role: Role
    status: UserStatus
    """There; the account's own is for everywhere."""


@dataclass(frozen=True, slots=True)
class UserStatistics:
    """Users, counted."""

    total: int
    by_status: dict[str, int]
    by_role: dict[str, int]
    two_factor: int
    email_verified: int
    never_logged_in: int
    logged_in_lately: int
    """Within 30 days."""
    created_lately: int


def visible(client_id: int | None) -> ColumnElement[bool]:
    """Return whether a client sees a user."""
    here = User.deleted_at.is_(None)
    return here if client_id is None else and_(here, _has(client_id, None))


def users_page(
    session: Session,
    client_id: int | None,
    *,
    role: Role | None = None,
    status: UserStatus | None = None,
    words: str | None = None,
    walk: Walk = OLDEST,
    limit: int = 50,
) -> list[Seen]:
    """Return up to `limit` users, oldest first or as `walk` says; each of `words` must be met."""
    model: Any = User
    given = holding(session, client_id, words or "", enough=limit)
    query = select(User).where(User.deleted_at.is_(None), *given)
    if client_id is not None:
        query = query.join(ClientRole, ClientRole.user_id == User.id)
        query = query.where(ClientRole.client_id == client_id)
        if walk.column == "id" and not walk.spans:
            # In the order of the index by client and user, which says where a page begins.
            model = SimpleNamespace(id=ClientRole.user_id)
        query = query if role is None else query.where(ClientRole.role == role)
    elif role is not None:
        query = query.where(_has(None, role))
    if status is not None:
        query = query.where(_standing(client_id) == status)
    found = session.scalars(walk.over(query, model, limit)).all()
    return _seen(session, client_id, found)


def search_users(
    session: Session, client_id: int | None, words: str, *, limit: int = 20
) -> list[Seen]:
    """Return up to `limit` users whose names or email hold each of the words, the best first."""
    plain = " ".join(words.lower().split())
    if not plain:
        return []
    found = best(session, client_id, _alive(client_id), plain, limit=limit)
    return _seen(session, client_id, found)


def seen_user(session: Session, client_id: int | None, user_id: int) -> Seen:
    """Return one user. Raises NotFoundError, also for one who has no role at the client."""
    found = seen_users(session, client_id, [user_id])
    if user_id not in found:
        raise NotFoundError(f"there is no user {user_id}")
    return found[user_id]


def seen_users(session: Session, client_id: int | None, user_ids: Sequence[int]) -> dict[int, Seen]:
    """Return users by id; those the client does not see are left out."""
    query = _alive(client_id).where(among(session, User.id, user_ids))
    found = _seen(session, client_id, session.scalars(query).all())
    return {one.user.id: one for one in found}


def held_by(session: Session, user_id: int) -> list[Held]:
    """Return where a user has a role, in the order of the clients' ids. Raises NotFoundError."""
    seen_user(session, None, user_id)
    query = (
        select(Client.id, Client.name, ClientRole.role, ClientRole.status)
        .join(ClientRole, ClientRole.client_id == Client.id)
        .where(ClientRole.user_id == user_id, Client.deleted_at.is_(None))
    )
    return [Held(*row) for row in session.execute(query.order_by(Client.id))]


def held_there(session: Session, user_id: int, client_id: int) -> Held:
    """Return a user's role at a client. Raises NotFoundError."""
    for one in held_by(session, user_id):
        if one.client_id == client_id:
            return one
    raise NotFoundError(
        f"user {user_id} has no role at client {client_id}",
        remedy=f"GET /users/{user_id}/clients lists where they have one",
    )


def locked_users(
    session: Session, client_id: int | None, user_ids: Sequence[int]
) -> dict[int, Seen]:
    """Return users as `seen_users` does; nobody else changes them until this transaction ends.

    They are locked in id order, and before any client: whoever changes users does it so.
    """
    some = select(User.id).where(among(session, User.id, user_ids)).order_by(User.id)
    session.execute(some.with_for_update(key_share=True)).all()
    session.expire_all()
    return seen_users(session, client_id, user_ids)


def locked_user(session: Session, client_id: int | None, user_id: int) -> Seen:
    """Return one user as `locked_users` does. Raises NotFoundError."""
    found = locked_users(session, client_id, [user_id])
    if user_id not in found:
        raise NotFoundError(f"there is no user {user_id}")
    return found[user_id]


def seen_by_email(session: Session, client_id: int | None, email: str) -> Seen:
    """Return the user with this address in any spelling. Raises NotFoundError, AddressError."""
    query = _alive(client_id).where(User.email == normalise_email(email, field="email"))
    found = _seen(session, client_id, session.scalars(query).all())
    if not found:
        raise NotFoundError("there is no user with this email", field="email")
    return found[0]


def user_statistics(session: Session, clock: Clock, client_id: int | None) -> UserStatistics:
    """Count the users: one scan for the counts, one for the roles."""
    lately = clock.now() - LATELY
    marks = {
        "total": func.count(),
        "two_factor": func.count().filter(User.two_factor_enabled),
        "email_verified": func.count().filter(User.email_verified),
        "never_logged_in": func.count().filter(User.last_login.is_(None)),
        "logged_in_lately": func.count().filter(User.last_login >= lately),
        "created_lately": func.count().filter(User.created_at >= lately),
    }
    standing = _standing(client_id)
    marks |= {one.value: func.count().filter(standing == one) for one in UserStatus}
    query = _alive(client_id)
    if client_id is not None:
        here = (ClientRole.user_id == User.id) & (ClientRole.client_id == client_id)
        query = query.join(ClientRole, here)
    counted = session.execute(query.with_only_columns(*marks.values())).one()
    told: dict[str, Any] = dict(zip(marks, counted, strict=True))
    by_status = {one.value: told.pop(one.value) for one in UserStatus}
    return UserStatistics(**told, by_status=by_status, by_role=_by_role(session, client_id))


def user_activity(
    session: Session, client_id: int | None, user_id: int, *, before: int | None, limit: int = 50
) -> list[AuditEntry]:
    """Return what a user did, and what was done to their account, newest first."""
    keys = session.scalars(select(ApiKey.id).where(ApiKey.user_id == user_id))
    actors = [f"user:{user_id}", *(f"key:{key_id}" for key_id in keys)]
    newest = select(AuditEntry.id).order_by(AuditEntry.id.desc()).limit(limit)
    if client_id is not None:
        newest = newest.where(AuditEntry.client_id == client_id)
    if before is not None:
        newest = newest.where(AuditEntry.id < before)
    # Each by its index: of all at once, the database would read the whole log.
    each = [newest.where(AuditEntry.actor == actor).subquery() for actor in actors]
    each.append(newest.where(AuditEntry.target == f"user:{user_id}").subquery())
    ids = union(*(select(one.c.id) for one in each)).subquery()
    query = select(AuditEntry).where(AuditEntry.id.in_(select(ids.c.id)))
    return list(session.scalars(query.order_by(AuditEntry.id.desc()).limit(limit)))


def _alive(client_id: int | None) -> Select[Any]:
    return select(User).where(visible(client_id))


def _standing(client_id: int | None) -> ColumnElement[UserStatus]:
    """Return a user's status as `Seen.status` is, where a client's is joined with its roles."""
    if client_id is None:
        return User.status.expression
    return case((ClientRole.status != UserStatus.ACTIVE, ClientRole.status), else_=User.status)


def _has(client_id: int | None, role: Role | None) -> ColumnElement[bool]:
    """Return whether a user has a role at the client, or anywhere."""
    if client_id is None and role is Role.SUPER_ADMIN:
        return User.role == Role.SUPER_ADMIN
    here = [ClientRole.user_id == User.id]
    here += [] if client_id is None else [ClientRole.client_id == client_id]
    here += [] if role is None else [ClientRole.role == role]
    return exists().where(and_(*here)).correlate(User)


def _seen(session: Session, client_id: int | None, users: Sequence[User]) -> list[Seen]:
    held: dict[int, list[tuple[int, Role]]] = {one.id: [] for one in users}
    barred: dict[int, dict[int, UserStatus]] = {one.id: {} for one in users}
    query = select(ClientRole).where(among(session, ClientRole.user_id, list(held)))
    for row in session.scalars(query.order_by(ClientRole.client_id)) if held else ():
        held[row.user_id].append((row.client_id, row.role))
        if row.status is not UserStatus.ACTIVE:
            barred[row.user_id][row.client_id] = row.status
    return [
        Seen(
            user=one,
            role=_role(one, client_id, held[one.id]),
            status=barred[one.id].get(client_id or 0, one.status),
            roles=tuple(held[one.id]),
            barred=barred[one.id],
        )
        for one in users
    ]


def _role(user: User, client_id: int | None, roles: Sequence[tuple[int, Role]]) -> Role:
    if user.role is Role.SUPER_ADMIN:
        return Role.SUPER_ADMIN
    here = [role for where, role in roles if client_id in (None, where)]
    return max(here, key=RANKS.__getitem__, default=Role.USER)


def _by_role(session: Session, client_id: int | None) -> dict[str, int]:
    query = (
        select(ClientRole.role, func.count(ClientRole.user_id.distinct()))
        .join(User, User.id == ClientRole.user_id)
        .where(User.deleted_at.is_(None))
        .group_by(ClientRole.role)
    )
    if client_id is not None:
        query = query.where(ClientRole.client_id == client_id)
    counted = {role.value: count for role, count in session.execute(query)}
    if client_id is None:
        supers = select(func.count()).select_from(User)
        supers = supers.where(User.role == Role.SUPER_ADMIN, User.deleted_at.is_(None))
        counted[Role.SUPER_ADMIN.value] = session.scalar(supers) or 0
    return {role.value: counted.get(role.value, 0) for role in Role if counted.get(role.value)}
