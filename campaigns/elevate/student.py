"""Student: one client's path, from what its journeys and customers did; and what it earned."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from accounts.client import Client
from campaigns.elevate.badge import Badge, badges
from campaigns.elevate.path import Gate, Node, Rules, Seen, path, percent, stars
from campaigns.elevate.practice import live_since
from campaigns.elevate.rates import RATES, count_rate
from campaigns.elevate.reached import people_at
from campaigns.elevate.stage import STAGES
from campaigns.elevate.star import held_stars, keep_stars
from campaigns.journeys.ast import Elevate
from campaigns.journeys.journey import Journey
from core.clock import Clock
from core.secret import Vault

SETTING = "elevate"
EVER = 3650
"""Days that practice is looked back on."""


@dataclass(frozen=True, slots=True)
class StudentPath:
    """What the path shows."""

    nodes: list[Node]
    percent: int
    practice: bool
    live_since: datetime | None
    badges: list[Badge]


def student_path(session: Session, clock: Clock, vault: Vault, *, client_id: int) -> StudentPath:
    """Return a client's path as it is now; changes nothing. About 30 counts."""
    since = live_since(session, vault, client_id=client_id)
    held = held_stars(session, client_id)
    nodes = path(
        _seen(session, clock, client_id, since),
        held,
        rules_of(session.get_one(Client, client_id).settings.get(SETTING, {})),
        practice=since is None,
    )
    done = sum(1 for one in nodes if one.stars or one.practice)
    earned = badges(session, clock, client_id=client_id, live=since is not None, steps_done=done)
    return StudentPath(nodes, percent(nodes), since is None, since, earned)


def award(
    session: Session, clock: Clock, vault: Vault, *, client_id: int
) -> list[tuple[Elevate, bool, int]]:
    """Keep what the client has earned by now; return new (step, practice, star)."""
    since = live_since(session, vault, client_id=client_id)
    rules = rules_of(session.get_one(Client, client_id).settings.get(SETTING, {}))
    targets = rules.targets or {}
    seen = _seen(session, clock, client_id, since)
    earned = {
        (stage, since is None): stars(one, seen[stage], targets.get(stage))
        for stage, one in STAGES.items()
    }
    return keep_stars(session, clock, client_id=client_id, earned=earned)


def rules_of(setting: Mapping[str, Any]) -> Rules:
    """Return the rules that a client's setting `elevate` means."""
    return Rules(
        gate=Gate(setting.get("gate", Gate.NONE)),
        opened=frozenset(map(Elevate, setting.get("opened", ()))),
        targets={
            Elevate(stage): Fraction(str(target))
            for stage, target in setting.get("targets", {}).items()
        },
    )


def _seen(
    session: Session, clock: Clock, client_id: int, since: datetime | None
) -> dict[Elevate, Seen]:
    days = EVER if since is None else (clock.now().date() - since.date()).days + 1
    reached = people_at(session, client_id, since=since)
    begun = _begun(session, client_id)
    rates = {
        rate.stage: count_rate(session, clock, rate, client_id=client_id, days=min(days, EVER))
        for rate in RATES
    }
    return {
        stage: Seen(stage in begun or stage in reached, reached.get(stage, 0) > 0, rates[stage])
        for stage in STAGES
    }


def _begun(session: Session, client_id: int) -> set[Elevate]:
    """Return the steps that a journey's draft names, whether it can be read or not."""
    drafts = session.scalars(select(Journey.draft).where(Journey.client_id == client_id))
    words = [line.casefold().split() for draft in drafts for line in draft.splitlines()]
    named = {line[1] for line in words if len(line) > 1 and line[0] == "stage"}
    return {stage for stage in Elevate if stage.casefold() in named}
