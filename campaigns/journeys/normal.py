"""Normal forms: the checks that each part of a journey passes, whichever face it came in by.

Every function returns what it was given as it is kept, and raises ConditionError, which learns its
place from whoever reads. What makes sense by itself but not in its journey is found by check.py.
"""

import re
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from campaigns.journeys.ast import (
    MEMBER_TIME,
    Again,
    Call,
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
    OnSchedule,
    OnSegment,
    Quiet,
    Replies,
    Send,
    Set,
    Split,
    Step,
    Tag,
    Trigger,
    Wait,
    WaitFor,
    WaitTime,
    Webhook,
)
from core.condition.ast import (
    CHOICES,
    FIELDS,
    Compare,
    Condition,
    Did,
    HasTag,
    InSegment,
    Kind,
    Op,
    kind_of,
)
from core.condition.check import (
    ConditionError,
    check_compare,
    check_property,
    check_text,
    field_meant,
    nearest,
)
from core.condition.leaf import MAX_NAME, Known, checked
from core.condition.normal import fold

T = TypeVar("T")
STEP_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
LONGEST = timedelta(days=5 * 366)
MOST = 1_000_000
"""No number of a journey is bigger."""
MAX_WORDS = 20
MAX_URL = 500
FIXED = frozenset(
    {"member_id", "email", "phone", "total_spend", "lifetime_value", "last_active"}
    | {"referral_code", "created_at", "updated_at"}
)
"""Fields of members that no journey sets: who somebody is, and what is counted."""
NEVER_EMPTY = frozenset({"tier", "status"})
DAYS = {Every.DAY: (0, 0), Every.WEEK: (0, 6), Every.MONTH: (1, 31)}
"""The least and the most that a schedule comes round on."""


def name(value: str, what: str) -> str:
    """Return a name of 1 to 200 characters without spaces around it."""
    return check_text(value.strip(), what, MAX_NAME, least=1)


def over(length: timedelta, what: str = "a duration") -> timedelta:
    """Return a duration of whole seconds, from one second to five years."""
    if length.microseconds or not timedelta(seconds=1) <= length <= LONGEST:
        raise ConditionError(f"{what} has 1 second to 5 years", remedy="write 30m, 12h, 3d or 2w")
    return length


def number(value: int, what: str, least: int = 0) -> int:
    """Return a whole number that is not too big."""
    if not least <= value <= MOST:
        raise ConditionError(f"{what} is from {least} to {MOST}, not {value}")
    return value


def zone(value: str) -> str:
    """Return an IANA zone as it is spelled, or member-time."""
    known = _zones()
    found = known.get(value.casefold())
    if found is None:
        raise ConditionError(
            f"there is no time zone “{value[:40]}”",
            remedy=f"write {MEMBER_TIME}, UTC or one such as Europe/Berlin",
        )
    return found


@cache
def _zones() -> dict[str, str]:
    return {zone.casefold(): zone for zone in sorted(available_timezones())} | {
        MEMBER_TIME: MEMBER_TIME
    }


def target(value: str) -> str:
    """Return what a jump leads to: a step's name, or an Elevate step's."""
    return value if value in {stage.value for stage in Elevate} else step_name(value.casefold())


def step_name(value: str) -> str:
    """Return the name of a step: what stands behind `as`."""
    if not STEP_NAME.fullmatch(value):
        raise ConditionError(
            f"“{value[:40]}” is no name of a step",
            remedy="it has small letters, digits, _ and -, at most 40, and begins with a letter",
        )
    return value


