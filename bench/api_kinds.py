"""The kinds of requests that bench/api.py measures: what each asks for, and its target."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from random import Random
from urllib.parse import urlencode

from core.page import encode_cursor

ONE, LIST, SEARCH, STATISTICS = 15, 50, 100, 100
"""Milliseconds that 95 of 100 requests stay within."""
FIRST = ("Ana", "Jonas", "Mia", "Léa", "Zoë", "Søren", "Priya", "Yuki", "Omar", "Kofi")
LAST = ("García", "Müller", "Novák", "Okafor", "Silva", "Rossi", "Haddad", "Tanaka", "Costa")
BY = ("channel", "provider", "campaign", "domain", "day")


@dataclass(frozen=True, slots=True)
class Spread:
    """What there is to ask for: the highest ids, and now."""

    members: int
    communications: int
    users: int
    audit_log: int
    campaigns: int
    consents: int
    segment: int
    now: datetime


Make = Callable[[Random, Spread], str]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request."""

    name: str
    target: int
    """Milliseconds at p95."""
    make: Make

    def paths(self, spread: Spread) -> Iterator[str]:
        """Yield addresses without end, the same every time."""
        draw = Random(self.name)
        return (self.make(draw, spread) for _ in count())


def _address(path: str, **query: object) -> str:
    told = {name.strip("_"): value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(told)}" if told else path


def _one(room: str, path: str, **query: object) -> Make:
    """Return what asks for something of one row: `{}` in the path is its id."""
    return lambda draw, spread: _address(
        path.format(draw.randint(1, getattr(spread, room))), **query
    )


def _page(path: str, room: str, **choices: object) -> Make:
    """Return what asks for a page anywhere in a list; of a sequence of values one is drawn."""

    def make(draw: Random, spread: Spread) -> str:
        query = {
            name: draw.choice(value) if isinstance(value, list) else value
            for name, value in choices.items()
        }
        edge = draw.randint(1, getattr(spread, room)) if draw.random() < 0.7 else None
        return _address(path, cursor=edge and encode_cursor(edge), **query)

    return make


def _drawn(
    path: str, name: str, values: Callable[[Random, Spread], object], **more: object
) -> Make:
    return lambda draw, spread: _address(path, **{name: values(draw, spread)}, **more)


def _member(draw: Random, spread: Spread) -> int:
    return draw.randint(1, spread.members)


def _user(draw: Random, spread: Spread) -> int:
    return draw.randint(1, spread.users)


def _campaign(draw: Random, spread: Spread) -> int:
    return draw.randint(1, spread.campaigns)


def _words(kind: str) -> Callable[[Random, Spread], object]:
    """Return what makes words to search members for."""

    def make(draw: Random, spread: Spread) -> object:
        member, last = _member(draw, spread), draw.choice(LAST)
        return {
            "prefix": draw.choice(FIRST)[: draw.randint(2, 4)],
            "name": f"{draw.choice(FIRST)} {last} {draw.randint(0, 5000)}",
            "last": f"{last} {draw.randint(0, 500)}",
            "fuzzy": draw.choice(("Jonsa", "Pryia", "Garcia", "Mueller", "Jonass", "Prixa")),
            "email": f"person{member}@",
            "mail": f"person{member}@shop{member % 50}.example",
            "phone": f"+1201{draw.randint(0, 999):07}"[: draw.randint(8, 12)],
            "id": f"c-{member}",
            "tag": draw.choice(("vip", "newsletter", "nobody")),
            "common": draw.choice(("person", "a", "+1201", "Mia")),
            "rare": draw.choice(("zzyzx", "qwertyuiop", "Xanthippe 7", "nobody@nowhere.example")),
        }[kind]

    return make


def _user_words(kind: str) -> Callable[[Random, Spread], object]:
    def make(draw: Random, spread: Spread) -> object:
        user, last = _user(draw, spread), draw.choice(LAST)
        return {
            "prefix": draw.choice(FIRST)[: draw.randint(1, 3)],
            "name": f"{draw.choice(FIRST)} {last}{draw.randint(0, 5000)}",
            "inside": f"{last[2:].lower()}{draw.randint(10, 5000)}",
            "email": f"user{user}@office{user % 500}",
            "domain": f"@office{draw.randint(0, 499)}.",
            "common": draw.choice(("user", "office", "example", "a", "an")),
            "rare": draw.choice(("zzyzx", "qwertyuiop", "xanthippe", "nobody@nowhere.example")),
        }[kind]

    return make


