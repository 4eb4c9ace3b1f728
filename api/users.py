"""/users: the people who log in, as far as the caller's client may see and change them."""

from collections.abc import Iterable, Mapping
from typing import Any

from accounts import user_edit, user_queries
from accounts.audit import record
from accounts.figures import figures
from accounts.permission import allowed
from accounts.recovery import begin
from accounts.user import Role, User, UserStatus, held_at, role_at
from accounts.user_edit import Editor
from accounts.user_queries import Held, Seen
from api.context import EVERYWHERE, actor, audit, clock, db, principal, reach, services
from api.letters import link_to
from api.openapi import Resource
from api.paging import all_of, by_id, paged, sorted_page
from api.problem import of_named
from api.schemas.page import PageQuery, page_of
from api.schemas.user import (
    ActivityEntrySchema,
    BulkResultsSchema,
    EmailQuery,
    FindQuery,
    HeldChangesSchema,
    HeldSchema,
    MadeUserSchema,
    NewUserSchema,
    PermissionsChangeSchema,
    UserBulkSchema,
    UserChangesSchema,
    UserPermissionsSchema,
    UserSchema,
    UsersQuery,
    UserStatisticsSchema,
)

bp = Resource("users", about="The people who log in")
ID = "<int(min=1,max=9223372036854775807):user_id>"
CHANGES_ALL = "clients:write"
"""The action that shows that a caller's changes reach beyond one client."""
PROVEN = frozenset({"email", "role"})
"""What hands an account over, or gives it more: changed only with a proof."""


def editor() -> Editor:
    """Return the caller as somebody who changes users."""
    who = principal()
    role: Role | None = Role.ADMIN
    if CHANGES_ALL in who.actions:
        role = Role.SUPER_ADMIN
    elif who.user_id is not None and who.client_id is not None:
        role = role_at(db(), user_id=who.user_id, client_id=who.client_id)
        role = Role.ADMIN if role is Role.SUPER_ADMIN else role
    return Editor(role or Role.USER, who.client_id, who.user_id, who.actions)


def _require_proof(changes: Mapping[str, Any]) -> None:
    if PROVEN & changes.keys():
        principal().require_fresh()


def shown(seen: Seen) -> dict[str, Any]:
    """Return a user as they are shown."""
    own = {"role": seen.role, "status": seen.status}
    names = UserSchema().fields.keys() - own.keys()
    return {name: getattr(seen.user, name) for name in names} | own


