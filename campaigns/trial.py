"""Trial: what the counts of several wordings of one channel say, and what to do about it.

Invariants
    1. A leader is named only where the verdict is `clear`: of at least 100 messages of each arm and
       10 goals, and wrong in at most one of twenty tests, looked at as often as anybody likes
       (evidence.py).
    2. With more than two arms every pair bears its part of that one in twenty.
    3. The interval of an uplift leaves out 0 exactly where that pair differs by the same measure.
    4. Where the people were not shared out as planned, nothing else is said.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

from campaigns.evidence import ALPHA, mismatch, p_value, rate, ratio
from campaigns.plan import Share
from channels.channel import Channel

ENOUGH = 100
"""Messages of each arm, below which nothing is said."""
ENOUGH_GOALS = 10
"""Goals of all arms together, below which nothing is said."""
LIKELY = 0.1
SKEWED = 0.001
"""The p-value below which people were not shared out as planned."""
MATTERS = 0.1
"""An uplift below which it makes no difference which wording is sent."""


class Goal(enum.StrEnum):
    """What a wording is for."""

    CLICK = "click"  # a person, not a machine, followed a link
    ORDER = "order"  # a purchase was credited to the message


DID = {Goal.CLICK: "clicked", Goal.ORDER: "ordered"}


class Verdict(enum.StrEnum):
    """What the numbers say."""

    NO_TEST = "no_test"  # one wording, or nothing was counted
    SAMPLE_RATIO_MISMATCH = "sample_ratio_mismatch"  # nothing else may be said
    TOO_EARLY = "too_early"
    TOO_CLOSE = "too_close"
    LIKELY = "likely"  # 90 to 95 %
    CLEAR = "clear"  # 95 % or more, and enough of each


class Recommendation(enum.StrEnum):
    """What to do."""

    STOP = "stop"  # it is decided, or can never be
    CONTINUE = "continue"
    NO_DIFFERENCE = "no_difference"  # take either


class Guard(enum.StrEnum):
    """What no wording should cause."""

    UNSUBSCRIBED = "unsubscribed"
    COMPLAINED = "complained"


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted of one wording's people."""

    assigned: int
    """Drawn by lot, sent to or not."""
    messages: int
    """Those that a provider took."""
    goals: int
    """Of the messages, those whose person reached the goal."""
    unsubscribed: int
    """Whose person withdrew the consent to the channel after the message left."""
    complained: int
    """Whose person called it spam."""


@dataclass(frozen=True, slots=True)
class Uplift:
    """One arm's rate beside another's: rate ÷ other rate - 1."""

    against: str
    """The best of the other arms."""
    value: float | None
    """None where the other has no goal yet."""
    low: float
    high: float | None
    """The true uplift lies between them, at every look; None: there is no upper end yet."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One wording of a test."""

    name: str
    weight: int
    template_version_id: int
    counts: Counts
    rate: float | None
    """Goals ÷ messages."""
    low: float
    high: float
    """The true rate lies between them, at every look."""
    uplift: Uplift | None
    worse: Sequence[Guard]
    """Of what it causes more than the others, beyond chance."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The wordings of one channel, and what can be said of them."""

    channel: Channel
    arms: Sequence[Arm]
    verdict: Verdict
    recommendation: Recommendation | None
    leader: str | None
    """The best arm, where the verdict is clear."""
    p_value: float | None
    """At most so often chance alone would show as much, over all looks."""
    sample_ratio: float | None
    """The p-value of the people's shares; None of too few."""
    says: str
    remedy: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the run behind a trial has come."""

    done: bool = False
    """Whether all that is to leave has left."""
    over: bool = False
    """Whether hardly any goal can still come."""
    tracked: bool = True
    """Whether clicks are known at all."""


def judge(
    channel: Channel,
    shares: Sequence[Share],
    counts: Sequence[Counts],
    goal: Goal = Goal.CLICK,
    standing: Standing | None = None,
) -> Trial:
    """Say what the counts of a channel's wordings mean; both in the same order."""
    standing = standing or Standing()
    ratios = _sample_ratio(shares, counts, standing)
    arms = _arms(shares, counts)
    p = _chance(arms) if len(arms) > 1 else None
    verdict = _verdict(arms, p, ratios, standing)
    ranked = _ranked(arms)
    trial = Trial(
        channel=channel,
        arms=arms,
        verdict=verdict,
        recommendation=_recommendation(arms, verdict, standing),
        leader=ranked[0].name if verdict is Verdict.CLEAR else None,
        p_value=p,
        sample_ratio=ratios,
        says="",
        remedy=None,
    )
    says, remedy = _said(trial, goal, standing)
    return replace(trial, says=says, remedy=remedy)


