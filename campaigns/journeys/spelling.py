"""Spelling: a journey as text that parses to the same journey."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from campaigns.journeys.ast import (
    Again,
    Branch,
    Call,
    Check,
    Digest,
    Every,
    Exit,
    Goal,
    GoTo,
    Happens,
    Journey,
    OnDate,
    OnEvent,
    OnForm,
    OnReply,
    OnRequest,
    OnSchedule,
    OnSegment,
    Option,
    Replies,
    Send,
    Set,
    Split,
    Stage,
    Step,
    Tag,
    Trigger,
    Wait,
    WaitFor,
    WaitTime,
    Webhook,
)
from campaigns.journeys.duration import WEEKDAYS, duration
from campaigns.journeys.program import blocks, each_step
from core.condition.ast import Condition, Did
from core.condition.check import ConditionError
from core.condition.spelling import format as format_condition
from core.condition.spelling import literal, plural, quote
from core.condition.spelling import name as event_name

__all__ = ["check_size", "duration", "format", "line", "lines", "trigger"]

INDENT = "  "
MAX_LENGTH = 20_000
"""Characters of a journey as text."""
MAX_STEPS = 200
MAX_LEVELS = 8
"""So deep blocks of steps stand in each other."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a journey's text."""

    level: int
    text: str
    step: bool = False
    """Whether a step begins here."""

    def __str__(self) -> str:
        return INDENT * self.level + self.text if self.text else ""


def format(journey: Journey) -> str:
    """Write a journey as text that parses to the same journey, with a line end at its end."""
    return "".join(f"{row}\n" for row in _rows(journey))


def lines(journey: Journey) -> list[int]:
    """Return the line, from 1, of each step in the text that `format` writes, in its order."""
    return [number for number, row in enumerate(_rows(journey), 1) if row.step]


def check_size(journey: Journey) -> Journey:
    """Return the journey. Raises ConditionError when it has too many steps or letters."""
    steps = sum(1 for _ in each_step(journey.steps))
    if steps > MAX_STEPS:
        raise ConditionError(f"the journey has {steps} steps", remedy=f"keep it to {MAX_STEPS}")
    if levels(journey.steps) > MAX_LEVELS:
        raise ConditionError(
            f"steps stand more than {MAX_LEVELS} deep in each other",
            remedy="make a journey of a part and call it",
        )
    length = len(format(journey))
    if length > MAX_LENGTH:
        raise ConditionError(
            f"the journey has {length} characters",
            remedy=f"keep it to {MAX_LENGTH}; call another journey for a part of it",
        )
    return journey


def levels(steps: Sequence[Step]) -> int:
    """Return how deep steps stand in each other; steps without blocks are 1."""
    return max((1 + max(map(levels, blocks(step)), default=0) for step in steps), default=0)


def _rows(journey: Journey) -> Iterator[Row]:
    yield from _comments(journey.comments, 0)
    yield Row(0, f"journey {quote(journey.name)}")
    for text in _head(journey):
        yield Row(1, text)
    for place, step in enumerate(journey.steps):
        if place == 0 or isinstance(step, Stage):
            yield Row(0, "")
        yield from _step(step, 1)
    if journey.ending:
        yield Row(0, "")
        yield from _comments(journey.ending, 1)


def _comments(comments: Sequence[str], level: int) -> Iterator[Row]:
    for comment in comments:
        yield Row(level, f"# {comment}".rstrip())


# ---- the head


def _head(journey: Journey) -> Iterator[str]:
    for one in journey.triggers:
        yield f"when {trigger(one)}"
    if journey.again != Again():
        yield f"again {_again(journey.again)}"
    for goal in journey.goals:
        yield _goal(goal)
    for condition in journey.exits:
        yield f"exit when {format_condition(condition)}"
    if journey.quiet is not None:
        quiet = journey.quiet
        yield f"quiet {quiet.start:%H:%M}-{quiet.end:%H:%M} {quiet.zone}"
    if journey.limit is not None:
        yield f"limit {journey.limit.messages} per {duration(journey.limit.per)}"


def trigger(one: Trigger) -> str:
    """Return what starts a journey, as it stands behind `when`."""
    if isinstance(one, OnSchedule):
        at = f"at {one.at:%H:%M} {one.zone}"
        return f"every {one.every}{_on(one)} {at} for {format_condition(one.only)}"
    only = "" if one.only is None else f" if {format_condition(one.only)}"
    return _starts(one) + only


def _starts(one: Trigger) -> str:
    match one:
        case OnEvent(happens=what):
            return _awaited(what)
        case OnReply(replies=what):
            return _awaited(what)
        case OnForm(form=form):
            return f"form {quote(form)}"
        case OnSegment(segment=segment, leaves=leaves):
            return f"{'leaves' if leaves else 'enters'} segment {quote(segment)}"
        case OnDate():
            return _date(one)
        case OnRequest():
            return "asked"
        case _:
            raise AssertionError(one)


