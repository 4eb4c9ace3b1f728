"""Principal: who acts, for which client, and what they may do there."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from accounts.client import USABLE, Client
from accounts.key import ApiKey, refusal
from accounts.permission import PERSONAL, allowed, within
from accounts.user import ClientRole, Role, User, UserStatus
from core.errors import ForbiddenError

MAX_PLACES = 200
"""Clients that are listed for one person."""


class StaleSessionError(ForbiddenError):
    """The caller may do this, once they have proved again who they are."""

    code = "stale_session"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever proved who they are."""

    actor: str
    """For the audit log: `key:3` or `user:7`."""
    client_id: int | None
    """The client acted for; None for a person who has none."""
    actions: frozenset[str]
    """What they may do there, now."""
    user_id: int | None = None
    """The person; None for a key that belongs to nobody."""
    rate: int | None = None
    """Requests a second they may send; None is what everybody may."""
    role: Role = Role.ADMIN
    """The role behind the actions: a person's own there, an admin's for a key of nobody."""
    session_id: int | None = None
    """The session, when a person signed in."""
    fresh: bool = True
    """Whether a person proved lately who they are; a key has nothing else to prove."""

    def require_fresh(self) -> None:
        """Raise StaleSessionError unless whoever acts proved lately who they are."""
        if not self.fresh:
            raise StaleSessionError(
                "it is too long since you proved who you are",
                remedy="send your password, or a code, to POST /me/proof; go to your identity "
                "provider by POST /me/proof/oidc; or sign in again, by a link if you have neither",
            )

    def require(self, action: str) -> None:
        """Raise ForbiddenError unless `action` may be done."""
        if action not in self.actions:
            raise ForbiddenError(
                f"you may not do this: it needs “{action}”",
                remedy=f"ask an admin for “{action}”, or use a key with that scope; "
                "docs/reference/permissions.md says who may what",
            )


def key_holder(session: Session, key: ApiKey) -> Principal:
    """Return who a key speaks for.

    Raises UnauthenticatedError once its owner is suspended, deleted or without a role.
    """
    held = key_limit(session, user_id=key.user_id, client_id=key.client_id)
    if held is None:
        raise refusal()
    return Principal(
        actor=f"key:{key.id}",
        client_id=key.client_id,
        actions=within(key.scopes, allowed(*held)),
        user_id=key.user_id,
        rate=key.rate,
        role=held[0],
    )


def key_limit(
    session: Session, *, user_id: int | None, client_id: int
) -> tuple[Role, list[str]] | None:
    """Return the most that a key may: what its owner may there now, or an admin if it has none."""
    if user_id is None:
        return Role.ADMIN, []
    owner = session.get(User, user_id)
    if owner is None or owner.deleted_at is not None or owner.status is not UserStatus.ACTIVE:
        return None
    here = next(iter(places(session, owner, client_id=client_id, limit=1)), None)
    return None if here is None else (here.role, here.permissions)


@dataclass(frozen=True, slots=True)
class Place:
    """One client where somebody has a role."""

    client_id: int
    name: str
    role: Role
    permissions: list[str]


def person(
    session: Session, who: User, *, session_id: int, fresh: bool, client_id: int | None = None
) -> Principal:
    """Return what somebody who signed in may do at a client: the one named, or else their first.

    Raises ForbiddenError for a client where they have no role.
    """
    here = next(iter(places(session, who, client_id=client_id, limit=1)), None)
    if here is None and client_id is not None:
        raise ForbiddenError(
            f"you have no role at client {client_id}",
            field="X-Client",
            remedy="GET /me lists your clients",
        )
    top = Role.SUPER_ADMIN if who.role is Role.SUPER_ADMIN else None
    actions = allowed(here.role, here.permissions) if here else allowed(top)
    return Principal(
        actor=f"user:{who.id}",
        client_id=here.client_id if here else None,
        actions=actions | PERSONAL,
        user_id=who.id,
        role=here.role if here else who.role,
        session_id=session_id,
        fresh=fresh,
    )


def places(
    session: Session, who: User, *, client_id: int | None = None, limit: int = MAX_PLACES
) -> list[Place]:
    """Return where somebody may work, in the order of their ids; a super admin, everywhere.

    Not where they are suspended. Clients that may not use the engine are for super admins only,
    after the others.
    """
    query = select(Client.id, Client.name).where(Client.deleted_at.is_(None)).limit(limit)
    if client_id is not None:
        query = query.where(Client.id == client_id)
    if who.role is Role.SUPER_ADMIN:
        ranked = query.order_by(Client.status.in_(USABLE).desc(), Client.id)
        return [Place(*row, Role.SUPER_ADMIN, []) for row in session.execute(ranked)]
    held = (
        query.add_columns(ClientRole.role, ClientRole.permissions)
        .join(ClientRole, ClientRole.client_id == Client.id)
        .where(
            ClientRole.user_id == who.id,
            ClientRole.status == UserStatus.ACTIVE,
            Client.status.in_(USABLE),
        )
        .order_by(Client.id)
    )
    return [Place(*row) for row in session.execute(held)]
