"""TierRule: the condition that makes a member premium, elite or executive; TierStanding: who waits.

`basic` has no rule: it is where members are whom no rule means.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ForeignKey, Index, String, UniqueConstraint, delete, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.sql import visitors

from accounts.client import hold
from core.clock import Clock
from core.condition.json import from_json, to_json
from core.condition.text import format
from core.db import Base, BigId, Id
from core.errors import InvalidError
from members.errors import TierRuleError
from members.member import Member, Tier
from members.rule import compile_rule
from members.segment import condition_of
from members.tier_step import RANKS

MAX_GRACE_DAYS = 3650
TIER = str(Member.__table__.c.tier)
FALLING = text("falls_at IS NOT NULL")


class TierRule(Base):
    """What one client asks of members of one tier."""

    __tablename__ = "tier_rules"
    __table_args__ = (UniqueConstraint("client_id", "tier"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    tier: Mapped[Tier]
    rule: Mapped[dict[str, Any]]
    """The condition as JSON."""
    grace_days: Mapped[int]
    """How long a member keeps the tier after its rule stopped meaning it."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    @property
    def text(self) -> str:
        """The condition in words."""
        return format(from_json(self.rule))


class TierStanding(Base):
    """A member whose tier is locked, or about to fall. Most members have no such row."""

    __tablename__ = "tier_standings"
    __table_args__ = (
        Index(
            "ix_tier_standings_falling",
            "client_id",
            "falls_at",
            "member_id",
            sqlite_where=FALLING,
            postgresql_where=FALLING,
        ),
    )

    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"), primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    locked_at: Mapped[datetime | None]
    locked_by: Mapped[str | None] = mapped_column(String(100))
    below_since: Mapped[datetime | None]
    """Since when the rules ask for a lower tier."""
    falls_at: Mapped[datetime | None]
    """When it falls, unless the rules mean it again before."""


@dataclass(frozen=True, slots=True)
class GivenRule:
    """A tier with the condition that makes a member belong to it, as JSON or as text."""

    tier: Tier
    rule: Mapping[str, Any] | str
    grace_days: int = 30


def set_tier_rules(
    session: Session, clock: Clock, *, client_id: int, rules: Sequence[GivenRule]
) -> list[TierRule]:
    """Put these rules in the place of all the client had; return them, highest tier first.

    Nobody's tier changes before the next evaluation. Raises TierRuleError with the field, such as
    `rules/0/text`, ConditionError for a rule that cannot be understood.
    """
    tiers = [given.tier for given in rules]
    if Tier.BASIC in tiers or len(set(tiers)) < len(tiers):
        raise TierRuleError(
            "every tier but basic has at most one rule",
            field="rules",
            remedy="basic is where members are whom no rule means",
        )
    now = clock.now()
    made = [_placed(session, client_id, given, now, place) for place, given in enumerate(rules)]
    hold(
        session, client_id
    )  # of two at once, the second finds the first one's rules, and ends them
    session.execute(
        delete(TierRule)
        .where(TierRule.client_id == client_id)
        .execution_options(synchronize_session="fetch")
    )
    session.add_all(made)
    session.flush()
    return tier_rules(session, client_id)


def tier_rules(session: Session, client_id: int) -> list[TierRule]:
    """Return a client's rules, highest tier first."""
    found = session.scalars(select(TierRule).where(TierRule.client_id == client_id))
    return sorted(found, key=lambda rule: RANKS[rule.tier], reverse=True)


def _placed(
    session: Session, client_id: int, given: GivenRule, now: datetime, place: int
) -> TierRule:
    """Return `_made`; what is wrong is wrong at this place of the list."""
    try:
        return _made(session, client_id, given, now)
    except InvalidError as error:
        face = "text" if isinstance(given.rule, str) else "rule"
        error.field = f"rules/{place}/{(error.field or 'rule').replace('rule', face, 1)}"
        raise


def _made(session: Session, client_id: int, given: GivenRule, now: datetime) -> TierRule:
    if not 0 <= given.grace_days <= MAX_GRACE_DAYS:
        raise TierRuleError(
            f"a grace of {given.grace_days} days", field="grace_days", remedy="give 0 to 3650 days"
        )
    condition = condition_of(given.rule)
    clause = compile_rule(session, condition, client_id=client_id, now=now)
    if any(isinstance(one, Column) and str(one) == TIER for one in visitors.iterate(clause)):
        raise TierRuleError(
            f"the rule of {given.tier} asks for the tier itself",
            field="rule",
            remedy="ask for what earns the tier, also in segments it names",
        )
    return TierRule(
        client_id=client_id,
        tier=given.tier,
        rule=to_json(condition),
        grace_days=given.grace_days,
        created_at=now,
        updated_at=now,
    )
