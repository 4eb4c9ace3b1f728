"""The JSON face: what the API and the rows of a database hold.

{"name": "Welcome", "when": [{"on": "segment", "segment": "New leads"}],
 "goals": [{"reached": {"event": {"name": "purchase"}}, "within": "30d"}],
 "steps": [{"do": "send", "by": [{"channel": "sms", "contents": [{"template": "hello"}]}]},
           {"do": "wait for", "until": {"condition": …}, "timeout": "2d", "as": "joined"}]}

Durations, times and conditions are as in text and as in the JSON of conditions. What has its
default is left out.
"""

from collections.abc import Mapping
from typing import Any

from campaigns.journeys import normal
from campaigns.journeys.ast import (
    Again,
    Arm,
    Branch,
    Call,
    Case,
    Check,
    Content,
    Digest,
    Elevate,
    Every,
    Exit,
    Goal,
    GoTo,
    Happens,
    Journey,
    Limit,
    OnDate,
    OnEvent,
    OnForm,
    OnReply,
    OnRequest,
    OnSchedule,
    OnSegment,
    Option,
    Quiet,
    Replies,
    Send,
    Set,
    Split,
    Stage,
    Tag,
    Wait,
    WaitFor,
    WaitTime,
    Webhook,
)
from campaigns.journeys.codec import (
    FLAG,
    TEXT,
    WHOLE,
    Codec,
    Part,
    among,
    below,
    many,
    optional,
    plain,
    shape,
    spelled,
    union,
)
from campaigns.journeys.duration import WEEKDAYS, duration, read_duration, read_time
from campaigns.journeys.errors import JourneyError
from campaigns.journeys.spelling import MAX_LEVELS, check_size
from channels.channel import Channel
from core.condition import json as conditions
from core.condition.ast import Condition, Did
from core.condition.check import ConditionError, nearest


def to_json(journey: Journey) -> dict[str, Any]:
    """Write a journey as JSON that `from_json` reads back to the same journey."""
    written = JOURNEY.write(journey)
    assert isinstance(written, dict)  # noqa: S101  # a shape is an object
    return written


def from_json(data: object) -> Journey:
    """Read a journey. Raises JourneyError whose field is a path: `steps/2/cases/0/condition`."""
    journey = JOURNEY.read(data, "")
    assert isinstance(journey, Journey)  # noqa: S101  # as the shape says
    return journey


# ---- conditions and what happens


def _read_condition(data: Any, path: str) -> Condition:
    try:
        return conditions.from_json(data)
    except ConditionError as error:
        inside = (error.field or "rule").removeprefix("rule")
        raise JourneyError(str(error), field=path + inside, remedy=error.remedy) from None


CONDITION = Codec(conditions.to_json, _read_condition)


def _write_tests(where: Any) -> Any:
    return conditions.to_json(Did("event", where=where))["where"]


def _read_tests(data: Any, path: str) -> Any:
    # Tests of an event are those of a condition about one.
    did = _read_condition({"event": "event", "where": data}, path)
    return did.where if isinstance(did, Did) else ()


HAPPENS = shape(
    Happens,
    Part("name", "event", TEXT),
    Part("where", "where", Codec(_write_tests, _read_tests)),
    Part("by", "key", optional(TEXT)),
    check=normal.happens,
)
CHANNEL = among(Channel, "channel")
REPLIES = shape(
    Replies,
    Part("words", "words", many(TEXT)),
    Part("by", "channel", optional(CHANNEL)),
    check=normal.replies,
)
KINDS: dict[str, Codec] = {"event": HAPPENS, "reply": REPLIES, "condition": CONDITION}


def _write_awaited(what: Any) -> dict[str, Any]:
    kinds = {Happens: "event", Replies: "reply"}
    kind = kinds.get(type(what), "condition")
    return {kind: KINDS[kind].write(what)}


def _read_awaited(data: Any, path: str) -> Any:
    if not isinstance(data, Mapping) or len(data) != 1 or not data.keys() <= KINDS.keys():
        unknown = next(iter(data), "") if isinstance(data, Mapping) else ""
        raise JourneyError(
            "exactly one of event, reply, condition was expected",
            field=path,
            remedy=nearest(str(unknown), KINDS) if unknown not in KINDS else None,
        )
    kind = next(iter(data))
    return KINDS[kind].read(data[kind], below(path, kind))


def _read_goal(data: Any, path: str) -> Any:
    reached = _read_awaited(data, path)
    if isinstance(reached, Replies):
        raise JourneyError("a goal is an event or a condition", field=path)
    return reached


AWAITED = Codec(_write_awaited, _read_awaited)
DURATION = spelled(duration, lambda text: normal.over(read_duration(text)))
AFTER = spelled(duration, read_duration)
TIME = spelled(lambda at: f"{at:%H:%M}", read_time)


def _weekday(text: str) -> int:
    if text not in WEEKDAYS:
        raise ConditionError(f"“{text[:20]}” is no weekday", remedy=nearest(text, WEEKDAYS))
    return WEEKDAYS.index(text)


# ---- the head

