"""Check: what is wrong with a journey that can be read.

Errors keep it from being published; warnings are what its author may not have meant.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from campaigns.journeys import flow
from campaigns.journeys.ast import (
    Call,
    Goal,
    GoTo,
    Happens,
    Journey,
    OnEvent,
    Send,
    Split,
    Step,
    WaitFor,
)
from campaigns.journeys.program import BACK, Program, each_step, program
from campaigns.journeys.spelling import lines as formatted_lines
from channels.channel import Channel
from core.condition.ast import Everyone
from core.condition.check import nearest

MAX_ROUNDS = 100
MAX_A_DAY = 3
"""More messages within 24 hours on one way are a warning."""


class Level(StrEnum):
    """How bad it is."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    level: Level
    code: str
    """Stable: `no_trigger`, `unreachable`, `loop_without_wait`, …"""
    message: str
    remedy: str
    step: str | None = None
    """The key of the step; None where it is about the whole."""
    line: int | None = None
    """The line, from 1, where the step begins; None where it is about the whole."""


Found = tuple[Level, str, str, str]
"""A finding without its place."""


def findings(journey: Journey, lines: Sequence[int] | None = None) -> list[Finding]:
    """Return what is wrong, the whole first and then step by step.

    `lines` are those of the steps in the text it was read from (text.read); without them lines
    are those of the text that spelling.format writes.
    """
    where = list(formatted_lines(journey) if lines is None else lines)
    found = [Finding(*one) for one in _whole(journey)]
    twice = list(_names(journey, where))
    if twice:
        # Steps cannot be told apart, so their ways cannot be followed.
        return [*found, *twice]
    whole = program(journey)
    places = dict(zip(whole.nodes, where, strict=True))
    about = [
        Finding(*one, step=key, line=places[key])
        for check in CHECKS
        for key, one in check(journey, whole)
    ]
    return found + sorted(about, key=lambda one: (one.line or 0, one.level, one.code))


def _error(code: str, message: str, remedy: str) -> Found:
    return Level.ERROR, code, message, remedy


def _warning(code: str, message: str, remedy: str) -> Found:
    return Level.WARNING, code, message, remedy


# ---- the whole


def _whole(journey: Journey) -> Iterator[Found]:
    if not journey.triggers:
        yield _error(
            "no_trigger", "nothing starts this journey", 'say when: when enters segment "New leads"'
        )
    if not journey.steps:
        yield _error("no_step", "this journey has no step", 'add one: send email "hello"')
    for goal in journey.goals:
        yield from _goal(journey, goal)
    if Everyone() in journey.exits:
        yield _error("exit_for_all", "everyone exits at once", "say who exits")
    yield from _limits(journey)


def _goal(journey: Journey, goal: Goal) -> Iterator[Found]:
    if goal.reached == Everyone():
        yield _error("goal_for_all", "everyone has reached the goal at once", "say who has")
    started = [one.happens.event for one in journey.triggers if isinstance(one, OnEvent)]
    if isinstance(goal.reached, Happens) and goal.reached.event in started:
        yield _warning(
            "goal_starts_it",
            f"the goal {goal.reached.event} is what starts this journey",
            "name an event that comes later",
        )


def _limits(journey: Journey) -> Iterator[Found]:
    if journey.quiet is not None and journey.quiet.start == journey.quiet.end:
        yield _error(
            "quiet_always",
            "the quiet hours end when they begin",
            "give two times, such as 21:00-08:00",
        )
    if journey.limit is not None and journey.limit.messages < 1:
        yield _error("limit_of_none", "the limit lets no message through", "allow at least 1")
    again = [one for one in Counter(journey.triggers).items() if one[1] > 1]
    if again:
        yield _warning("trigger_twice", "one trigger stands here twice", "keep one of them")


def _names(journey: Journey, lines: Sequence[int]) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for step, line in zip(each_step(journey.steps), lines, strict=True):
        if step.name is None:
            continue
        if step.name in seen:
            message = f"“{step.name}” is the name of the step on line {seen[step.name]} too"
            remedy = "give each step a name of its own"
            found = _error("name_twice", message, remedy)
            yield Finding(*found, step=step.name, line=line)
        seen.setdefault(step.name, line)


# ---- steps by themselves


