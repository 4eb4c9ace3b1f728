"""Report: what became of a client's messages in a period, each number with what it is divided by.

Everything is counted in the log, or added up from counts that equal it (day.py), so it adds up:
messages = skipped + queued + unknown + refused + accepted, and
accepted = delivered + bounced + undelivered + pending.
"""

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import sqrt
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    Subquery,
    case,
    cast,
    func,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from channels.adapter import EventType
from channels.channel import Channel
from communications.communication import Communication, Direction
from communications.day import (
    COUNTS,
    KEYS,
    TESTS,
    MessageDay,
    amount_of,
    kept,
    recounted,
    sum_of,
    sums,
)
from communications.event import CommunicationEvent, EventState
from core.clock import Clock
from core.db import is_sqlite

C, E = Communication, CommunicationEvent
D = MessageDay
ALMOST_A_DAY = timedelta(days=1) - timedelta(microseconds=1)
DAYS = 30
"""The period, where none is given."""
MOST_GROUPS = 100
ENOUGH = 50
"""Messages whose fate is known, below which a rate says little."""
FAR = 3.0
"""Standard errors from the other groups' rate, beyond which a rate is remarkable."""
WARNING, ALARM = 0.001, 0.003
"""Complaints of what was delivered, by which mailbox providers judge a sender."""


class By(enum.StrEnum):
    """What messages are told apart by."""

    CHANNEL = "channel"
    PROVIDER = "provider"
    CAMPAIGN = "campaign"
    DOMAIN = "domain"
    DAY = "day"


