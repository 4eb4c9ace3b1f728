"""Segment: the grammar of Segment's tracking calls, one event at a time.

https://segment.com/docs/connections/spec says what a call means; its libraries say what comes: ids
that are null or numbers, times with and without fractions. Nothing here needs a database.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from members.event import BROWSER, SERVER
from members.tracking import ToldEvent
from members.trait import GROUP, IDENTIFY
from members.visitor import MARK

KINDS = frozenset({IDENTIFY, "track", "page", "screen", GROUP, "alias"})
MAX_EVENT = 32 * 1024
"""Bytes of one event."""
MAX_ID, MAX_MESSAGE_ID, MAX_NAME = 128, 100, 100
SECONDS = (10**8, 10**11)
"""Numbers between these are seconds since 1970, a thousand times as many are thousandths."""


class DroppedError(ValueError):
    """An event that cannot be kept: a short reason, and what is wrong in words."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Call:
    """One call, read."""

    kind: str
    told: ToldEvent
    previous_id: str | None = None
    """Of an alias: whom `told` is about was known by it."""
    outside: tuple[tuple[str, str], ...] = ()
    """(system, id) of `context.externalIds`."""


@dataclass(frozen=True, slots=True)
class Post:
    """What is true of all events of one request."""

    received_at: datetime
    mark: str
    trusted: bool
    kind: str | None = None
    """Of all events, where the path says it."""
    sent_at: Any = None


def kind_of(event: Any, post: Post) -> str:
    """Return what kind of call this is, or `?`."""
    kind = post.kind or (event.get("type") if isinstance(event, dict) else None)
    return kind if isinstance(kind, str) and kind in KINDS else "?"


def read_call(event: Any, place: int, post: Post) -> Call:
    """Read the event at `place` of a request. Raises DroppedError."""
    if not isinstance(event, dict):
        raise DroppedError("not_an_object", "an event is an object")
    kind = kind_of(event, post)
    if kind == "?":
        raise DroppedError("type", f"type is one of {', '.join(sorted(KINDS))}")
    if len(json.dumps(event, ensure_ascii=False).encode()) > MAX_EVENT:
        raise DroppedError("too_large", f"an event has at most {MAX_EVENT:,} bytes")
    user, visitor = _id(event, "userId"), _id(event, "anonymousId")
    told = ToldEvent(
        name=_name(event) if kind == "track" else kind,
        message_id=_message_id(event, place, post),
        person={"member_id": user, "anonymous_id": visitor},
        properties=_properties(event, kind),
        occurred_at=_happened(event, post),
        told_by=_told_by(kind, post),
    )
    outside = _outside(event) if post.trusted else ()
    if kind == "alias":
        return _alias(event, told, user)
    if user is None and visitor is None:
        raise DroppedError("nobody", "give userId or anonymousId")
    return Call(kind, told, outside=outside)


def _alias(event: Mapping[str, Any], told: ToldEvent, user: str | None) -> Call:
    previous = _id(event, "previousId") or _id(event, "anonymousId")
    if user is None or previous is None:
        raise DroppedError("nobody", "an alias needs userId and previousId")
    person = {"member_id": user, "anonymous_id": previous}
    return Call("alias", replace(told, person=person), previous_id=previous)


def _id(event: Mapping[str, Any], name: str) -> str | None:
    """Return an id as text: null is none, and a whole number stands for its digits."""
    value = event.get(name)
    if value is None:
        return None
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise DroppedError("id", f"{name} is text")
    text = str(value).strip()
    if len(text) > MAX_ID:
        raise DroppedError("id", f"{name} has at most {MAX_ID} characters")
    if text.casefold().startswith(MARK):
        raise DroppedError("id", f"{name} cannot begin with {MARK}")
    return text or None


def _message_id(event: Mapping[str, Any], place: int, post: Post) -> str:
    value = event.get("messageId")
    if value is None or value == "":
        return f"{post.mark}-{place}"
    if not isinstance(value, str) or len(value) > MAX_MESSAGE_ID:
        raise DroppedError("message_id", f"messageId is text of at most {MAX_MESSAGE_ID}")
    return value


def _name(event: Mapping[str, Any]) -> str:
    name = event.get("event")
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= MAX_NAME:
        raise DroppedError("event", f"event is a name of 1 to {MAX_NAME} characters")
    return name.strip()


def _told_by(kind: str, post: Post) -> str | None:
    """Return whose traits they are, of a call that has any: an event's name proves nothing."""
    if kind not in (IDENTIFY, GROUP):
        return None
    return SERVER if post.trusted else BROWSER


def _properties(event: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return what is kept of an event beside its name, person and time."""
    what = "traits" if kind in (IDENTIFY, GROUP) else "properties"
    given = event.get(what)
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise DroppedError(what, f"{what} are an object")
    found = dict(given)
    if kind in ("page", "screen"):
        found |= {
            key: event[key] for key in ("name", "category") if isinstance(event.get(key), str)
        }
    if kind == GROUP:
        found["group_id"] = _id(event, "groupId")
        if found["group_id"] is None:
            raise DroppedError("id", "a group needs groupId")
    return found


def _happened(event: Mapping[str, Any], post: Post) -> datetime:
    """Return when it happened by our clock, never later than it came.

    What counts is how long before sending it happened: a device's clock may be wrong.
    """
    said = _time(event.get("timestamp")) or _time(event.get("originalTimestamp"))
    if said is None:
        return post.received_at
    sent = _time(event.get("sentAt")) or _time(post.sent_at)
    try:
        told = said if sent is None else post.received_at - (sent - said)
    except OverflowError:
        return post.received_at
    return min(told, post.received_at)


def _time(value: Any) -> datetime | None:
    """Return a time as somebody wrote it; None for what is none."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value.strip())
            return (found.replace(tzinfo=UTC) if found.tzinfo is None else found).astimezone(UTC)
        if isinstance(value, int | float) and SECONDS[0] <= value < SECONDS[1] * 1000:
            return datetime.fromtimestamp(value / (1 if value < SECONDS[1] else 1000), UTC)
    except (ValueError, OverflowError):
        pass
    return None


def _outside(event: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    context = event.get("context")
    ids = context.get("externalIds") if isinstance(context, dict) else None
    found = []
    for one in ids if isinstance(ids, list) else ():
        system, value = (one.get("type"), one.get("id")) if isinstance(one, dict) else (None, None)
        if isinstance(system, str) and isinstance(value, str) and 1 <= len(value) <= MAX_ID:
            found.append((system, value))
    return tuple(found)
