"""Changes of users: who may change whom, one at a time and many.

Rules
    1. Nobody gives a role above their own, or changes somebody above them.
    2. Nobody changes their own role or status, or deletes themselves.
    3. A client always keeps an admin who may log in.
    4. Who works for other clients too belongs to none of them: a client changes their role and
       status with it and nothing else, and deleting them there only ends that role.
    5. A client stops somebody at that client only; a whole account is a super admin's to stop.
    6. Users are locked before they are looked at, then the clients that may lose an admin, each in
       id order: however many two change at once, one waits for the other, and never in a ring.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from accounts.client import hold
from accounts.invitation import revoke_of, revoke_to
from accounts.last_admin import hold_theirs, keep_an_admin
from accounts.permission import RANKS, allowed, checked_actions, may_give
from accounts.profile import PROFILE, read_profile
from accounts.session import end_access
from accounts.user import (
    ClientRole,
    Role,
    User,
    UserStatus,
    create_user,
    grant_role,
    user_by_email,
)
from accounts.user_queries import Seen, locked_user, locked_users, seen_user
from core.clock import Clock
from core.errors import ConflictError, EngineError, ForbiddenError, InvalidError, NotFoundError

MAX_BULK = 200
ENDED = {
    "password_hash": None,
    "password_reset_token": None,
    "password_reset_expires": None,
    "email_verification_token": None,
    "sign_in_token": None,
    "two_factor_enabled": False,
    "two_factor_secret": None,
}
"""What a deleted account no longer has."""
HERE = frozenset({"role", "status"})
"""What a client says of somebody's work there."""
AT = "name the client in the header X-Client"
STOPPED = (UserStatus.INACTIVE, UserStatus.SUSPENDED)


