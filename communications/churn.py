"""Churn: how likely a member does nothing at all in the next 60 days, judged by the client's past.

Four features, each in a few bins (FEATURES): the silence measured by the member's own rhythm, how
often it was active, whether that rises or falls, and messages that failed. Their weights are fitted
on members as they stood 60 days ago, and on what they did since. The backtest fits on one half of
the members and looks at the other. Where the past carries no such judgement, nothing is claimed.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from communications.activity import Activity, activity, ago, between
from communications.logistic import Bins, fit, places, probability
from core.clock import Clock
from members.member import Member
from members.score import Computed, Fitted, ScoreKind, ScoreModel, store_scores

VERSION = "churn-1"
LOGISTIC, NOT_ENOUGH = "logistic on bins", "not enough data"
HORIZON_DAYS = 60
WINDOW_DAYS = 365
"""Whoever did nothing for so long is gone already."""
SAMPLE = 10_000
MIN_MEMBERS, MIN_OUTCOMES = 200, 30
MIN_SKILL = 0.02
"""So much better than telling everybody the average (Brier skill score) it must be on members it
has not seen."""
THRESHOLDS = tuple(share / 10 for share in range(1, 10))
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that is looked at, and where its bins end."""

    name: str
    ends: tuple[float, ...]
    """A value falls into the bin after the last end that it reaches."""


FEATURES = (
    Feature("rhythm", (1.0, 2.0, 4.0, 8.0)),
    Feature("silence", (7.0, 14.0, 30.0, 60.0, 120.0)),
    Feature("frequency", (2, 3, 6, 12)),
    Feature("slope", (-0.5, -0.1, 0.1, 0.5)),
    Feature("failures", (1, 2)),
)
SIZES = tuple(len(one.ends) + 1 for one in FEATURES)


@dataclass(frozen=True, slots=True)
class Case:
    """One member as it stood: its bins, and what became of it where that is known."""

    member_id: int
    bins: Bins
    churned: bool = False


