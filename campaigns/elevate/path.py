"""Path: the student's nine nodes: locked, open, in progress, done; with one to three stars.

Nothing here reads a database: what is known of each step is handed in.

Invariants
    1. Stars are never lost: a node shows at least those it held.
    2. A node with a star is done, whatever else is locked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

from campaigns.elevate.rates import Counted
from campaigns.elevate.stage import STAGES, Stage
from campaigns.journeys.ast import Elevate

MOST = 3
NOBODY = Counted(0, 0)
FEWEST_PEOPLE = 10
"""A rate of fewer people says nothing."""


class State(StrEnum):
    """Where a node stands."""

    LOCKED = "locked"
    OPEN = "open"
    IN_PROGRESS = "in_progress"
    DONE = "done"


class Gate(StrEnum):
    """What else must happen before Identify opens."""

    NONE = "none"
    TEACHER = "teacher"
    PAYMENT = "payment"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one step."""

    started: bool = False
    """There is a journey of it, if only a draft."""
    launched: bool = False
    """A journey brought somebody there."""
    counted: Counted = NOBODY
    """Its rate."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the teacher and the student set: the client's setting `elevate`."""

    gate: Gate = Gate.NONE
    opened: frozenset[Elevate] = frozenset()
    """Steps opened by hand, and by payment."""
    targets: Mapping[Elevate, Fraction] | None = None
    """Own targets for the third star."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a star is given for, and whether it is so now."""

    text: str
    met: bool


@dataclass(frozen=True, slots=True)
class Node:
    """One step of the path."""

    stage: Stage
    state: State
    reason: str | None
    """Why it is locked."""
    stars: int
    """Earned with real messages."""
    practice: int
    """Earned with simulated providers."""
    criteria: tuple[Criterion, ...]
    progress: str


Held = Mapping[tuple[Elevate, bool], int]
"""Stars that were earned, by step and whether in practice."""


def stars(stage: Stage, seen: Seen, target: Fraction | None = None) -> int:
    """Return how many stars a step deserves by what is known now."""
    met = [one.met for one in _criteria(stage, seen, target)]
    return met.index(False) if False in met else MOST


def path(seen: Mapping[Elevate, Seen], held: Held, rules: Rules, *, practice: bool) -> list[Node]:
    """Return the nine nodes. `practice` says of which kind what is seen is."""
    targets = rules.targets or {}
    earned = {
        (stage, kind): max(
            held.get((stage, kind), 0),
            stars(one, seen[stage], targets.get(stage)) if kind is practice else 0,
        )
        for stage, one in STAGES.items()
        for kind in (False, True)
    }
    best = {stage: max(earned[stage, False], earned[stage, True]) for stage in STAGES}
    locked = {
        stage: None if best[stage] else _locked(stage, previous, best, rules)
        for previous, stage in pairwise([None, *STAGES])
        if stage is not None
    }
    return [
        Node(
            stage=one,
            state=_state(best[stage], locked[stage], seen[stage]),
            reason=locked[stage],
            stars=earned[stage, False],
            practice=earned[stage, True],
            criteria=_criteria(one, seen[stage], targets.get(stage)),
            progress=_progress(one, seen[stage], targets.get(stage)),
        )
        for stage, one in STAGES.items()
    ]


def percent(nodes: list[Node]) -> int:
    """Return how much of the path is gone, 0 to 100: stars of either kind."""
    return 100 * sum(max(one.stars, one.practice) for one in nodes) // (MOST * len(nodes))


def _locked(
    stage: Elevate, previous: Elevate | None, best: Mapping[Elevate, int], rules: Rules
) -> str | None:
    """Return why a step is locked, None where it is not."""
    if stage in rules.opened:
        return None
    if stage is Elevate.IDENTIFY and rules.gate is Gate.TEACHER:
        return "your teacher opens this step"
    if stage is Elevate.IDENTIFY and rules.gate is Gate.PAYMENT:
        return "this step opens when your payment arrives"
    if previous is not None and not best[previous]:
        return f"earn a star in {previous} first"
    return None


def _state(best: int, reason: str | None, seen: Seen) -> State:
    if best:
        return State.DONE
    if reason is not None:
        return State.LOCKED
    return State.IN_PROGRESS if seen.started else State.OPEN


def _criteria(stage: Stage, seen: Seen, target: Fraction | None) -> tuple[Criterion, ...]:
    great = max(target or stage.great, stage.works)
    rate = seen.counted.value or Fraction(0)
    enough = seen.counted.denominator >= FEWEST_PEOPLE
    people = f"of at least {FEWEST_PEOPLE} people"
    return (
        Criterion("Do it: a journey brought somebody here", seen.launched),
        Criterion(
            f"It works: {stage.rate} {_shown(stage.works)} {people}",
            enough and rate >= stage.works,
        ),
        Criterion(f"It is great: {stage.rate} {_shown(great)} {people}", enough and rate >= great),
    )


def _progress(stage: Stage, seen: Seen, target: Fraction | None) -> str:
    rate = seen.counted.value
    if rate is None:
        return "not measured yet"
    goal = stage.works if rate < stage.works else max(target or stage.great, stage.works)
    counted = seen.counted
    return f"{_shown(rate)} of {_shown(goal)} ({counted.numerator} of {counted.denominator} people)"


def _shown(rate: Fraction) -> str:
    return f"{float(100 * rate):.1f}".removesuffix(".0") + " %"