@dataclass(frozen=True, slots=True)
class Editor:
    """Who changes users, and the client they speak for."""

    role: Role
    """There."""
    client_id: int | None
    user_id: int | None = None
    """None for a program."""
    actions: frozenset[str] | None = None
    """What they may do there, where that is less than their role allows."""

    @property
    def sees(self) -> int | None:
        """The client whose users they see; None is everybody, 0 nobody."""
        return None if self.role is Role.SUPER_ADMIN else self.client_id or 0

    def may_give(self, actions: frozenset[str]) -> bool:
        """Say whether they may do all of this themselves, or as the person they speak for."""
        held = allowed(self.role) if self.actions is None else self.actions
        return may_give(held, actions)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one user of a bulk change."""

    user_id: int
    status: str
    """`changed`, `unchanged`, `failed`, or `not_done` because another one failed."""
    error: EngineError | None = None


def add_user(
    session: Session, clock: Clock, *, editor: Editor, email: str, role: Role, **profile: Any
) -> Seen:
    """Make a user with a role at the editor's client; `profile` are fields of PROFILE.

    Raises InvalidError with the field, ForbiddenError, or ConflictError for an email that has a
    user, here or at another client: that one is invited.
    """
    if editor.client_id is None and role is not Role.SUPER_ADMIN:
        raise InvalidError("say at which client", field="role", remedy=AT)
    _refuse_giving(editor, role)
    values = read_profile(profile)
    unknown = sorted(values.keys() - PROFILE)
    if unknown:
        raise InvalidError(f"a new user has no {unknown[0]}", field=unknown[0])
    client_id = None if role is Role.SUPER_ADMIN else editor.client_id
    made = create_user(session, clock, email=email, role=role, client_id=client_id)
    for name, value in _named(made, values).items():
        setattr(made, name, value)
    session.flush()
    return seen_user(session, editor.sees, made.id)


def set_permissions(
    session: Session, clock: Clock, *, editor: Editor, user_id: int, actions: Sequence[str]
) -> list[str]:
    """Let a user do single actions at the editor's client beyond their role; return what they held.

    Raises NotFoundError, ForbiddenError for an action one may not do oneself, InvalidError.
    """
    wanted = checked_actions(actions, field="permissions")
    seen = locked_user(session, editor.sees, user_id)
    _refuse_above(editor, seen)
    if editor.user_id == user_id:
        raise ForbiddenError("nobody changes their own permissions", field="permissions")
    mine = (ClientRole.user_id == user_id, ClientRole.client_id == editor.client_id)
    held = session.scalar(select(ClientRole).where(*mine))
    if held is None:
        raise NotFoundError(
            f"user {user_id} has no role at this client", remedy="invite them to one"
        )
    if not editor.may_give(frozenset(wanted) - frozenset(held.permissions)):
        raise ForbiddenError(
            "you may not do all of this yourself",
            field="permissions",
            remedy="give what GET /me says that you may",
        )
    before, held.permissions = held.permissions, wanted
    if set(before) - set(wanted):
        revoke_of(session, clock, user_id=user_id, client_id=held.client_id)
    seen.user.updated_at = clock.now()
    session.flush()
    return before


def update_user(
    session: Session, clock: Clock, *, editor: Editor, user_id: int, **changes: Any
) -> Seen:
    """Change what is given; `role` is the one at the editor's client, super_admin's everywhere.

    So is `status`: a super admin sets the account's, anybody else that at their client.

    Raises NotFoundError, InvalidError with the field, ForbiddenError, or ConflictError.
    """
    values = read_profile(changes)
    seen = locked_user(session, editor.sees, user_id)
    _hold_clients(session, editor, [seen], values)
    _change(session, clock, editor, seen, values)
    return seen_user(session, editor.sees, user_id)


def bulk_update_users(
    session: Session,
    clock: Clock,
    *,
    editor: Editor,
    user_ids: Sequence[int],
    changes: Mapping[str, Any],
    all_or_nothing: bool = False,
) -> list[Result]:
    """Give many users the same status, role, timezone or language; say of each what became of it.

    Raises NotFoundError when one of them is not the client's to see, InvalidError for the changes.
    """
    if not 1 <= len(user_ids) <= MAX_BULK:
        raise InvalidError(f"name 1 to {MAX_BULK} users", field="ids", remedy="send them in parts")
    if not changes:
        raise InvalidError(
            "nothing is to be changed", field="changes", remedy="name a field and its new value"
        )
    values = read_profile(changes)
    found = locked_users(session, editor.sees, user_ids)
    for user_id in user_ids:
        if user_id not in found:
            raise NotFoundError(f"there is no user {user_id}", field="ids")
    _hold_clients(session, editor, found.values(), values)
    with session.begin_nested() as savepoint:
        results = [
            _tried(session, clock, editor, found[user_id], values)
            for user_id in dict.fromkeys(user_ids)
        ]
        if all_or_nothing and any(one.error is not None for one in results):
            savepoint.rollback()
            return [one if one.error else Result(one.user_id, "not_done") for one in results]
    return results


def delete_user(session: Session, clock: Clock, *, editor: Editor, user_id: int) -> bool:
    """Delete a user; the email can be used again. False: they still work for other clients.

    Their keys end. Raises NotFoundError, ForbiddenError, or ConflictError for oneself and for the
    last admin of a client.
    """
    seen = locked_user(session, editor.sees, user_id)
    if editor.user_id == user_id:
        raise ConflictError(
            "your own account cannot be deleted", remedy="ask another admin to delete it"
        )
    _refuse_above(editor, seen)
    elsewhere = _elsewhere(editor, seen)
    leaves = [where for where, _ in seen.roles if where == editor.client_id or not elsewhere]
    hold(session, *leaves)
    for client_id in leaves:
        _leave(session, clock, seen, client_id)
    if not elsewhere:
        _end(session, clock, seen.user)
    return not elsewhere


def _tried(
    session: Session, clock: Clock, editor: Editor, seen: Seen, values: Mapping[str, Any]
) -> Result:
    try:
        changed = _change(session, clock, editor, seen, values)
    except EngineError as error:
        return Result(seen.user.id, "failed", error)
    return Result(seen.user.id, "changed" if changed else "unchanged")


def _change(
    session: Session, clock: Clock, editor: Editor, seen: Seen, values: Mapping[str, Any]
) -> bool:
    """Change a user; say whether anything is different now. Nothing is written when it raises."""
    user = seen.user
    fresh = {name: value for name, value in values.items() if value != _now(editor, seen, name)}
    if not fresh:
        return False
    _refuse(session, editor, seen, fresh)
    role, status = fresh.pop("role", None), fresh.pop("status", None)
    if role is not None:
        _set_role(session, clock, editor, seen, role)
    if status is not None:
        _set_status(session, clock, editor, seen, status)
    for name, value in _named(user, fresh).items():
        setattr(user, name, value)
    if "email" in fresh:
        user.email_verified = False
        user.password_reset_token = user.email_verification_token = user.sign_in_token = None
    user.updated_at = clock.now()
    session.flush()
    return True


def _named(user: User, fresh: Mapping[str, Any]) -> Mapping[str, Any]:
    """Let the full name follow the first and last, unless it is given."""
    if "full_name" in fresh or not fresh.keys() & {"first_name", "last_name"}:
        return fresh
    names = (fresh.get(name, getattr(user, name)) for name in ("first_name", "last_name"))
    return {**fresh, "full_name": " ".join(name for name in names if name) or None}


def _now(editor: Editor, seen: Seen, name: str) -> Any:
    """Return what the editor would change."""
    if name == "status":
        return seen.status
    if name != "role":
        return getattr(seen.user, name)
    if seen.user.role is Role.SUPER_ADMIN:
        return Role.SUPER_ADMIN
    return dict(seen.roles).get(editor.client_id or 0)


def _refuse(session: Session, editor: Editor, seen: Seen, fresh: Mapping[str, Any]) -> None:
    own = editor.user_id == seen.user.id
    _refuse_above(editor, seen)
    if own and not fresh.keys() <= PROFILE:
        field = min(fresh.keys() - PROFILE)
        raise ForbiddenError(f"nobody changes their own {field}", field=field)
    if "email" in fresh and editor.role is not Role.SUPER_ADMIN:
        raise ForbiddenError(
            "an email is changed by its owner, or by a super admin",
            field="email",
            remedy="delete this user and invite the new address",
        )
    if not own and _elsewhere(editor, seen) and fresh.keys() - HERE:
        raise ForbiddenError(
            "they work for other clients too",
            field=min(fresh.keys() - HERE),
            remedy="change their role and status here; the rest they change themselves",
        )
    if "role" in fresh:
        _refuse_giving(editor, fresh["role"])
    if "email" in fresh and user_by_email(session, fresh["email"]) is not None:
        raise ConflictError(
            "there is already a user with this email",
            field="email",
            remedy="give another address",
        )


def _refuse_giving(editor: Editor, role: Role) -> None:
    if RANKS[role] > RANKS[editor.role] or not editor.may_give(allowed(role)):
        raise ForbiddenError(
            "this role may more than you may", field="role", remedy="ask somebody who has it"
        )


def _refuse_above(editor: Editor, seen: Seen) -> None:
    if RANKS[seen.role] > RANKS[editor.role]:
        raise ForbiddenError(
            "this user's role is above your own", remedy="ask somebody who has that role"
        )


def _elsewhere(editor: Editor, seen: Seen) -> bool:
    """Say whether a user is of other clients too, where the editor has no word."""
    if editor.role is Role.SUPER_ADMIN:
        return False
    return any(where != editor.client_id for where, _ in seen.roles)


def _set_role(session: Session, clock: Clock, editor: Editor, seen: Seen, role: Role) -> None:
    user = seen.user
    if role is Role.SUPER_ADMIN:
        user.role = role
        return
    if editor.client_id is None:
        raise InvalidError("say at which client", field="role", remedy=AT)
    keep_an_admin(session, seen, editor.client_id)
    if user.role is Role.SUPER_ADMIN:
        _stop(session, clock, user_id=user.id)
    elif RANKS[role] < RANKS[seen.role]:
        _stop(session, clock, user_id=user.id, client_id=editor.client_id)
    user.role = Role.USER
    grant_role(session, clock, user_id=user.id, client_id=editor.client_id, role=role)


def _set_status(
    session: Session, clock: Clock, editor: Editor, seen: Seen, status: UserStatus
) -> None:
    """Stop somebody, or let them in again: at the editor's client, or a super admin everywhere."""
    user, at = seen.user, editor.sees
    if status is not UserStatus.ACTIVE:
        for client_id, _ in seen.roles:
            if at in (None, client_id):
                keep_an_admin(session, seen, client_id)
        _stop(session, clock, user_id=user.id, client_id=at)
    elif at is not None and user.status in STOPPED:
        raise ForbiddenError(
            "a super admin stopped this account",
            field="status",
            remedy="let a super admin make the account active first",
        )
    begins = user.status is UserStatus.PENDING and status is UserStatus.ACTIVE
    if at is None or begins:
        user.status = status
    if at is not None:
        mine = (ClientRole.user_id == user.id, ClientRole.client_id == at)
        session.scalars(select(ClientRole).where(*mine)).one().status = status