def _sample_ratio(
    shares: Sequence[Share], counts: Sequence[Counts], standing: Standing
) -> float | None:
    """Return how well people, and messages once all have left, fit the weights: the worse p.

    While messages leave, batches of one wording may be ahead.
    """
    weights = [one.weight for one in shares]
    found = [mismatch([one.assigned for one in counts], weights)]
    found += [mismatch([one.messages for one in counts], weights)] if standing.done else []
    known = [p for p in found if p is not None]
    return min(1.0, min(known) * len(known)) if known else None


def _arms(shares: Sequence[Share], counts: Sequence[Counts]) -> list[Arm]:
    order = sorted(range(len(shares)), key=lambda at: _rate(counts[at]) or 0.0, reverse=True)
    arms = []
    for at, (share, one) in enumerate(zip(shares, counts, strict=True)):
        low, high = rate(one.goals, one.messages - one.goals)
        other = next((place for place in order if place != at), None)
        arms.append(
            Arm(
                name=share.name,
                weight=share.weight,
                template_version_id=share.template_version_id,
                counts=one,
                rate=_rate(one),
                low=low,
                high=high,
                uplift=None if other is None else _uplift(shares, counts, at, other),
                worse=[guard for guard in Guard if _is_worse(shares, counts, at, guard)],
            )
        )
    return arms


def _rate(one: Counts) -> float | None:
    return one.goals / one.messages if one.messages else None


def _pairs(arms: int) -> int:
    return arms * (arms - 1) // 2


def _uplift(shares: Sequence[Share], counts: Sequence[Counts], at: int, other: int) -> Uplift:
    own, best = counts[at], counts[other]
    share = shares[at].weight / (shares[at].weight + shares[other].weight)
    low, high = ratio(own.goals, best.goals, share, ALPHA / _pairs(len(shares)))
    mine, theirs = _rate(own), _rate(best)
    return Uplift(
        against=shares[other].name,
        value=mine / theirs - 1 if mine is not None and theirs else None,
        low=low - 1,
        high=None if high is None else high - 1,
    )


def _is_worse(shares: Sequence[Share], counts: Sequence[Counts], at: int, guard: Guard) -> bool:
    """Say whether an arm has more than its share of what no wording should cause."""
    if len(shares) < 2:
        return False
    each = [one.unsubscribed if guard is Guard.UNSUBSCRIBED else one.complained for one in counts]
    share = shares[at].weight / sum(one.weight for one in shares)
    own, total = each[at], sum(each)
    p = p_value(own, total - own, share) * len(shares)
    return own > total * share and p <= ALPHA


def _ranked(arms: Sequence[Arm]) -> list[Arm]:
    return sorted(arms, key=lambda one: one.rate or 0.0, reverse=True)


def _chance(arms: Sequence[Arm]) -> float:
    """Return how likely chance alone puts the best arm so far before each of the others."""
    best, *others = _ranked(arms)
    return min(
        1.0,
        _pairs(len(arms))
        * max(
            p_value(best.counts.goals, one.counts.goals, best.weight / (best.weight + one.weight))
            for one in others
        ),
    )


def _verdict(
    arms: Sequence[Arm], p: float | None, ratio: float | None, standing: Standing
) -> Verdict:
    if p is None or not standing.tracked:
        return Verdict.NO_TEST
    if ratio is not None and ratio < SKEWED:
        return Verdict.SAMPLE_RATIO_MISMATCH
    goals = sum(one.counts.goals for one in arms)
    if goals < ENOUGH_GOALS or min(one.counts.messages for one in arms) < ENOUGH:
        return Verdict.TOO_EARLY
    if p <= ALPHA:
        return Verdict.CLEAR
    return Verdict.LIKELY if p <= LIKELY else Verdict.TOO_CLOSE