def _single(journey: Journey, whole: Program) -> Iterator[tuple[str, Found]]:
    for key, node in whole.nodes.items():
        for one in _step(journey, node.step):
            yield key, one


def _step(journey: Journey, step: Step) -> Iterator[Found]:
    match step:
        case Send():
            yield from _send(step)
        case Split(arms=arms):
            if any(arm.weight < 1 for arm in arms):
                yield _error("no_share", "a way of this split has no share", "give at least 1")
        case WaitFor():
            yield from _wait_for(journey, step)
        case GoTo(most=most):
            if most > MAX_ROUNDS:
                message = f"this goes back up to {most} times"
                yield _error("too_many_rounds", message, f"keep it to {MAX_ROUNDS}")
        case Call(journey=name) if name.casefold() == journey.name.casefold():
            yield _error(
                "calls_itself", "this journey calls itself", "use “go to”, or “again after 30d”"
            )
        case _:
            pass


def _send(step: Send) -> Iterator[Found]:
    channels = [option.channel for option in step.options]
    if len(channels) == 1:
        yield _warning(
            "no_fallback",
            f"whoever has no {channels[0]} gets nothing here",
            f"add another channel: or {'sms' if channels[0] is Channel.EMAIL else 'email'} “…”",
        )
    if len(set(channels)) < len(channels):
        yield _error(
            "channel_twice",
            "a channel stands here twice; the second is never used",
            "write variants of one channel as “a” 50 / “b” 50",
        )
    if any(content.weight < 1 for option in step.options for content in option.contents):
        yield _error("no_share", "a variant has no share", "give at least 1")
    if len({len(option.contents) for option in step.options}) > 1:
        yield _warning(
            "unequal_variants",
            "the channels have not as many variants as each other, so variants cannot be compared",
            "give each channel as many",
        )


def _wait_for(journey: Journey, step: WaitFor) -> Iterator[Found]:
    if step.timeout is None:
        yield _warning("no_timeout", "this may wait for ever", "add a timeout: or 3d")
    keyed = isinstance(step.what, Happens) and step.what.key is not None
    keys = [one.happens.key for one in journey.triggers if isinstance(one, OnEvent)]
    if keyed and not any(keys):
        yield _warning(
            "no_key",
            "no event with a key starts this journey, so this waits for nothing",
            "write “by” at the trigger too: when event purchase by order_id",
        )


# ---- ways


def _targets(journey: Journey, whole: Program) -> Iterator[tuple[str, Found]]:
    known = [node.step.name for node in whole.nodes.values() if node.step.name]
    stages = [stage.value for stage in whole.stages()]
    for key, step in _jumps(whole):
        if whole.nodes[key].ways[BACK] is None:
            names = [*known, *stages]
            remedy = nearest(step.target, names) if names else "name a step: … as again"
            yield key, _error("unknown_target", f"there is no step “{step.target}”", remedy)


def _jumps(whole: Program) -> Iterator[tuple[str, GoTo]]:
    for key, node in whole.nodes.items():
        if isinstance(node.step, GoTo):
            yield key, node.step


def _reachable(journey: Journey, whole: Program) -> Iterator[tuple[str, Found]]:
    known = flow.reachable(whole)
    for key in whole.nodes:
        if key not in known:
            yield (
                key,
                _error("unreachable", "nobody comes to this step", "move it, or take it out"),
            )


def _loops(journey: Journey, whole: Program) -> Iterator[tuple[str, Found]]:
    for key in flow.loops_without_wait(whole):
        yield (
            key,
            _error("loop_without_wait", "this goes round without a wait", "add a wait: wait 1d"),
        )


def _crowded(journey: Journey, whole: Program) -> Iterator[tuple[str, Found]]:
    limit = journey.limit
    if limit and limit.messages <= MAX_A_DAY and limit.per >= timedelta(days=1):
        return
    key = flow.crowded(whole, MAX_A_DAY)
    if key is not None:
        message = f"more than {MAX_A_DAY} messages may go out within 24 hours by this step"
        remedy = f"wait longer between them, or write: limit {MAX_A_DAY} per 24h"
        yield key, _warning("too_many_messages", message, remedy)


CHECKS: tuple[Callable[[Journey, Program], Iterator[tuple[str, Found]]], ...] = (
    _single,
    _targets,
    _reachable,
    _loops,
    _crowded,
)