RULES = [
    'tier = "premium" and attributes.city = "Lisbon"',
    'has tag "vip" and reachable by email',
    "did purchase at least 2 times in the last 90 days",
    'consent email and attributes.plan = "pro" and total_spend > 400',
    'tier = "executive" and has tag "vip" and attributes.city = "Vienna"',
    "clicked any campaign within 30 days",
]
STATUSES = [
    "queued", "sending", "sent", "delivered", "failed", "bounced", "read", "clicked", "replied",
    "unknown", "skipped",
]  # fmt: skip
CHANNELS = ["email", "sms", "voice", "push"]
LOG = "/communications"


def _period(path: str, **choices: object) -> Make:
    """Return what asks for statistics of a period with ends at any second."""

    def make(draw: Random, spread: Spread) -> str:
        until = spread.now - timedelta(seconds=draw.randint(0, 300 * 86_400))
        since = until - timedelta(seconds=draw.randint(86_400, 90 * 86_400))
        query = {
            name: draw.choice(value) if isinstance(value, Sequence) else value
            for name, value in choices.items()
        }
        return _address(path, since=f"{since:%FT%TZ}", until=f"{until:%FT%TZ}", **query)

    return make


def _by(path: str, **query: object) -> Make:
    return lambda draw, spread: _address(path, by=draw.choice(BY), **query)


