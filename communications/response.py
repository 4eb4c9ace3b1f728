"""Response: what people did with what reached them: reading, clicking, answering, and how soon.

Counts are of people; what proxies and scanners opened is shown beside them. Times, hours
and links are of the newest few thousand who did something; what is said, of the newest thousand.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from accounts.client import Client
from channels.adapter import EventType
from channels.sms import Keyword, keyword
from communications.communication import Communication, Direction
from communications.day import sums
from communications.event import CommunicationEvent, EventState
from communications.report import Chosen, conditions, counts_of, period
from core.bisection import first_since, last_before
from core.localtime import zone_of
from core.rows import among

C, E = Communication, CommunicationEvent
SAMPLE = 5_000
HEARD = 1_000
"""Answers are few among many, each on a page of its own: so many are read."""
MOST_LINKS = 20
COUNTED = ("delivered", "read", "clicked", "replied", "machine_read", "machine_clicked")
YES = frozenset({"yes", "y", "yeah", "yep", "ok", "okay", "sure", "ja", "si", "sí", "oui", "sim"})
NO = frozenset({"no", "n", "nope", "nein", "non", "não", "nao"})


@dataclass(frozen=True, slots=True)
class Link:
    """One link, and how many messages of the newest a person followed it from."""

    url: str
    clicked: int


@dataclass(frozen=True, slots=True)
class Engagement:
    """What people did with what reached them."""

    delivered: int
    read: int
    clicked: int
    replied: int
    machine_read: int
    """Messages that a proxy or scanner opened; people among them are in `read` too."""
    machine_clicked: int
    links: tuple[Link, ...]
    """The most followed of the newest 5,000 messages that somebody read, clicked or answered; of
    all of them where they are no more than that."""
    seconds: float | None
    """From sent to the first reading, click or answer: the median; None where nobody did."""
    sample: int
    """How many the times and hours are of."""
    hours: tuple[int, ...]
    """How many did something first at each hour of the day, in the client's time zone."""
    timezone: str


@dataclass(frozen=True, slots=True)
class Responses:
    """How people answer."""

    delivered: int
    replied: int
    rate: float | None
    """replied ÷ delivered; None where nothing was."""
    seconds: float | None
    """From sent to answered: the median of the newest thousand that were answered."""
    intents: dict[str, int]
    """What the newest messages from people say: yes, no, stop, start, help, question, other."""
    sample: int
    """How many messages from people that is: at most a thousand."""


def engagement(session: Session, client_id: int, which: Chosen) -> Engagement:
    """Return what people did with the messages of a period or campaign."""
    counts = _counts(session, client_id, which, *COUNTED)
    zone = zone_of(session.get_one(Client, client_id).timezone)
    first = func.coalesce(C.read_at, C.clicked_at, C.replied_at)
    newest = session.execute(
        select(C.sent_at, C.read_at, C.clicked_at, C.replied_at, C.id)
        .where(*conditions(client_id, which), *_within(session, which))
        .where(first.is_not(None))
        .order_by(C.id.desc())
        .limit(SAMPLE)
    ).all()
    moments = [
        (row.sent_at, min(at for at in row[1:4] if at is not None))
        for row in newest
        if row.sent_at is not None
    ]
    return Engagement(
        **counts,
        links=_links(session, client_id, [row.id for row in newest if row.clicked_at is not None]),
        seconds=_median(moments),
        sample=len(moments),
        hours=_hours(zone, [at for _, at in moments]),
        timezone=zone.key,
    )


def responses(session: Session, client_id: int, which: Chosen) -> Responses:
    """Return how many answered the messages of a period, how soon, and what they said."""
    counts = _counts(session, client_id, which, "delivered", "replied")
    within = _within(session, which)
    times = session.execute(
        select(C.sent_at, C.replied_at)
        .where(*conditions(client_id, which), *within)
        .where(C.sent_at.is_not(None), C.replied_at.is_not(None))
        .order_by(C.id.desc())
        .limit(HEARD)
    )
    said = [*period(client_id, which), *within, C.direction == Direction.INBOUND]
    if which.channel is not None:
        said.append(C.channel == which.channel)
    texts = session.scalars(select(C.content).where(*said).order_by(C.id.desc()).limit(HEARD)).all()
    return Responses(
        delivered=counts["delivered"],
        replied=counts["replied"],
        rate=counts["replied"] / counts["delivered"] if counts["delivered"] else None,
        seconds=_median([(row.sent_at, row.replied_at) for row in times]),
        intents=dict(Counter(intent(text or "") for text in texts)),
        sample=len(texts),
    )


def intent(text: str) -> str:
    """Return what a message from a person seems to be: by its keyword, first word or mark."""
    word = keyword(text)
    if word is not None:
        return "help" if word is Keyword.HELP else word.value
    first = text.strip().casefold().split(maxsplit=1)
    opening = first[0].strip(".,!?;:") if first else ""
    if opening in YES:
        return "yes"
    if opening in NO:
        return "no"
    return "question" if "?" in text else "other"


def _within(session: Session, which: Chosen) -> list[ColumnElement[bool]]:
    """Return between which ids a period lies: the newest are read in their order."""
    found: list[ColumnElement[bool]] = []
    if which.since is not None:
        found.append(C.id >= first_since(session, C.id, C.created_at, which.since))
    if which.until is not None:
        found.append(C.id <= last_before(session, C.id, C.created_at, which.until))
    return found


def _counts(session: Session, client_id: int, which: Chosen, *wanted: str) -> dict[str, int]:
    counts = counts_of(session, client_id, which, keys=(), counts=wanted)
    return dict(session.execute(select(*sums(counts, *wanted))).mappings().one())


def _links(session: Session, client_id: int, ids: Sequence[int]) -> tuple[Link, ...]:
    """Return what people followed from these messages, the most followed first."""
    many = func.count(E.communication_id.distinct())
    query = (
        select(E.detail, many)
        .where(
            among(session, E.communication_id, ids),
            E.client_id == client_id,
            E.state == EventState.APPLIED,
            E.machine.is_(False),
            E.type == EventType.CLICKED,
            E.detail.is_not(None),
        )
        .group_by(E.detail)
        .order_by(many.desc(), E.detail)
        .limit(MOST_LINKS)
    )
    return tuple(Link(str(row[0]), row[1]) for row in session.execute(query))


def _median(moments: Sequence[tuple[datetime, datetime]]) -> float | None:
    """Return the median of the seconds between; clocks that differ give no negative time."""
    seconds = [max(0.0, (end - start).total_seconds()) for start, end in moments]
    return median(seconds) if seconds else None


def _hours(zone: ZoneInfo, moments: Sequence[datetime]) -> tuple[int, ...]:
    counted = Counter(at.astimezone(zone).hour for at in moments)
    return tuple(counted[hour] for hour in range(24))
