"""Sample: a few of the members a rule means, from all over, the same each time.

Sorting by random() would read everybody. Twenty short stretches of ids, spread by the rule's own
hash, are read instead; where they hold too few, the first members meant fill up.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from core.condition.ast import Condition
from core.condition.spelling import format
from core.rows import among
from core.sql import ample_memory
from members.member import Member
from members.queries import meant

M = Member
MOST = 20
STRETCH = 250
"""Ids in one stretch: twenty are 5,000 members, looked at in 20 ms."""


def choose(
    session: Session, *, client_id: int, condition: Condition, now: datetime, limit: int = MOST
) -> list[Member]:
    """Return up to `limit` (at most 20) members a condition means, by id.

    The same condition gives the same members while nothing changes. Raises ConditionError.
    """
    limit = min(limit, MOST)
    ample_memory(session)
    clauses = meant(session, client_id, condition, now)
    starts = _starts(session, client_id, condition, limit)
    chosen = _one_of_each(session, clauses, starts)
    if len(chosen) < limit:
        first = session.scalars(select(M.id).where(*clauses).order_by(M.id).limit(limit))
        chosen += [one for one in first if one not in chosen][: limit - len(chosen)]
    query = select(M).where(M.client_id == client_id, among(session, M.id, chosen))
    return list(session.scalars(query.order_by(M.id)))


def _starts(session: Session, client_id: int, condition: Condition, count: int) -> list[int]:
    """Return where the stretches begin: evenly, moved by the hash of the rule."""
    edges = select(func.min(M.id), func.max(M.id)).where(M.client_id == client_id)
    row: Sequence[int | None] = session.execute(edges).one()
    low, high = row
    if low is None or high is None or high - low < count * STRETCH:
        return []
    step = (high - low) // count
    moved = int.from_bytes(sha256(format(condition).encode()).digest()[:4]) % (step - STRETCH + 1)
    return [low + number * step + moved for number in range(count)]


def _one_of_each(
    session: Session, clauses: tuple[ColumnElement[bool], ...], starts: list[int]
) -> list[int]:
    """Return the first member meant of each stretch that has one."""
    if not starts:
        return []
    stretches = or_(*[M.id.between(start, start + STRETCH - 1) for start in starts])
    found = session.scalars(select(M.id).where(*clauses, stretches).order_by(M.id)).all()
    first: dict[int, int] = {}
    for one in found:
        first.setdefault(max(start for start in starts if start <= one), one)
    return list(first.values())
