"""Engagement: how lively a member is, 0 to 100, from what people do; machines count for nothing.

Each act is worth points (POINTS), which halve every half-life: 30 days, unless the client's
`settings.engagement_half_life_days` says otherwise. With their sum s, the score is
100 · (1 - e^(-s/30)): 63 for thirty points, never more than 100. Acts older than ten half-lives are
left out: they are worth less than a thousandth. A score that was imported or set by hand stands for
all that was done before it, and fades like an act.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Double, select
from sqlalchemy.orm import Session

from accounts.client import Client
from communications.activity import CLICK, PURCHASE, READ, REPLY, Activity, activity, ago
from core.clock import Clock
from core.rows import among
from members.member import Member
from members.score import Computed, Score, ScoreKind, note_values, store_scores

POINTS = {REPLY: 12.0, PURCHASE: 10.0, CLICK: 6.0, READ: 2.0}
OTHER_POINTS = 3.0
"""Of any other event."""
MOST_A_DAY = 3
"""So often one kind of event counts a day: a hundred page views are one visit."""
SCALE = 30.0
HALF_LIFE_DAYS = 30.0
HALF_LIVES = 10
REASONS = 5
DAY_SECONDS = 86_400.0
GIVEN = "given score"
HIGHEST_GIVEN = 99.9
"""A hundred is a sum of points without end."""


@dataclass(frozen=True, slots=True)
class Given:
    """A score that was imported or set by hand."""

    score: float
    at: datetime

    @property
    def points(self) -> float:
        """The points that come to this score."""
        return -SCALE * math.log(1 - min(max(self.score, 0.0), HIGHEST_GIVEN) / 100)


@dataclass(frozen=True, slots=True)
class Formula:
    """The formula with a client's settings."""

    half_life_days: float = HALF_LIFE_DAYS

    @property
    def version(self) -> str:
        """What is stored beside every score."""
        return f"engagement-1/{self.half_life_days:g}d"

    @property
    def window_days(self) -> float:
        """How far back it looks."""
        return self.half_life_days * HALF_LIVES


def formula_of(session: Session, client_id: int) -> Formula:
    """Return the formula a client uses; a setting that is no number of days is passed over."""
    told = session.get_one(Client, client_id).settings.get("engagement_half_life_days")
    if isinstance(told, int | float) and not isinstance(told, bool) and 1 <= told <= 365:
        return Formula(float(told))
    return Formula()


def engagement(
    formula: Formula, one: Activity, now: datetime, given: Given | None = None
) -> tuple[float, list[dict[str, Any]]]:
    """Return a score from 0 to 100, one decimal, and its five weightiest reasons with their points.

    The points of all reasons come to the score.
    """
    sums: dict[str, list[Any]] = {}

    def add(signal: str, worth: float, at: datetime, count: int) -> None:
        age = (now - at).total_seconds() / DAY_SECONDS
        held = sums.setdefault(signal, [0.0, 0, at])
        held[0] += worth * 0.5 ** (age / formula.half_life_days)
        held[1] += count
        held[2] = max(held[2], at)

    if given is not None:
        add(GIVEN, given.points, given.at, 1)
    for act in one.acts:
        if given is None or act.at > given.at:
            worth = POINTS.get(act.signal, OTHER_POINTS) * min(act.count, MOST_A_DAY)
            add(act.signal, worth, act.at, act.count)
    total = math.fsum(points for points, _, _ in sums.values())
    score = 100 * (1 - math.exp(-total / SCALE))
    ranked = sorted(sums.items(), key=lambda item: (-item[1][0], item[0]))
    return round(score, 1), [
        {
            "reason": signal,
            "points": round(score * points / total, 1),
            "count": count,
            "last_at": last_at.isoformat(),
        }
        for signal, (points, count, last_at) in ranked[:REASONS]
        if points > 0
    ]


def compute_engagement(
    session: Session, clock: Clock, *, client_id: int, member_ids: Sequence[int]
) -> list[Computed]:
    """Return the scores of members as they are now; nothing is stored."""
    formula = formula_of(session, client_id)
    now = clock.now()
    did = activity(
        session,
        client_id=client_id,
        since=ago(formula.window_days, now),
        until=now,
        member_ids=member_ids,
    )
    given = _given(session, client_id, member_ids, formula, now)
    return [
        _computed(formula, one, did.get(one, Activity()), now, given.get(one)) for one in member_ids
    ]


def _given(
    session: Session, client_id: int, member_ids: Sequence[int], formula: Formula, now: datetime
) -> dict[int, Given]:
    """Return the scores that others gave: newly, where a member's is not the one we stored."""
    query = (
        select(Member.id, Member.engagement_score, Member.updated_at, Score.value, Score.reasons)
        .outerjoin(Score, (Score.member_id == Member.id) & (Score.kind == ScoreKind.ENGAGEMENT))
        .where(Member.client_id == client_id, among(session, Member.id, member_ids))
    )
    found: dict[int, Given] = {}
    for member_id, score, updated_at, stored, reasons in session.execute(query):
        held = (reasons or {}).get("given")
        if score is not None and score != stored:
            found[member_id] = Given(score, min(updated_at, now))
        elif held is not None:
            found[member_id] = Given(held["score"], datetime.fromisoformat(held["at"]))
    oldest = ago(formula.window_days, now)
    return {member_id: one for member_id, one in found.items() if one.at > oldest}


def _computed(
    formula: Formula, member_id: int, did: Activity, now: datetime, given: Given | None
) -> Computed:
    score, top = engagement(formula, did, now, given)
    reasons: dict[str, Any] = {"top": top}
    if given is not None:
        reasons["given"] = {"score": given.score, "at": given.at.isoformat()}
    return Computed(member_id, score, reasons)


def store_engagement(
    session: Session, clock: Clock, *, client_id: int, member_ids: Sequence[int]
) -> list[int]:
    """Compute and keep members' scores; return whose `engagement_score` changed.

    Cost: six statements a set of members.
    """
    computed = compute_engagement(session, clock, client_id=client_id, member_ids=member_ids)
    store_scores(
        session,
        clock,
        client_id=client_id,
        kind=ScoreKind.ENGAGEMENT,
        version=formula_of(session, client_id).version,
        computed=computed,
    )
    return note_values(
        session,
        client_id=client_id,
        field="engagement_score",
        values=[(one.member_id, one.value) for one in computed],
        kind=Double(),
    )
