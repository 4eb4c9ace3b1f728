"""Changes of clients by whoever runs the installation: tiers, and many at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from accounts.audit import record
from accounts.client import SubscriptionTier, client, update_client
from accounts.client_queries import Ids, require_seen
from core.clock import Clock
from core.errors import EngineError, InvalidError

MAX_BULK = 200
TIER = "client.tier"
"""The action under which the audit log keeps the history of a client's tiers."""
BULK = frozenset(
    {"status", "industry", "company_size", "tags", "timezone", "country", "contract_start",
     "contract_end", "monthly_spend_limit"}
)  # fmt: skip
"""What many may be given at once: nothing that tells one client from another."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one client of a bulk change."""

    client_id: int
    status: str
    """`changed`, `failed`, or `not_done` because another one failed."""
    error: EngineError | None = None


def change_tier(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    tier: SubscriptionTier,
    actor: str,
    reason: str | None = None,
) -> bool:
    """Give a client a tier, up or down; the audit log keeps when, by whom and from which.

    False: it had that tier already, and nothing is written. Raises NotFoundError.
    """
    found = client(session, client_id)
    before = found.subscription_tier
    if before is tier:
        return False
    found.subscription_tier, found.updated_at = tier, clock.now()
    record(
        session,
        clock,
        client_id=client_id,
        actor=actor,
        action=TIER,
        target=f"client:{client_id}",
        before={"subscription_tier": before.value},
        after={"subscription_tier": tier.value},
        reason=reason,
    )
    session.flush()
    return True


def bulk_update_clients(
    session: Session,
    clock: Clock,
    *,
    among_ids: Ids,
    client_ids: Sequence[int],
    changes: Mapping[str, Any],
    all_or_nothing: bool = False,
) -> list[Result]:
    """Give many clients the same values; say of each what became of it.

    Raises NotFoundError for one the asker may not see, and InvalidError for what cannot be changed
    of many.
    """
    if not 1 <= len(client_ids) <= MAX_BULK:
        raise InvalidError(
            f"name 1 to {MAX_BULK} clients", field="ids", remedy="send them in parts"
        )
    unknown = sorted(changes.keys() - BULK)
    if unknown or not changes:
        raise InvalidError(
            f"{unknown[0]} is not changed of many" if unknown else "nothing is to be changed",
            field=f"changes.{unknown[0]}" if unknown else "changes",
            remedy=f"use {', '.join(sorted(BULK))}",
        )
    ids = list(dict.fromkeys(client_ids))
    require_seen(session, among_ids, ids)
    with session.begin_nested() as savepoint:
        # In one order, whoever asks: two transactions then never wait for each other.
        tried = {one: _tried(session, clock, one, changes) for one in sorted(ids)}
        results = [tried[client_id] for client_id in ids]
        if all_or_nothing and any(one.error is not None for one in results):
            savepoint.rollback()
            return [one if one.error else Result(one.client_id, "not_done") for one in results]
    return results


def _tried(session: Session, clock: Clock, client_id: int, changes: Mapping[str, Any]) -> Result:
    try:
        update_client(session, clock, client_id=client_id, **changes)
    except EngineError as error:
        return Result(client_id, "failed", error)
    return Result(client_id, "changed")