def comments(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return lines of comment without spaces around them."""
    if any("\n" in line for line in lines):
        raise ConditionError("a comment is one line")
    return tuple(check_text(line.strip(), "a comment", 20_000) for line in lines)


def journey(one: Journey) -> Journey:
    """Return a journey whose parts have been checked, with its name and its comments."""
    return replace(
        one,
        name=name(one.name, "a journey's name"),
        comments=comments(one.comments),
        ending=comments(one.ending),
    )


# ---- what happens


def happens(what: Happens) -> Happens:
    """Return an event, its tests and its key."""
    did = checked(Did(what.event, where=what.where))
    assert isinstance(did, Did)  # noqa: S101  # a leaf's normal form is of its kind
    if what.key is not None:
        check_property(Compare(what.key, Op.IS_SET))
    return Happens(did.event, did.where, what.key)


def replies(what: Replies) -> Replies:
    """Return replies with the words that count folded."""
    if len(what.words) > MAX_WORDS:
        raise ConditionError(f"there are {len(what.words)} words", remedy=f"keep to {MAX_WORDS}")
    words = tuple(check_text(fold(word), "a word", 100, least=1) for word in what.words)
    spaced = next((word for word in words if " " in word), None)
    if spaced is not None:
        raise ConditionError(
            f"“{spaced[:40]}” is more than one word",
            remedy="replies are told by their first word; give that",
        )
    return replace(what, words=words)


def _reached(what: Happens | Replies | Condition) -> Any:
    match what:
        case Happens():
            return happens(what)
        case Replies():
            return replies(what)
        case _:
            return what


# ---- the head


def trigger(one: Trigger, known: Known | None = None) -> Trigger:
    """Return a trigger; with `known`, its segment must be one of the client's."""
    match one:
        case OnEvent():
            return replace(one, happens=happens(one.happens))
        case OnReply():
            return replace(one, replies=replies(one.replies))
        case OnForm():
            return replace(one, form=name(one.form, "a form's name"))
        case OnSegment():
            found = checked(InSegment(one.segment), known)
            return replace(one, segment=found.name) if isinstance(found, InSegment) else one
        case OnDate():
            return _date(one)
        case OnSchedule():
            least, most = DAYS[one.every]
            if not least <= one.on <= most:
                raise ConditionError(f"a {one.every} has no day {one.on}")
            return replace(one, zone=zone(one.zone))
        case _:
            return one


def _date(one: OnDate) -> OnDate:
    kind = kind_of(one.field)
    if kind not in (Kind.DATE, Kind.INSTANT, Kind.ANY) or one.field == "updated_at":
        raise ConditionError(
            f"“{one.field[:80]}” is no date of members",
            remedy="write date_of_birth, last_active, created_at or attributes.<name>",
        )
    check_compare(Compare(one.field, Op.IS_SET))
    if abs(one.days) > LONGEST.days:
        raise ConditionError("that is more than 5 years away")
    return replace(one, zone=zone(one.zone))


def again(one: Again) -> Again:
    """Return how often one may enter."""
    if one.most is not None:
        number(one.most, "how often one may enter", least=1)
    if one.after:
        over(one.after)
    return one


def goal(one: Goal) -> Goal:
    """Return a goal."""
    if one.within is not None:
        over(one.within)
    return replace(one, reached=_reached(one.reached))


def quiet(one: Quiet) -> Quiet:
    """Return quiet hours."""
    return replace(one, zone=zone(one.zone))


def limit(one: Limit) -> Limit:
    """Return a limit of messages."""
    over(one.per)
    number(one.messages, "a number of messages")
    return one


# ---- steps


def step(one: Step) -> Step:
    """Return a step; the steps inside it are theirs to check."""
    if one.name is not None:
        step_name(one.name)
    found = _acting(_leading(_waiting(one)))
    return replace(found, comments=comments(one.comments)) if one.comments else found


def _waiting(one: Step) -> Step:
    match one:
        case Wait():
            over(one.over)
            return one
        case WaitTime():
            return replace(one, zone=zone(one.zone))
        case WaitFor():
            if one.timeout is not None:
                over(one.timeout)
            return replace(one, what=_reached(one.what))
        case Digest():
            over(one.over)
            return replace(one, event=happens(Happens(one.event)).event)
        case _:
            return one


def _leading(one: Step) -> Step:
    match one:
        case Split():
            for arm in one.arms:
                number(arm.weight, "a share")
            return one
        case GoTo():
            number(one.most, "how often one may go back", least=1)
            return replace(one, target=target(one.target))
        case Call():
            return replace(one, journey=name(one.journey, "a journey's name"))
        case Exit(reason=str(reason)):
            return replace(one, reason=name(reason, "a reason"))
        case _:
            return one


def _acting(one: Step) -> Step:
    match one:
        case Send():
            return replace(one, options=tuple(_option(option) for option in one.options))
        case Set():
            return replace(one, value=_value(one.field, one.value))
        case Tag():
            found = checked(HasTag(one.tag))
            return replace(one, tag=found.tag) if isinstance(found, HasTag) else one
        case Webhook():
            return replace(one, url=_url(one.url))
        case _:
            return one


def _option(option: Any) -> Any:
    contents = tuple(
        replace(
            content,
            template=name(content.template, "a template's name"),
            weight=number(content.weight, "a share"),
        )
        for content in option.contents
    )
    return replace(option, contents=contents)


def _value(field: str, value: Any) -> Any:
    """Return the value that a field is set to; None where it is emptied."""
    if kind_of(field) is None or field in FIXED:
        raise ConditionError(
            f"a journey cannot set “{field[:80]}”",
            remedy=field_meant(field, [one for one in FIELDS if one not in FIXED]),
        )
    if value is None:
        if field in NEVER_EMPTY:
            raise ConditionError(f"{field} is never empty")
        check_compare(Compare(field, Op.IS_SET))
        return None
    if kind_of(field) is Kind.DATE:
        return _day(field, value)
    if field in CHOICES and fold(str(value)) not in CHOICES[field]:
        raise ConditionError(
            f"there is no {field} “{str(value)[:40]}”", remedy=nearest(str(value), CHOICES[field])
        )
    return check_compare(Compare(field, Op.EQ, value)).value


def _day(field: str, value: Any) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        raise ConditionError(
            f"{field} is set to a date, not {str(value)[:40]}", remedy='write it as "2026-01-31"'
        ) from None


def _url(url: str) -> str:
    check_text(url, "a URL", MAX_URL, least=1)
    try:
        parts = urlsplit(url)
        whole = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or any(letter.isspace() for letter in url):
        raise ConditionError(
            f"“{url[:40]}” is no URL that can be called", remedy="begin it with https://"
        )
    return url
