"""Listening: the names of signals that a journey needs (members/signal.py)."""

from collections.abc import Iterable

from campaigns.journeys.ast import (
    Check,
    Digest,
    Happens,
    Journey,
    OnEvent,
    OnForm,
    OnReply,
    OnSegment,
    Replies,
    Trigger,
    WaitFor,
)
from campaigns.journeys.program import each_step
from core.condition.ast import Condition, Did, InSegment, Messaged, each_leaf
from members.signal import EVENT, JOINED, LEFT, MEMBER, MESSAGE, REPLY

FORM = "form"
"""The event that a sent form is; its property `form` says which."""
Awaited = Happens | Replies | Condition


def names_of(journey: Journey, segments: dict[str, int]) -> set[str]:
    """Return what to listen for while this journey is live; `segments` are ids by name."""
    names = {name for trigger in journey.triggers for name in trigger_names(trigger, segments)}
    return names | waking_names(journey)


def trigger_names(trigger: Trigger, segments: dict[str, int]) -> set[str]:
    """Return the signals by which members enter; none for times and requests."""
    match trigger:
        case OnEvent(happens=happens):
            return {EVENT + happens.event}
        case OnForm():
            return {EVENT + FORM}
        case OnReply():
            return {REPLY}
        case OnSegment(segment=segment, leaves=leaves):
            found = segments.get(segment)
            return {f"{LEFT if leaves else JOINED}{found}"} if found else set()
        case _:
            return set()


def waking_names(journey: Journey) -> set[str]:
    """Return the signals for which those inside are looked at: what waits, goals and exits ask."""
    asked: list[Awaited] = [goal.reached for goal in journey.goals]
    asked += journey.exits
    for step in each_step(journey.steps):
        if isinstance(step, WaitFor):
            asked.append(step.what)
        elif isinstance(step, Check):
            asked.append(step.condition)
        elif isinstance(step, Digest):
            asked.append(Happens(step.event))
    return {name for one in asked for name in _awaited(one)}


def _awaited(what: Awaited) -> Iterable[str]:
    match what:
        case Happens(event=event):
            return {EVENT + event}
        case Replies():
            return {REPLY}
        case condition:
            return {_of_leaf(leaf) for leaf in each_leaf(condition)}


def _of_leaf(leaf: Condition) -> str:
    match leaf:
        case Did(event=event):
            return EVENT + event
        case Messaged():
            return MESSAGE
        case InSegment():
            return MEMBER
        case _:
            return MEMBER