KINDS = (
    Kind("one member", ONE, _one("members", "/members/{}")),
    Kind("one member by own id", ONE, _drawn("/members", "member_id", _words("id"))),
    Kind("one member by email", ONE, _drawn("/members", "email", _words("mail"))),
    Kind("one message", ONE, _one("communications", LOG + "/{}")),
    Kind("one campaign", ONE, _one("campaigns", "/campaigns/{}")),
    Kind("one user", ONE, _one("users", "/users/{}")),
    Kind("one segment", ONE, lambda _, spread: f"/segments/{spread.segment}"),
    Kind("one client", ONE, lambda *_: "/clients/1"),
    Kind("list of members", LIST, _page("/members", "members", sort=["id", "-id"])),
    Kind("list of members by tier", LIST, _page("/members", "members", match=[
        f'tier = "{one}"' for one in ("basic", "premium", "elite", "executive")])),
    Kind("list of members by status", LIST, _page("/members", "members", match=[
        f'status = "{one}"' for one in ("active", "churned", "pending", "suspended")])),
    Kind("list of members by rule", LIST, _page("/members", "members", match=RULES)),
    Kind("list of members, counted", LIST, _page("/members", "members", match=[
        None, 'tier = "elite"', RULES[0]], count="true")),
    Kind("list of a segment's members", LIST, lambda draw, spread: _page(
        f"/segments/{spread.segment}/members", "members")(draw, spread)),
    Kind("list of messages", LIST, _page(LOG, "communications", sort=["id", "-id"])),
    Kind("list of messages by member", LIST, _drawn(LOG, "member_id", _member)),
    Kind("list of messages by campaign", LIST, _page(LOG, "communications",
         campaign_id=list(range(1, 21)))),
    Kind("list of messages by run", LIST, _page(LOG, "communications", run_id=list(range(1, 21)))),
    Kind("list of messages by channel", LIST, _page(LOG, "communications", channel=CHANNELS)),
    Kind("list of messages by status", LIST, _page(LOG, "communications", status=STATUSES)),
    Kind("list of messages by reason", LIST, _page(LOG, "communications", reason=[
        "suppressed", "rejected", "no_answer", "holdout", "expired"])),
    Kind("list of messages by campaign and status", LIST, _page(LOG, "communications",
         campaign_id=list(range(1, 21)), status=STATUSES)),
    Kind("list of messages by channel and status", LIST, _page(LOG, "communications",
         channel=CHANNELS, status=STATUSES)),
    Kind("list of a member's timeline", LIST, _one("members", "/members/{}/timeline")),
    Kind("list of a member's events", LIST, _one("members", "/members/{}/events")),
    Kind("list of a member's changes", LIST, _one("members", "/members/{}/changes")),
    Kind("list of a member's notes", LIST, _one("members", "/members/{}/notes")),
    Kind("list of opt-outs", LIST, _page(LOG + "/opt-outs", "consents")),
    Kind("list of spam reports", LIST, _page(LOG + "/spam-reports", "communications")),
    Kind("list of what is unknown", LIST, lambda *_: "/unknown"),
    Kind("list of suppressions", LIST, _page("/suppressions", "campaigns")),
    Kind("list of the audit log", LIST, _page("/audit", "audit_log")),
    Kind("list of the audit log by actor", LIST, _page("/audit", "audit_log", actor=[
        "key:3", "user:77", "cli", "nobody"])),
    Kind("list of the audit log by action", LIST, _page("/audit", "audit_log", action=[
        "read.", "campaign.update", "campaign.launch", "nothing."])),
    Kind("list of the audit log by target", LIST, _drawn(
        "/audit", "target", lambda draw, spread: f"member:{_member(draw, spread)}")),
    Kind("list of the audit log by time", LIST, lambda draw, spread: _address("/audit", **{
        "from": f"{spread.now - timedelta(days=draw.randint(200, 300)):%FT%TZ}",
        "to": f"{spread.now - timedelta(days=draw.randint(1, 199)):%FT%TZ}"})),
    Kind("list of users", LIST, _page("/users", "users")),
    Kind("list of users by role", LIST, _page("/users", "users", role=["admin", "user"])),
    Kind("list of users by status", LIST, _page("/users", "users", status=[
        "active", "suspended", "pending"])),
    Kind("list of users by words", LIST, _drawn("/users", "q", _user_words("inside"))),
    Kind("list of a user's activity", LIST, _one("users", "/users/{}/activity")),
    Kind("list of a client's activity", LIST, _page("/clients/1/activity", "audit_log")),
    *[
        Kind(f"search of members by {name}", SEARCH, _drawn("/members/search", "q", _words(name)))
        for name in ("prefix", "name", "last", "fuzzy", "email", "mail", "phone", "id", "tag",
                     "common", "rare")
    ],
    *[
        Kind(f"search of users by {name}", SEARCH, _drawn("/users/search", "q", _user_words(name)))
        for name in ("prefix", "name", "inside", "email", "domain", "common", "rare")
    ],
    Kind("statistics of members", STATISTICS, lambda *_: "/members/statistics"),
    Kind("statistics of users", STATISTICS, lambda *_: "/users/statistics"),
    Kind("statistics of clients", STATISTICS, lambda *_: "/clients/statistics"),
    Kind("statistics of messages", STATISTICS, _by(LOG + "/statistics")),
    Kind("statistics of messages in a period", STATISTICS, _period(LOG + "/statistics", by=BY)),
    Kind("statistics of messages of a channel", STATISTICS, _by(
        LOG + "/statistics", channel="sms")),
    Kind("statistics of messages of a campaign", STATISTICS, lambda draw, spread: _address(
        LOG + "/statistics", campaign_id=_campaign(draw, spread), by=draw.choice(BY))),
    Kind("statistics of costs", STATISTICS, _by(LOG + "/costs")),
    Kind("statistics of costs in a period", STATISTICS, _period(LOG + "/costs", by=BY)),
    Kind("statistics of engagement", STATISTICS, lambda *_: LOG + "/engagement"),
    Kind("statistics of engagement in a period", STATISTICS, _period(LOG + "/engagement")),
    Kind("statistics of engagement of a campaign", STATISTICS, _one(
        "campaigns", "/campaigns/{}/engagement")),
    Kind("statistics of responses", STATISTICS, lambda *_: LOG + "/responses"),
    Kind("statistics of responses in a period", STATISTICS, _period(LOG + "/responses")),
    Kind("statistics of failures", STATISTICS, lambda *_: LOG + "/failures"),
    Kind("statistics of a campaign", STATISTICS, _one("campaigns", "/campaigns/{}/statistics")),
    Kind("statistics of a campaign's return", STATISTICS, _one("campaigns", "/campaigns/{}/roi")),
    Kind("statistics of a client's use", STATISTICS, lambda *_: "/clients/1/usage"),
    Kind("statistics of a client's revenue", STATISTICS, lambda *_: "/clients/1/revenue"),
)  # fmt: skip