NAMES = {
    By.CHANNEL: "channel",
    By.PROVIDER: "provider_account_id",
    By.CAMPAIGN: "campaign_id",
    By.DOMAIN: "domain",
    By.DAY: "day",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which messages: those that were decided on in a period."""

    since: datetime | None = None
    """None: from the first on."""
    until: datetime | None = None
    """None: up to now."""
    campaign_id: int | None = None
    channel: Channel | None = None


def chosen(
    clock: Clock,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    campaign_id: int | None = None,
    channel: Channel | None = None,
) -> Chosen:
    """Return a choice; without a period, the last 30 days, or all there is of a campaign.

    They begin with a whole day of UTC.
    """
    if since is None and campaign_id is None:
        since = _midnight((until or clock.now()) - timedelta(days=DAYS))
    return Chosen(since, until, campaign_id, channel)


def period(client_id: int, which: Chosen) -> list[ColumnElement[bool]]:
    """Return the conditions of a choice's period alone."""
    found: list[ColumnElement[bool]] = [C.client_id == client_id]
    if which.since is not None:
        found.append(C.created_at >= which.since)
    if which.until is not None:
        found.append(C.created_at <= which.until)
    return found


def conditions(client_id: int, which: Chosen) -> list[ColumnElement[bool]]:
    """Return the conditions of a choice: messages that went out, or were to."""
    found = [*period(client_id, which), C.direction == Direction.OUTBOUND]
    if which.campaign_id is not None:
        found.append(C.campaign_id == which.campaign_id)
    if which.channel is not None:
        found.append(C.channel == which.channel)
    return found


def key_of(by: By, counts: Subquery | None = None) -> ColumnElement[Any]:
    """Return what messages, or counts of them, are told apart by, as text; NULL where none."""
    return cast(KEYS[NAMES[by]] if counts is None else counts.c[NAMES[by]], String())


COLUMNS = {name: TESTS[name] for name in (
    "skipped", "queued", "unknown", "refused", "undelivered", "bounced", "delivered", "pending",
    "read", "clicked", "replied",
)}  # fmt: skip
"""What is counted, by name. People only: what machines open and click advances nothing."""


def counts_of(
    session: Session,
    client_id: int,
    which: Chosen,
    *,
    keys: Sequence[str] = tuple(KEYS),
    counts: Sequence[str] = COUNTS,
) -> Subquery:
    """Return the counts of the messages meant, as rows of `message_days` that add up.

    On PostgreSQL days are read as they are kept; what a period has of its first and last day, and
    on SQLite all of it, is counted in the log: cheaper the fewer keys and counts are wanted.
    """

    def of_the_log(*meant: ColumnElement[bool]) -> Select[Any]:
        return recounted(*meant, keys=keys, counts=counts)

    if is_sqlite(session):
        return of_the_log(*conditions(client_id, which)).subquery("counts")
    first, last = which.since, which.until
    begin = first and _midnight(first + ALMOST_A_DAY)
    end = last and _midnight(last)
    if first and last and begin and end and begin > end:
        return of_the_log(*conditions(client_id, which)).subquery("counts")
    days = (D.client_id == client_id, *_days(which, begin, end))
    parts = [kept(*days, keys=keys, counts=counts)]
    if first and begin and first < begin:
        edge = conditions(client_id, replace(which, until=begin))
        parts.append(of_the_log(*edge, C.created_at < begin))
    if end:
        parts.append(of_the_log(*conditions(client_id, replace(which, since=end))))
    return union_all(*parts).subquery("counts")


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _days(
    which: Chosen, begin: datetime | None, end: datetime | None
) -> Iterator[ColumnElement[bool]]:
    yield D.direction == Direction.OUTBOUND
    if which.campaign_id is not None:
        yield D.campaign_id == which.campaign_id
    if which.channel is not None:
        yield D.channel == which.channel
    if begin is not None:
        yield D.day >= begin.date()
    if end is not None:
        yield D.day < end.date()


@dataclass(frozen=True, slots=True)
class Row:
    """One group of messages."""

    key: str | None
    messages: int
    counts: Mapping[str, int]
    """By the names of COLUMNS."""
    complained: int
    remarkable: bool
    """Whether its rate is far below that of all the others together."""

    @property
    def accepted(self) -> int:
        """How many a provider took."""
        return sum(self.counts[name] for name in ("delivered", "bounced", "undelivered", "pending"))

    @property
    def settled(self) -> int:
        """Of the accepted, those whose fate is known."""
        return self.accepted - self.counts["pending"]

    @property
    def rate(self) -> float | None:
        """Delivered ÷ accepted; None where nothing was accepted."""
        return self.counts["delivered"] / self.accepted if self.accepted else None

    @property
    def maturity(self) -> float | None:
        """The share of the accepted whose fate is known: receipts of the others may still come."""
        return self.settled / self.accepted if self.accepted else None

    @property
    def complaint_rate(self) -> float | None:
        """Complained ÷ delivered."""
        delivered = self.counts["delivered"]
        return self.complained / delivered if delivered else None

    @property
    def complaints(self) -> str:
        """`few`, `many` from 0.1 %, `too_many` from 0.3 % of at least 50 delivered."""
        rate = self.complaint_rate or 0.0
        if self.counts["delivered"] < ENOUGH or rate < WARNING:
            return "few"
        return "many" if rate < ALARM else "too_many"


def report(session: Session, client_id: int, which: Chosen, by: By) -> list[Row]:
    """Return what became of the messages, group by group, the largest first; at most 100.

    Adds up what is kept of each day; see `counts_of`.
    """
    wanted = ("messages", *COLUMNS)
    counts = counts_of(session, client_id, which, keys=(NAMES[by],), counts=wanted)
    key = key_of(by, counts).label("key")
    messages = sum_of(counts, "messages")
    query = (
        select(key, messages.label("messages"), *sums(counts, *COLUMNS))
        .group_by(key)
        .having(messages != 0)
        .order_by(messages.desc(), key)
        .limit(MOST_GROUPS)
    )
    rows = session.execute(query).mappings().all()
    complained = _complaints(session, client_id, which, by)
    made = [
        Row(
            row["key"],
            row["messages"],
            {name: row[name] for name in COLUMNS},
            complained.get(row["key"], 0),
            False,
        )
        for row in rows
    ]
    return [_compared(one, made) for one in made]


def _complaints(session: Session, client_id: int, which: Chosen, by: By) -> dict[str | None, int]:
    key = key_of(by).label("key")
    query = (
        select(key, func.count(C.id.distinct()))
        .join(E, E.communication_id == C.id)
        .where(
            *conditions(client_id, which),
            E.client_id == client_id,
            E.type == EventType.COMPLAINED,
            E.state == EventState.APPLIED,
        )
        .group_by(key)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def _compared(one: Row, all_of_them: list[Row]) -> Row:
    """Hold a group's rate of what is settled against that of the others."""
    delivered = sum(other.counts["delivered"] for other in all_of_them) - one.counts["delivered"]
    settled = sum(other.settled for other in all_of_them) - one.settled
    if one.settled < ENOUGH or settled < ENOUGH:
        return one
    usual, own = delivered / settled, one.counts["delivered"] / one.settled
    error = sqrt(max(usual * (1 - usual), 1 / settled) / one.settled)
    low = own < usual - FAR * error
    return Row(one.key, one.messages, one.counts, one.complained, low)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a group of messages cost in one currency."""

    key: str | None
    currency: str | None
    amount: Decimal | None
    """As providers told it."""
    priced: int
    unpriced: int
    """Accepted messages whose price no provider has told yet, or ever will."""
    segments: int


def costs(session: Session, client_id: int, which: Chosen, by: By) -> list[Cost]:
    """Return what messages cost, group by group and currency by currency."""
    counts = counts_of(session, client_id, which)
    key = key_of(by, counts).label("key")
    units = case((sum_of(counts, "priced") > 0, sum_of(counts, "units"))).label("units")
    query = (
        select(key, counts.c.currency, units, *sums(counts, "priced", "unpriced", "segments"))
        .group_by(key, counts.c.currency)
        .having(sum_of(counts, "taken") > 0)
        .order_by(units.desc(), key)
        .limit(MOST_GROUPS)
    )
    return [
        Cost(
            row.key,
            row.currency,
            row.units if row.units is None else amount_of(row.units),
            row.priced,
            row.unpriced,
            row.segments,
        )
        for row in session.execute(query)
    ]
