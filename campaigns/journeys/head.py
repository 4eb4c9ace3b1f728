"""Head: the lines of a journey above its steps, read: what starts it and what holds throughout."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import time, timedelta
from typing import Any

from campaigns.journeys import normal
from campaigns.journeys.ast import (
    MEMBER_TIME,
    Again,
    Every,
    Goal,
    Happens,
    Limit,
    OnDate,
    OnEvent,
    OnForm,
    OnReply,
    OnRequest,
    OnSchedule,
    OnSegment,
    Quiet,
    Replies,
    Trigger,
)
from campaigns.journeys.duration import WEEKDAYS
from campaigns.journeys.line import Line
from core.condition import happened
from core.condition.ast import Condition
from core.condition.leaf import Known
from core.condition.text import condition

HEAD = ("when", "again", "goal", "exit when", "quiet", "limit")
STARTS = ("event", "reply", "form", "enters", "leaves", "every", "on", "asked")


@dataclass(slots=True)
class Head:
    """What has been read of a head so far."""

    triggers: tuple[Trigger, ...] = ()
    again: Again | None = None
    goals: tuple[Goal, ...] = ()
    exits: tuple[Condition, ...] = ()
    quiet: Quiet | None = None
    limit: Limit | None = None

    def read(self, line: Line, known: Known | None) -> bool:
        """Read a line if it is one of a head; say whether it is. Raises ConditionError."""
        if not is_head(line):
            return False
        word = line.take().word
        READ[word](self, line, known)
        line.end()
        if line.below:
            raise line.below[0].wrong(f"nothing stands below “{word}”")
        return True

    def given(self) -> dict[str, Any]:
        """Return the parts of a Journey."""
        return {
            "triggers": self.triggers,
            "again": self.again or Again(),
            "goals": self.goals,
            "exits": self.exits,
            "quiet": self.quiet,
            "limit": self.limit,
        }


def is_head(line: Line) -> bool:
    """Say whether a line belongs to a head."""
    word, then = line.next.word, line.peek().word
    return then == "when" if word == "exit" else word in READ


def happens(line: Line) -> Happens:
    """Take an event with its tests and its key: `purchase where total > 50 by order_id`."""
    start = line.next
    event, where = happened.event(line), happened.where(line)
    key = None
    if line.word("by"):
        if line.next.kind != "word":
            raise line.expected("a property of the event")
        key = line.take().text.removeprefix("properties.")
    return line.checked(start, lambda: normal.happens(Happens(event, where, key)))


def replies(line: Line) -> Replies:
    """Take what a reply says and comes by: `"yes", "ok" by sms`."""
    start = line.next
    words = []
    if line.next.kind == "text":
        words.append(line.string())
        while line.word(","):
            words.append(line.string())
    channel = line.channel() if line.word("by") else None
    return line.checked(start, lambda: normal.replies(Replies(tuple(words), channel)))


def _when(head: Head, line: Line, known: Known | None) -> None:
    start = line.next
    trigger = _date(line) if start.kind == "over" else _started(line, known)
    if not isinstance(trigger, OnSchedule) and line.word("if"):
        trigger = replace(trigger, only=condition(line, known))
    head.triggers += (line.checked(start, lambda: normal.trigger(trigger, known)),)


def _started(line: Line, known: Known | None) -> Trigger:
    word = line.one_of(STARTS)
    match word:
        case "event":
            return OnEvent(happens(line))
        case "reply":
            return OnReply(replies(line))
        case "form":
            return OnForm(line.named("a form's name"))
        case "enters" | "leaves":
            line.need("segment")
            return OnSegment(line.named("a segment's name"), word == "leaves")
        case "every":
            return _schedule(line, known)
        case "on":
            return _on(line, 0)
        case "asked":
            return OnRequest()
        case _:
            raise line.expected("what starts it", (*STARTS, "3d before"))


def _date(line: Line) -> OnDate:
    start = line.next
    length = line.over()
    if length % timedelta(days=1):
        raise line.error("whole days are counted to a date", start.start, "write 3d or 2w")
    side = line.one_of(("before", "after"))
    if side is None:
        raise line.expected("“before” or “after”", ("before", "after"))
    return _on(line, length.days if side == "after" else -length.days)


def _on(line: Line, days: int) -> OnDate:
    field = line.field()
    yearly = line.word("every", "year")
    at, zone = _at(line, MEMBER_TIME)
    return OnDate(field, days, at, zone, yearly)


def _schedule(line: Line, known: Known | None) -> OnSchedule:
    found = line.one_of(Every)
    if found is None:
        raise line.expected("“day”, “week” or “month”", Every)
    every = Every(found)
    on = normal.DAYS[every][0]
    if every is not Every.DAY and line.word("on"):
        on = _day(line, every)
    at, zone = _at(line, "UTC")
    line.need("for")
    return OnSchedule(every, condition(line, known), on, at, zone)


def _day(line: Line, every: Every) -> int:
    if every is Every.MONTH:
        return line.whole("a day of the month")
    day = line.weekday()
    if day is None:
        raise line.expected("a weekday such as monday", WEEKDAYS)
    return day


def _at(line: Line, otherwise: str) -> tuple[time, str]:
    return (line.at(), line.zone(otherwise)) if line.word("at") else (time(9), otherwise)


def _again(head: Head, line: Line, known: Known | None) -> None:
    _once(line, head.again)
    if line.word("never"):
        head.again = Again()
        return
    if line.word("always"):
        head.again = Again(most=None)
        return
    after = line.over() if line.word("after") else timedelta(0)
    line.word(",")
    most = _times(line) if line.word("up", "to") else None
    if most is None and not after:
        raise line.expected("“never”, “always”, “after 30d” or “up to 3 times”", ("never", "after"))
    start = line.start
    head.again = line.checked(start, lambda: normal.again(Again(most, after)))


def _times(line: Line) -> int:
    most = line.whole("a number of times")
    if not line.word("times"):
        line.need("time")
    return most


def _goal(head: Head, line: Line, known: Known | None) -> None:
    reached = happens(line) if line.word("event") else condition(line, known)
    within = line.over() if line.word("within") else None
    head.goals += (line.checked(line.start, lambda: normal.goal(Goal(reached, within))),)


def _exit(head: Head, line: Line, known: Known | None) -> None:
    line.need("when")
    head.exits += (condition(line, known),)


def _quiet(head: Head, line: Line, known: Known | None) -> None:
    _once(line, head.quiet)
    start = line.at()
    line.need("-")
    end = line.at()
    head.quiet = Quiet(start, end, line.zone(MEMBER_TIME))


def _limit(head: Head, line: Line, known: Known | None) -> None:
    _once(line, head.limit)
    messages = line.whole("a number of messages")
    line.need("per")
    per = line.over()
    head.limit = line.checked(line.start, lambda: normal.limit(Limit(messages, per)))


def _once(line: Line, given: object) -> None:
    if given is not None:
        message = f"“{line.start.text}” stands here twice"
        raise line.error(message, line.start.start, "keep one of them")


READ: dict[str, Callable[[Head, Line, Known | None], None]] = {
    "when": _when,
    "again": _again,
    "goal": _goal,
    "exit": _exit,
    "quiet": _quiet,
    "limit": _limit,
}
