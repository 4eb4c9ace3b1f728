"""News: what a client's endpoints can be told, by the name in a webhook's `type`.

Each is told in one place, in the transaction in which it happens (accounts/outbox.py).
"""

import enum

from core.errors import InvalidError

EVERYTHING = "*"
MAX_TYPES = 50


class News(enum.StrEnum):
    """One kind of news."""

    SENT = "communication.sent"
    DELIVERED = "communication.delivered"
    READ = "communication.read"
    CLICKED = "communication.clicked"
    REPLIED = "communication.replied"
    BOUNCED = "communication.bounced"
    FAILED = "communication.failed"
    SKIPPED = "communication.skipped"
    UNKNOWN = "communication.unknown"
    MEMBER_CREATED = "member.created"
    MEMBER_UPDATED = "member.updated"
    MEMBER_DELETED = "member.deleted"
    UNSUBSCRIBED = "member.unsubscribed"
    RESUBSCRIBED = "member.resubscribed"
    JOINED = "segment.joined"
    LEFT = "segment.left"
    LAUNCHED = "campaign.launched"
    PAUSED = "campaign.paused"
    RESUMED = "campaign.resumed"
    FINISHED = "campaign.finished"
    ENTERED = "journey.entered"
    EXITED = "journey.exited"
    GOAL = "journey.goal"
    IMPORTED = "import.finished"
    DISABLED = "endpoint.disabled"
    TEST = "endpoint.test"


class NewsTypeError(InvalidError):
    """A webhook endpoint asks for something that is never told."""

    code = "unknown_event_type"


def checked(types: list[str]) -> list[str]:
    """Return names and groups (`communication.*`, `*`) without repeats. Raises NewsTypeError."""
    known = {one.value for one in News} - {News.TEST.value}
    known |= {f"{name.partition('.')[0]}.*" for name in known} | {EVERYTHING}
    for number, name in enumerate(types):
        if name not in known:
            raise NewsTypeError(
                f"there is no event type “{name[:60]}”",
                field=f"/types/{number}",
                remedy="use one of " + ", ".join(sorted(known)),
            )
    if not 0 < len(types) <= MAX_TYPES:
        raise NewsTypeError(f"an endpoint has 1 to {MAX_TYPES} event types", field="types")
    return list(dict.fromkeys(types))


def means(types: list[str], news: News) -> bool:
    """Say whether one of these names and groups means it."""
    return not {EVERYTHING, f"{news.partition('.')[0]}.*", news.value}.isdisjoint(types)
