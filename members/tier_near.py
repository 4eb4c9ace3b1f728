"""Near: who is close to a better tier, and who is about to lose the one they have."""

import math
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy import String, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from core.clock import Clock
from core.condition.ast import And, Compare, Condition, Did, Leaf, Measure, Not, Op, Or
from core.condition.json import from_json
from members.member import Member, Tier
from members.rule import compile_rule
from members.tier_rule import TierRule, TierStanding
from members.tier_step import RANKS

M, S = Member, TierStanding
NEAR = 0.2
"""Whoever would have the tier were its numbers a fifth easier is near it."""


@dataclass(frozen=True, slots=True)
class Falling:
    """A member whose tier falls unless the rules mean it again."""

    member: Member
    below_since: datetime
    falls_at: datetime


def eased(condition: Condition, by: float = NEAR) -> Condition:
    """Return the condition with its numbers easier to reach by a share; it means whoever it did.

    Numbers of members (`total_spend >= 500`), and counts and sums of what they did. A count of one
    stays one; what is no number stays as it is. Under a `not`, numbers become stricter.
    """
    match condition:
        case And(items=items):
            return And(tuple(eased(item, by) for item in items))
        case Or(items=items):
            return Or(tuple(eased(item, by) for item in items))
        case Not(item=item):
            return Not(eased(item, -by))
        case _:
            return _eased_leaf(condition, by)


def near_members(
    session: Session,
    clock: Clock,
    rule: TierRule,
    *,
    after: int = 0,
    limit: int = 50,
) -> list[Member]:
    """Return up to `limit` members after id `after` that are below a rule's tier and near it.

    Nobody where the rule has no number to be near to.
    """
    condition = from_json(rule.rule)
    easier = eased(condition)
    if easier == condition:
        return []
    now, client_id = clock.now(), rule.client_id
    below = [tier.value for tier in Tier if RANKS[tier] < RANKS[rule.tier]]
    query = (
        select(M)
        .where(
            M.client_id == client_id,
            M.deleted_at.is_(None),
            M.id > after,
            type_coerce(M.tier, String).in_(below),
            compile_rule(session, easier, client_id=client_id, now=now),
            ~func.coalesce(compile_rule(session, condition, client_id=client_id, now=now), False),
        )
        .order_by(M.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def falling_members(
    session: Session,
    client_id: int,
    *,
    after: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> list[Falling]:
    """Return up to `limit` members whose tier is about to fall, soonest first.

    `after` is the instant and the member id of the last one of the page before.
    """
    query = (
        select(M, S.below_since, S.falls_at)
        .join(S, S.member_id == M.id)
        .where(S.client_id == client_id, S.falls_at.is_not(None), M.deleted_at.is_(None))
    )
    if after is not None:
        at, member_id = after
        query = query.where(or_(S.falls_at > at, (S.falls_at == at) & (S.member_id > member_id)))
    rows = session.execute(query.order_by(S.falls_at, S.member_id).limit(limit))
    return [Falling(*row) for row in rows]  # type: ignore[arg-type]  # the WHERE says not NULL


def members_by_tier(
    session: Session, client_id: int, tier: Tier, *, after: int = 0, limit: int = 50
) -> list[Member]:
    """Return up to `limit` members of a tier after id `after`, oldest first."""
    query = select(M).where(
        M.client_id == client_id, M.tier == tier, M.deleted_at.is_(None), M.id > after
    )
    return list(session.scalars(query.order_by(M.id).limit(limit)))


def tier_counts(session: Session, client_id: int) -> dict[Tier, int]:
    """Return how many members each tier has; one scan of the client's part of an index."""
    query = (
        select(M.tier, func.count())
        .where(M.client_id == client_id, M.deleted_at.is_(None))
        .group_by(M.tier)
    )
    return {tier: members for tier, members in session.execute(query)}  # noqa: C416  (rows, no pairs)


def standing_of(session: Session, client_id: int, member_id: int) -> TierStanding | None:
    """Return a member's lock or grace; None where there is neither."""
    query = select(S).where(S.client_id == client_id, S.member_id == member_id)
    return session.scalar(query)


def _eased_leaf(leaf: Leaf, by: float) -> Condition:
    match leaf:
        case Compare(op=op, value=value) | Did(measure=Measure.SUM, op=op, value=value):
            number = _eased(op, value, by)
            return leaf if number is None else replace(leaf, value=number)
        case Did(measure=Measure.COUNT, op=op, value=value):
            number = _eased(op, value, by)
            if number is None:
                return leaf
            whole = math.floor(number) if (op is Op.GE) == (by > 0) else math.ceil(number)
            # At least once stays at least once: everybody has done a thing at least no times.
            return replace(leaf, value=max(whole, min(int(str(value)), 1)))
        case _:
            return leaf


def _eased(op: Op, value: object, by: float) -> Decimal | None:
    """Return a bound that is easier to reach; None where it is no bound."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(str(value))
    room = abs(number) * Decimal(str(by))
    if op in (Op.GE, Op.GT):
        return number - room
    return number + room if op in (Op.LE, Op.LT) else None