def _hold_clients(
    session: Session, editor: Editor, several: Iterable[Seen], values: Mapping[str, Any]
) -> None:
    """Hold every client that a change may take an admin from."""
    if HERE & values.keys():
        hold_theirs(session, several, editor.sees)


def _leave(session: Session, clock: Clock, seen: Seen, client_id: int) -> None:
    """End a user's role at a client, and their access there."""
    keep_an_admin(session, seen, client_id)
    mine = (ClientRole.user_id == seen.user.id, ClientRole.client_id == client_id)
    session.execute(delete(ClientRole).where(*mine))
    _stop(session, clock, user_id=seen.user.id, client_id=client_id)
    revoke_to(session, clock, client_id=client_id, email=seen.user.email)


def _stop(session: Session, clock: Clock, *, user_id: int, client_id: int | None = None) -> None:
    """End a user's sessions, and the keys and invitations they made, at a client or everywhere."""
    end_access(session, clock, user_id=user_id, client_id=client_id)
    revoke_of(session, clock, user_id=user_id, client_id=client_id)


def _end(session: Session, clock: Clock, user: User) -> None:
    """Delete an account; its address is kept behind its id, which no address looks like."""
    for name, value in ENDED.items():
        setattr(user, name, value)
    user.email = f"{user.id} {user.email}"
    user.role, user.status = Role.USER, UserStatus.INACTIVE
    user.deleted_at = user.updated_at = clock.now()
    _stop(session, clock, user_id=user.id)
    session.flush()