def _date(one: OnDate) -> str:
    yearly = " every year" if one.yearly else ""
    side = "after" if one.days > 0 else "before"
    day = "on" if one.days == 0 else f"{duration(timedelta(days=abs(one.days)))} {side}"
    return f"{day} {one.field}{yearly} at {one.at:%H:%M} {one.zone}"


def _on(one: OnSchedule) -> str:
    match one.every:
        case Every.WEEK:
            return f" on {WEEKDAYS[one.on]}"
        case Every.MONTH:
            return f" on {one.on}"
        case _:
            return ""


def _again(again: Again) -> str:
    after = f"after {duration(again.after)}" if again.after else ""
    most = "" if again.most is None else f"up to {plural(again.most, 'time')}"
    return " ".join(part for part in (after, most) if part) or "always"


def _goal(goal: Goal) -> str:
    within = "" if goal.within is None else f" within {duration(goal.within)}"
    return f"goal {_awaited(goal.reached)}{within}"


def _awaited(what: Happens | Replies | Condition) -> str:
    match what:
        case Happens(event=event, where=where, key=key):
            # Events and their tests are spelled as in conditions.
            tested = format_condition(Did(event, where=where)).removeprefix("did ")
            return f"event {tested}" + ("" if key is None else f" by {key}")
        case Replies(words=words, channel=channel):
            said = ", ".join(quote(word) for word in words)
            by = "" if channel is None else f"by {channel}"
            return " ".join(part for part in ("reply", said, by) if part)
        case _:
            return format_condition(what)


# ---- steps


def _step(step: Step, level: int) -> Iterator[Row]:
    yield from _comments(step.comments, level)
    yield Row(level, line(step), step=True)
    match step:
        case Stage(steps=steps):
            yield from _block(steps, level + 1)
        case Branch(cases=cases, otherwise=otherwise):
            for case in cases:
                yield from _way(f"if {format_condition(case.condition)}", case.steps, level + 1)
            yield from _else(otherwise, level + 1)
        case Split(arms=arms):
            for arm in arms:
                yield from _way(str(arm.weight), arm.steps, level + 1)
        case WaitFor(then=then, otherwise=otherwise):
            if then:
                yield from _way("then", then, level + 1)
            yield from _else(otherwise, level + 1)
        case _:
            pass


def _block(steps: Sequence[Step], level: int) -> Iterator[Row]:
    for step in steps:
        yield from _step(step, level)


def _way(text: str, steps: Sequence[Step], level: int) -> Iterator[Row]:
    yield Row(level, text)
    yield from _block(steps, level + 1)


def _else(steps: Sequence[Step], level: int) -> Iterator[Row]:
    if steps:
        yield from _way("else", steps, level)


def line(step: Step) -> str:
    """Return the first line of a step, without its comments and what stands below it."""
    return LINES[type(step)](step) + (f" as {step.name}" if step.name else "")


def _option(option: Option) -> str:
    plain = all(content.weight == 1 for content in option.contents)
    contents = " / ".join(
        quote(content.template) + ("" if plain else f" {content.weight}")
        for content in option.contents
    )
    return f"{option.channel} {contents}"


def _wait_time(step: WaitTime) -> str:
    day = "" if step.weekday is None else f"{WEEKDAYS[step.weekday]} "
    return f"wait until {day}{step.at:%H:%M} {step.zone}"


def _wait_for(step: WaitFor) -> str:
    timeout = "" if step.timeout is None else f" or {duration(step.timeout)}"
    return f"wait until {_awaited(step.what)}{timeout}"


def _set(step: Set) -> str:
    value = "to nothing" if step.value is None else f"= {literal(step.value)}"
    return f"set {step.field} {value}"


LINES: dict[type, Callable[[Any], str]] = {
    Send: lambda step: "send " + " or ".join(_option(option) for option in step.options),
    Wait: lambda step: f"wait {duration(step.over)}",
    WaitTime: _wait_time,
    WaitFor: _wait_for,
    Branch: lambda _: "branch",
    Split: lambda _: "split",
    Set: _set,
    Tag: lambda step: f"{'untag' if step.remove else 'tag'} {quote(step.tag)}",
    Webhook: lambda step: f"webhook {quote(step.url)}",
    Check: lambda step: f"check {format_condition(step.condition)}",
    Exit: lambda step: "exit" + (f" {quote(step.reason)}" if step.reason else ""),
    Stage: lambda step: f"stage {step.stage}",
    Digest: lambda step: f"digest {event_name(step.event)} over {duration(step.over)}",
    Call: lambda step: f"call {quote(step.journey)}" + (" and wait" if step.wait else ""),
    GoTo: lambda step: f"go to {step.target} at most {plural(step.most, 'time')}",
}
