"""Principal: who acts, for which client, and what they may do there."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from accounts.key import ApiKey, refusal
from accounts.permission import allowed, within
from accounts.user import Role, User, UserStatus, held_at
from core.errors import ForbiddenError


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
    if not held:
        raise refusal()
    return Principal(
        actor=f"key:{key.id}",
        client_id=key.client_id,
        actions=within(key.scopes, held),
        user_id=key.user_id,
        rate=key.rate,
    )


def key_limit(session: Session, *, user_id: int | None, client_id: int) -> frozenset[str]:
    """Return the most that a key may: what its owner may there now, or an admin if it has none."""
    if user_id is None:
        return allowed(Role.ADMIN)
    owner = session.get(User, user_id)
    if owner is None or owner.deleted_at is not None or owner.status is not UserStatus.ACTIVE:
        return frozenset()
    held = held_at(session, user_id=user_id, client_id=client_id)
    return allowed(*held) if held else frozenset()
