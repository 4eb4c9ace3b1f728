"""Choosing: steps that only decide which way somebody goes on."""

from collections.abc import Mapping, Sequence

from campaigns.journeys.ast import Branch, Check, Exit, GoTo, Split, Stage
from campaigns.journeys.enrolment import TAKEN, EnrolmentStatus, Walker
from campaigns.journeys.goals import matching
from campaigns.journeys.machine import Batch, End, Go, Outcome
from campaigns.journeys.program import BACK, NEXT, OTHERWISE, Node
from campaigns.journeys.sending import lot
from core.condition.english import phrase

JUMPS = "jumps"
"""In the context: how often each jump was taken."""


def branch(batch: Batch, node: Node[Branch], people: Sequence[Walker]) -> Mapping[int, Outcome]:
    """Take the first case that matches, else the other way; a query for each case."""
    step = node.step
    outcomes: dict[int, Outcome] = {}
    for place, case in enumerate(step.cases):
        left = [one for one in people if one.id not in outcomes]
        why = {"because": phrase(case.condition)}
        for one in matching(batch, case.condition, left):
            outcomes[one.id] = Go(str(place), why)
    return {one.id: outcomes.get(one.id, Go(OTHERWISE)) for one in people}


def split(batch: Batch, node: Node[Split], people: Sequence[Walker]) -> Mapping[int, Outcome]:
    """Draw an arm by lot; the same at every visit of one entry."""
    step = node.step
    shares = [arm.weight for arm in step.arms]
    journey_id = batch.machine.journey_id
    return {
        one.id: Go(str(lot(f"{journey_id}:{node.key}:{one.member_id}:{one.ordinal}", shares)))
        for one in people
    }


def check(batch: Batch, node: Node[Check], people: Sequence[Walker]) -> Mapping[int, Outcome]:
    """End those who have reached the goal by this condition."""
    step = node.step
    said = phrase(step.condition)
    there = {one.id for one in matching(batch, step.condition, people)}
    end = End(EnrolmentStatus.GOAL, said[:200], "goal", {"goal": said})
    return {one.id: end if one.id in there else Go() for one in people}


def leave(batch: Batch, node: Node[Exit], people: Sequence[Walker]) -> Mapping[int, Outcome]:
    """End everybody."""
    del batch
    step = node.step
    return {one.id: End(EnrolmentStatus.EXITED, step.reason) for one in people}


def stage(batch: Batch, node: Node[Stage], people: Sequence[Walker]) -> Mapping[int, Outcome]:
    """Go into an Elevate step; that it was reached is in the member's trail."""
    del batch, node
    return {one.id: Go() for one in people}


def go_to(batch: Batch, node: Node[GoTo], people: Sequence[Walker]) -> Mapping[int, Outcome]:
    """Jump, so many times at most; then go on."""
    del batch
    step = node.step
    outcomes: dict[int, Outcome] = {}
    for one in people:
        jumps = dict(one.context.get(JUMPS, {}))
        taken = jumps.get(node.key, 0)
        if taken < step.most:
            jumps[node.key] = taken + 1
            kept = {name: value for name, value in one.context.items() if name != TAKEN}
            one.context = kept | {JUMPS: jumps}
        outcomes[one.id] = Go(BACK if taken < step.most else NEXT, {"jumps": taken})
    return outcomes