ONLY = Part("if", "only", optional(CONDITION))
AT = (Part("at", "at", TIME), Part("zone", "zone", TEXT))
TRIGGERS: dict[str, tuple[type, tuple[Part, ...]]] = {
    "event": (OnEvent, (Part("event", "happens", HAPPENS), ONLY)),
    "reply": (OnReply, (Part("reply", "replies", REPLIES), ONLY)),
    "form": (OnForm, (Part("form", "form", TEXT), ONLY)),
    "segment": (
        OnSegment,
        (Part("segment", "segment", TEXT), Part("leaves", "leaves", FLAG), ONLY),
    ),
    "date": (
        OnDate,
        (
            Part("field", "field", TEXT),
            Part("days", "days", WHOLE),
            *AT,
            Part("yearly", "yearly", FLAG),
            ONLY,
        ),
    ),
    "schedule": (
        OnSchedule,
        (
            Part("every", "every", among(Every, "time to come round")),
            Part("for", "only", CONDITION),
            Part("day", "on", WHOLE),
            *AT,
        ),
    ),
    "request": (OnRequest, (ONLY,)),
}
TRIGGER = union(
    "on",
    "thing that starts a journey",
    {
        word: (kind, shape(kind, *parts, check=normal.trigger, tag="on"))
        for word, (kind, parts) in TRIGGERS.items()
    },
)
AGAIN = shape(
    Again, Part("most", "most", optional(WHOLE)), Part("after", "after", AFTER), check=normal.again
)
GOAL = shape(
    Goal,
    Part("reached", "reached", Codec(_write_awaited, _read_goal)),
    Part("within", "within", optional(DURATION)),
    check=normal.goal,
)
QUIET = shape(
    Quiet,
    Part("start", "start", TIME),
    Part("end", "end", TIME),
    Part("zone", "zone", TEXT),
    check=normal.quiet,
)
LIMIT = shape(
    Limit, Part("messages", "messages", WHOLE), Part("per", "per", DURATION), check=normal.limit
)

# ---- steps


def _read_steps(data: Any, path: str) -> Any:
    if path.count("/") > 4 * MAX_LEVELS:
        raise JourneyError(f"steps stand more than {MAX_LEVELS} deep in each other", field=path)
    return many(STEP).read(data, path)


INSIDE = Codec(lambda steps: many(STEP).write(steps), _read_steps)
ELSE = Part("else", "otherwise", INSIDE)
CONTENT = shape(Content, Part("template", "template", TEXT), Part("weight", "weight", WHOLE))
OPTION = shape(
    Option, Part("channel", "channel", CHANNEL), Part("contents", "contents", many(CONTENT, 1))
)
CASE = shape(Case, Part("condition", "condition", CONDITION), Part("steps", "steps", INSIDE))
ARM = shape(Arm, Part("weight", "weight", WHOLE), Part("steps", "steps", INSIDE))
VALUE = optional(plain((str, int, float, bool), "text, a number or true/false"))
STEPS: dict[str, tuple[type, tuple[Part, ...]]] = {
    "send": (Send, (Part("by", "options", many(OPTION, 1)),)),
    "wait": (Wait, (Part("over", "over", DURATION),)),
    "wait until": (
        WaitTime,
        (
            AT[0],
            Part("weekday", "weekday", optional(spelled(WEEKDAYS.__getitem__, _weekday))),
            AT[1],
        ),
    ),
    "wait for": (
        WaitFor,
        (
            Part("until", "what", AWAITED),
            Part("timeout", "timeout", optional(DURATION)),
            Part("then", "then", INSIDE),
            ELSE,
        ),
    ),
    "branch": (Branch, (Part("cases", "cases", many(CASE, 1)), ELSE)),
    "split": (Split, (Part("arms", "arms", many(ARM, 2)),)),
    "set": (Set, (Part("field", "field", TEXT), Part("value", "value", VALUE))),
    "tag": (Tag, (Part("tag", "tag", TEXT), Part("remove", "remove", FLAG))),
    "webhook": (Webhook, (Part("url", "url", TEXT),)),
    "check": (Check, (Part("condition", "condition", CONDITION),)),
    "exit": (Exit, (Part("reason", "reason", optional(TEXT)),)),
    "stage": (
        Stage,
        (Part("stage", "stage", among(Elevate, "Elevate step")), Part("steps", "steps", INSIDE)),
    ),
    "digest": (Digest, (Part("event", "event", TEXT), Part("over", "over", DURATION))),
    "call": (Call, (Part("journey", "journey", TEXT), Part("wait", "wait", FLAG))),
    "go to": (GoTo, (Part("target", "target", TEXT), Part("most", "most", WHOLE))),
}
BASE = (Part("as", "name", optional(TEXT)), Part("comments", "comments", many(TEXT)))
STEP: Codec = union(
    "do",
    "step",
    {
        word: (kind, shape(kind, *parts, *BASE, check=normal.step, tag="do"))
        for word, (kind, parts) in STEPS.items()
    },
)


def _whole(journey: Journey) -> Journey:
    return check_size(normal.journey(journey))


JOURNEY = shape(
    Journey,
    Part("name", "name", TEXT),
    Part("when", "triggers", many(TRIGGER)),
    Part("again", "again", AGAIN),
    Part("goals", "goals", many(GOAL)),
    Part("exits", "exits", many(CONDITION)),
    Part("quiet", "quiet", optional(QUIET)),
    Part("limit", "limit", optional(LIMIT)),
    Part("steps", "steps", INSIDE),
    Part("comments", "comments", many(TEXT)),
    Part("ending", "ending", many(TEXT)),
    check=_whole,
)
