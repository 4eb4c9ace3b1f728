"""MemberChange: what an edit changed about a member, before and after; append-only.

Written in the transaction of the edit it describes. It answers “who changed this, and when”, and it
is what an undo of a bulk edit or an import puts back.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, Numeric, String, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.news import News
from accounts.outbox import Fact, publish
from core.clock import Clock
from core.db import Base, BigId, Id, UtcDateTime
from members.member import Member, Tier
from members.tier_change import TierChange

MAX_TOLD = 50
"""Fields of one edit that endpoints are told."""
TIER_SOURCE = "tier"
"""The source of changes that members/tier.py dates itself."""


class MemberChange(Base):
    """One edit of one member."""

    __tablename__ = "member_changes"
    __table_args__ = (
        Index(None, "client_id", "member_id", "id"),
        Index(None, "client_id", "source", "id"),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    source: Mapped[str] = mapped_column(String(40))
    """`api`, `cli`, `import:12`, `bulk:3`, `merge:4`."""
    actor: Mapped[str | None] = mapped_column(String(100))
    """`key:3`, `user:7` or `cli`; None when it was the engine."""
    changed: Mapped[dict[str, Any]]
    """Field → [before, after] as JSON has them; `tags` hold what was added and removed."""
    changed_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Change:
    """What changed about one member; field → (before, after)."""

    member_id: int
    changed: Mapping[str, tuple[Any, Any]]


def record_changes(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    source: str,
    changes: Sequence[Change],
    actor: str | None = None,
) -> None:
    """Write down edits, one statement whatever their number; those without a difference are not."""
    now = clock.now()
    rows = [
        {
            "client_id": client_id,
            "member_id": change.member_id,
            "source": source,
            "actor": actor,
            "changed": {
                name: [plain(before), plain(after)]
                for name, (before, after) in change.changed.items()
            },
            "changed_at": now,
        }
        for change in changes
        if change.changed
    ]
    if rows:
        session.execute(insert(MemberChange), rows)
        publish(session, clock.now(), client_id=client_id, facts=map(_told, rows))
    if source != TIER_SOURCE:
        _date_tiers(session, rows)


def _told(row: Mapping[str, Any]) -> Fact:
    """Return what endpoints are told of an edit: which fields, and not what is in them."""
    news = News.MEMBER_DELETED if "deleted" in row["changed"] else News.MEMBER_UPDATED
    data = {"id": row["member_id"], "source": row["source"]}
    if news is News.MEMBER_UPDATED:
        data["changed"] = sorted(row["changed"])[:MAX_TOLD]
    return Fact(news, f"member:{row['member_id']}", row["changed_at"], data)


def _date_tiers(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Tell the tiers' own history of tiers that were edited like any other field."""
    told = [
        {name: row[name] for name in ("client_id", "member_id", "actor", "changed_at")}
        | {"from_tier": Tier(tiers[0]), "to_tier": Tier(tiers[1]), "reason": row["source"]}
        for row in rows
        if (tiers := row["changed"].get("tier")) and None not in tiers
    ]
    if told:
        session.execute(insert(TierChange), told)


def plain(value: Any) -> Any:
    """Return a column's value as JSON holds it: amounts as text, instants as ISO 8601."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date):  # an instant is a date too
        return value.isoformat()
    return value


def typed(name: str, value: Any) -> Any:
    """Return a member's column from what JSON holds of it (see `plain`)."""
    kind = Member.__table__.columns[name].type
    if value is None:
        return None
    if isinstance(kind, UtcDateTime):
        return datetime.fromisoformat(value)
    if isinstance(kind, Date):
        return date.fromisoformat(value)
    if isinstance(kind, Numeric) and isinstance(value, str):
        return Decimal(value)
    enum_class = getattr(kind, "enum_class", None)
    return enum_class(value) if enum_class is not None else value


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what differs between two states of one member, by field."""
    names = dict.fromkeys([*before, *after])
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }


def changes_page(
    session: Session,
    client_id: int,
    *,
    member_id: int | None = None,
    source: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[MemberChange]:
    """Return up to `limit` changes, newest first, older than id `before`."""
    query = select(MemberChange).where(MemberChange.client_id == client_id)
    if member_id is not None:
        query = query.where(MemberChange.member_id == member_id)
    if source is not None:
        query = query.where(MemberChange.source == source)
    if before is not None:
        query = query.where(MemberChange.id < before)
    return list(session.scalars(query.order_by(MemberChange.id.desc()).limit(limit)))