def results(found: Iterable[Any], name: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return what became of each of the bulk change that `data` asks for."""
    return {
        "results": [
            {
                "id": getattr(one, name),
                "status": one.status,
                "error": one.error and of_named(one.error, getattr(one, name), data),
            }
            for one in found
        ]
    }


@bp.get("/users")
@bp.arguments(UsersQuery, location="query")
@bp.response(200, page_of(UserSchema))
def list_users(query: dict[str, Any]) -> dict[str, Any]:
    """List users, oldest first; by role, status, or words of their name or email."""
    role, status = query["role"], query["status"]
    page = sorted_page(
        query,
        User,
        lambda walk, limit: user_queries.users_page(
            db(),
            reach(),
            role=role and Role(role),
            status=status and UserStatus(status),
            words=query["q"],
            walk=walk,
            limit=limit,
        ),
        lambda seen: seen.user,
    )
    return page | {"data": [shown(one) for one in page["data"]]}


@bp.post("/users")
@bp.action(CHANGES_ALL)  # a client learns of nobody's account elsewhere: it invites
@bp.arguments(NewUserSchema)
@bp.response(201, MadeUserSchema)
@bp.fresh
def create_user(data: dict[str, Any]) -> dict[str, Any]:
    """Add a user with a role at the client, as a super admin; anybody else invites."""
    email, role = data.pop("email"), Role(data.pop("role"))
    made = user_edit.add_user(db(), clock(), editor=editor(), email=email, role=role, **data)
    audit(f"user:{made.user.id}", role=role.value)
    mails = services().mailer.works
    link = None if mails else link_to("reset", begin(db(), clock(), made.user))
    return shown(made) | {"link": link}


@bp.get("/users/by-email")
@bp.arguments(EmailQuery, location="query")
@bp.response(200, UserSchema)
def get_by_email(query: dict[str, Any]) -> dict[str, Any]:
    """Show the user with this email, in any spelling."""
    return shown(user_queries.seen_by_email(db(), reach(), query["email"]))


@bp.get("/users/search")
@bp.arguments(FindQuery, location="query")
@bp.response(200, page_of(UserSchema))
def search_users(query: dict[str, Any]) -> dict[str, Any]:
    """Search users by words of their name or email; the best first."""
    found = user_queries.search_users(db(), reach(), query["q"], limit=query["limit"])
    return all_of([shown(one) for one in found])


@bp.get("/users/statistics")
@bp.response(200, UserStatisticsSchema)
def statistics() -> dict[str, Any]:
    """Count users by status and role, and how they log in; of many, as some minutes ago."""
    count = user_queries.user_statistics
    return dict(figures(db(), clock(), user_queries.USERS, count, reach()))


@bp.post("/users/bulk-edits")
@bp.arguments(UserBulkSchema)
@bp.response(200, BulkResultsSchema)
def edit_many(data: dict[str, Any]) -> dict[str, Any]:
    """Give up to 200 users the same values; each has its result, or all change or none.

    One that the caller cannot see refuses the whole request.
    """
    changes = data["changes"]
    _require_proof(changes)
    found = user_edit.bulk_update_users(
        db(),
        clock(),
        editor=editor(),
        user_ids=data["ids"],
        changes=changes,
        all_or_nothing=data["all_or_nothing"],
    )
    for one in found:
        if one.status == "changed":
            record(
                db(),
                clock(),
                client_id=principal().client_id,
                actor=actor(),
                action="user.update",
                target=f"user:{one.user_id}",
                after={name: changes[name] for name in changes.keys() & user_edit.HERE},
                fields=sorted(changes),
            )
    return results(found, "user_id", data)


@bp.get(f"/users/{ID}")
@bp.response(200, UserSchema)
def get_user(user_id: int) -> dict[str, Any]:
    """Show a user."""
    return shown(user_queries.seen_user(db(), reach(), user_id))


@bp.patch(f"/users/{ID}")
@bp.arguments(UserChangesSchema)
@bp.response(200, UserSchema)
def update_user(data: dict[str, Any], user_id: int) -> dict[str, Any]:
    """Change what is given; null empties a field. The role is the one at the caller's client."""
    _require_proof(data)
    changed = user_edit.update_user(db(), clock(), editor=editor(), user_id=user_id, **data)
    audit(f"user:{user_id}", fields=sorted(data))
    return shown(changed)


@bp.delete(f"/users/{ID}")
@bp.response(204)
@bp.fresh
def delete_user(user_id: int) -> None:
    """Delete a user; of one who works for other clients too, only the role here."""
    gone = user_edit.delete_user(db(), clock(), editor=editor(), user_id=user_id)
    audit(f"user:{user_id}", action=None if gone else "user.leave")


@bp.get(f"/users/{ID}/activity")
@bp.action("audit:read")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(ActivityEntrySchema))
def list_activity(query: dict[str, Any], user_id: int) -> dict[str, Any]:
    """List what a user did, and what was done to their account, newest first."""
    user_queries.seen_user(db(), reach(), user_id)
    return paged(
        query,
        lambda before, limit: user_queries.user_activity(
            db(), reach(), user_id, before=before, limit=limit
        ),
        by_id,
    )


@bp.get(f"/users/{ID}/permissions")
@bp.response(200, UserPermissionsSchema)
def get_permissions(user_id: int) -> dict[str, Any]:
    """Show what a user may do at the caller's client: by role, and beyond it."""
    return _permissions(user_id)


@bp.get(f"/users/{ID}/clients")
@bp.action(EVERYWHERE)
@bp.response(200, page_of(HeldSchema))
def list_clients(user_id: int) -> dict[str, Any]:
    """List at which clients a user has a role, and whether they may work there."""
    return all_of(user_queries.held_by(db(), user_id))


@bp.patch(f"/users/{ID}/clients/<int(min=1,max=9223372036854775807):client_id>")
@bp.action(CHANGES_ALL)
@bp.arguments(HeldChangesSchema)
@bp.response(200, HeldSchema)
def update_client(data: dict[str, Any], user_id: int, client_id: int) -> Held:
    """Suspend a user at one client, or let them work there again, as an admin there would."""
    user_queries.held_there(db(), user_id, client_id)
    there = Editor(Role.ADMIN, client_id, principal().user_id)
    user_edit.update_user(db(), clock(), editor=there, user_id=user_id, **data)
    audit(f"user:{user_id}", at=client_id)
    return user_queries.held_there(db(), user_id, client_id)


def _permissions(user_id: int) -> dict[str, Any]:
    user_queries.seen_user(db(), reach(), user_id)
    held = held_at(db(), user_id=user_id, client_id=principal().client_id or 0)
    role, added = held or (None, [])
    return {"role": role, "permissions": added, "actions": sorted(allowed(role, added))}


@bp.put(f"/users/{ID}/permissions")
@bp.arguments(PermissionsChangeSchema)
@bp.response(200, UserPermissionsSchema)
@bp.fresh
def set_permissions(data: dict[str, Any], user_id: int) -> dict[str, Any]:
    """Let a user do single actions at the caller's client beyond their role."""
    wanted = data["permissions"]
    before = user_edit.set_permissions(
        db(), clock(), editor=editor(), user_id=user_id, actions=wanted
    )
    audit(f"user:{user_id}", held=before, holds=wanted)
    return _permissions(user_id)
