"""TierStep: what becomes of one member's tier at one instant. No database, no clock."""

import enum
from dataclasses import dataclass
from datetime import datetime

from members.member import Tier

RANKS = {tier: rank for rank, tier in enumerate(Tier)}
"""Higher is better."""


class TierStep(enum.StrEnum):
    """What an evaluation does with a member."""

    STAY = "stay"
    RISE = "rise"  # at once
    WAIT = "wait"  # a grace begins
    FALL = "fall"  # the grace is over
    RECOVER = "recover"  # within the grace


@dataclass(frozen=True, slots=True)
class Stand:
    """How a member stands against the rules."""

    tier: Tier
    wanted: Tier
    """The highest tier whose rule means the member; basic without any."""
    locked: bool = False
    has_rule: bool = True
    """Whether the tier it has is one with a rule; others are given and taken by hand only."""
    grace_days: int = 0
    """Of the tier it has."""
    falls_at: datetime | None = None
    """When it is to fall, once a grace has begun."""


def step(stand: Stand, now: datetime) -> TierStep:
    """Return what becomes of a member's tier now. After the step has been taken: STAY."""
    if stand.locked:
        return TierStep.STAY
    if RANKS[stand.wanted] > RANKS[stand.tier]:
        return TierStep.RISE
    if stand.wanted is stand.tier or not stand.has_rule:
        return TierStep.STAY if stand.falls_at is None else TierStep.RECOVER
    if stand.falls_at is None:
        return TierStep.WAIT if stand.grace_days else TierStep.FALL
    return TierStep.FALL if stand.falls_at <= now else TierStep.STAY