def measured(one: Activity, now: datetime) -> dict[str, float] | None:
    """Return a member's features; None for whoever did nothing within the window.

    The rhythm is the silence by the member's own usual gap between active days; the slope compares
    the last 30 days with a third of the last 90, from -1 (all silent) to 1 (all new).
    """
    recent = between(one, ago(WINDOW_DAYS, now), now)
    days = sorted({(now - act.at) // DAY for act in recent.acts})
    if not days:
        return None
    silence = float(days[0])
    gap = (days[-1] - days[0]) / (len(days) - 1) if len(days) > 1 else 30.0
    new = sum(day < 30 for day in days)
    usual = sum(day < 90 for day in days) / 3
    return {
        "rhythm": silence / max(gap, 1.0),
        "silence": silence,
        "frequency": float(len(days)),
        "slope": (new - usual) / max(new, usual, 1.0),
        "failures": float(sum(at > ago(90, now) for at in recent.failures)),
    }


def binned(found: Mapping[str, float]) -> Bins:
    """Return the bin of each feature."""
    return tuple(bisect_right(one.ends, found[one.name]) for one in FEATURES)


def judged(cases: Sequence[Case]) -> tuple[list[float], dict[str, Any]]:
    """Return the weights fitted on all cases, and how the same does from one half to the other."""
    ranked = sorted(cases, key=lambda case: case.member_id)
    known, unseen = ranked[::2], ranked[1::2]
    halves = fit(_cells(known), SIZES)
    told = [(probability(halves, case.bins, SIZES), case.churned) for case in unseen]
    return fit(_cells(cases), SIZES), backtest(told)


def backtest(told: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    """Return how predictions did: (probability, whether it happened), in a table by thresholds.

    `skill` is 1 for an oracle and 0 for telling everybody the average; `calibration` holds tenths
    of the members by prediction, with what was predicted and what happened.
    """
    base = sum(happened for _, happened in told) / len(told)
    missed = sum((likely - happened) ** 2 for likely, happened in told) / len(told)
    ranked = sorted(told)
    tenths = [ranked[n * len(ranked) // 10 : (n + 1) * len(ranked) // 10] for n in range(10)]
    return {
        "tested_on": len(told),
        "base_rate": round(base, 4),
        "skill": round(1 - missed / (base * (1 - base)), 4) if 0 < base < 1 else 0.0,
        "calibration": [
            {
                "members": len(part),
                "predicted": round(sum(likely for likely, _ in part) / len(part), 4),
                "observed": round(sum(happened for _, happened in part) / len(part), 4),
            }
            for part in tenths
            if part
        ],
        "thresholds": [_at(threshold, told) for threshold in THRESHOLDS],
    }


def fit_churn(session: Session, clock: Clock, *, client_id: int) -> Fitted:
    """Learn from a client's past who falls silent; only reads.

    Cost: the activity of at most 10,000 members over 14 months, read once.
    """
    now = clock.now()
    then = ago(HORIZON_DAYS, now)
    members = session.scalar(
        select(func.count()).select_from(Member).where(Member.client_id == client_id)
    )
    did = activity(
        session,
        client_id=client_id,
        since=ago(WINDOW_DAYS, then),
        until=now,
        part=max(1, -(-(members or 0) // SAMPLE)),
    )
    cases = list(_cases(did, then, now))
    churned = sum(case.churned for case in cases)
    quality: dict[str, Any] = {"members": len(cases), "churned": churned}
    method = NOT_ENOUGH
    parameters: dict[str, Any] = {"horizon_days": HORIZON_DAYS}
    if len(cases) < MIN_MEMBERS or min(churned, len(cases) - churned) < MIN_OUTCOMES:
        quality["missing"] = (
            f"{len(cases)} members were active in the year before {then.date()}, {churned} of whom "
            f"fell silent; it takes {MIN_MEMBERS}, and {MIN_OUTCOMES} of either kind"
        )
    else:
        weights, tested = judged(cases)
        quality |= tested
        if tested["skill"] < MIN_SKILL:
            quality["missing"] = "what members did does not foretell here who falls silent"
        else:
            method = LOGISTIC
            parameters |= {"weights": weights, "usual": _usual(cases)}
    return Fitted(ScoreKind.CHURN_RISK, method, parameters, quality)


def compute_churn(
    session: Session, clock: Clock, model: ScoreModel, *, member_ids: Sequence[int]
) -> list[Computed]:
    """Return how likely members fall silent; None with what is missing where nobody can say."""
    if model.method == NOT_ENOUGH:
        details = {"top": [], "missing": f"not enough data: {model.quality['missing']}"}
        return [Computed(one, None, details) for one in member_ids]
    now = clock.now()
    did = activity(
        session,
        client_id=model.client_id,
        since=ago(WINDOW_DAYS, now),
        until=now,
        member_ids=member_ids,
    )
    return [_risk(model, one, measured(did.get(one, Activity()), now)) for one in member_ids]


def store_churn(
    session: Session, clock: Clock, model: ScoreModel, *, member_ids: Sequence[int]
) -> None:
    """Compute and keep members' risks. Cost: three statements a set of members."""
    store_scores(
        session,
        clock,
        client_id=model.client_id,
        kind=ScoreKind.CHURN_RISK,
        version=VERSION,
        computed=compute_churn(session, clock, model, member_ids=member_ids),
    )


def _risk(model: ScoreModel, member_id: int, found: Mapping[str, float] | None) -> Computed:
    if found is None:
        missing = f"not enough data: nothing was done within {WINDOW_DAYS} days"
        return Computed(member_id, None, {"top": [], "missing": missing})
    weights, usual, bins = model.parameters["weights"], model.parameters["usual"], binned(found)
    held = places(bins, SIZES)[1:]
    top = [
        {
            "reason": one.name,
            "points": round(weights[place] - average, 2),
            "found": _words(one.name, found),
        }
        for one, place, average in zip(FEATURES, held, usual, strict=True)
    ]
    top.sort(key=lambda reason: -abs(reason["points"]))
    likely = round(probability(weights, bins, SIZES), 4)
    return Computed(member_id, likely, {"top": top, "horizon_days": HORIZON_DAYS})


def _words(name: str, found: Mapping[str, float]) -> str:
    value = found[name]
    match name:
        case "rhythm":
            return f"silent for {value:.1f} times the usual gap"
        case "silence":
            return f"last active {value:.0f} days ago"
        case "frequency":
            return f"active on {value:.0f} days within a year"
        case "slope":
            return f"activity of the last 30 days changed by {value:+.0%}"
        case _:
            return f"{value:.0f} messages failed within 90 days"


def _cases(did: Mapping[int, Activity], then: datetime, now: datetime) -> Iterable[Case]:
    for member_id, one in did.items():
        found = measured(one, then)
        if found is not None:
            yield Case(member_id, binned(found), not between(one, then, now).acts)


def _cells(cases: Iterable[Case]) -> dict[Bins, tuple[int, int]]:
    counted: dict[Bins, tuple[int, int]] = {}
    for case in cases:
        count, churned = counted.get(case.bins, (0, 0))
        counted[case.bins] = (count + 1, churned + case.churned)
    return counted


def _usual(cases: Sequence[Case]) -> list[float]:
    """Return the average weight of each feature; what a member's own is compared with."""
    weights = fit(_cells(cases), SIZES)
    held = [places(case.bins, SIZES)[1:] for case in cases]
    return [
        sum(weights[row[feature]] for row in held) / len(held) for feature in range(len(FEATURES))
    ]


def _at(threshold: float, told: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    flagged = [happened for likely, happened in told if likely >= threshold]
    happened = sum(one for _, one in told)
    return {
        "threshold": threshold,
        "flagged": len(flagged),
        "precision": round(sum(flagged) / len(flagged), 4) if flagged else None,
        "recall": round(sum(flagged) / happened, 4) if happened else None,
    }