def _recommendation(
    arms: Sequence[Arm], verdict: Verdict, standing: Standing
) -> Recommendation | None:
    if verdict is Verdict.NO_TEST:
        return None
    if verdict in (Verdict.CLEAR, Verdict.SAMPLE_RATIO_MISMATCH):
        return Recommendation.STOP
    if verdict is Verdict.TOO_CLOSE and (standing.over or all(map(_is_small, arms))):
        return Recommendation.NO_DIFFERENCE
    return Recommendation.CONTINUE


def _is_small(arm: Arm) -> bool:
    """Say whether an arm's uplift, wherever it lies, makes no difference."""
    up = arm.uplift
    return up is not None and up.high is not None and max(-up.low, up.high) <= MATTERS


# ---- in words


def _said(trial: Trial, goal: Goal, standing: Standing) -> tuple[str, str | None]:
    """Return a sentence, and what to do, if anything."""
    says, remedy = _verdict_said(trial, goal, standing)
    for arm in trial.arms:
        for guard in arm.worse:
            says += f" {arm.name} has more people who {guard} than chance explains."
    return says, remedy


def _verdict_said(trial: Trial, goal: Goal, standing: Standing) -> tuple[str, str | None]:
    match trial.verdict:
        case Verdict.NO_TEST if not standing.tracked:
            return "No test: without tracking nobody knows who clicked.", "turn tracking on"
        case Verdict.NO_TEST:
            return "No test: there is one wording.", "give the channel several variants"
        case Verdict.SAMPLE_RATIO_MISMATCH:
            return _skew_said(trial)
        case Verdict.TOO_EARLY:
            return _early_said(trial, goal, standing)
        case Verdict.TOO_CLOSE:
            return f"Too close: {_beside(trial, goal)}.", _close_remedy(trial, standing)
        case Verdict.LIKELY:
            return f"Likely: {_beside(trial, goal)}.", _more(standing)
        case Verdict.CLEAR:
            return f"Clear: {_beside(trial, goal)}.", f"send {trial.leader} from now on"


def _skew_said(trial: Trial) -> tuple[str, str]:
    drawn = ", ".join(f"{one.name} {one.counts.assigned:,}" for one in trial.arms)
    taken = ", ".join(f"{one.name} {one.counts.messages:,}" for one in trial.arms)
    weights = ":".join(str(one.weight) for one in trial.arms)
    says = (
        f"People were not shared out {weights} as planned: {drawn} drawn, and taken by a provider "
        f"{taken}. Chance does not explain it, so the arms cannot be compared."
    )
    return says, "find out why messages of one arm are missing, skipped or refused, then test again"


def _early_said(trial: Trial, goal: Goal, standing: Standing) -> tuple[str, str]:
    fewest = min(one.counts.messages for one in trial.arms)
    goals = sum(one.counts.goals for one in trial.arms)
    says = (
        f"Too early: {fewest:,} messages of the smallest arm and {goals:,} who {DID[goal]} are "
        f"there; {ENOUGH} and {ENOUGH_GOALS} are needed."
    )
    return says, _more(standing)


def _beside(trial: Trial, goal: Goal) -> str:
    best, second = _ranked(trial.arms)[:2]
    both = (
        f"{best.rate or 0:.1%} {DID[goal]} of {best.name}, {second.rate or 0:.1%} of {second.name}"
    )
    up = best.uplift
    if up is None:
        return both
    high = "any number" if up.high is None else f"{up.high:+.0%}"
    return f"{both}; the uplift is between {up.low:+.0%} and {high}"


def _close_remedy(trial: Trial, standing: Standing) -> str:
    if trial.recommendation is Recommendation.NO_DIFFERENCE:
        return "send any of them, and test something that differs more"
    return _more(standing)


def _more(standing: Standing) -> str:
    return "test again with more people" if standing.over else "wait for more"
