"""Report: what became of a client's messages in a period, each number with what it is divided by.

Everything is counted from the rows of the log when it is asked for, so it always adds up:
messages = skipped + queued + unknown + refused + accepted, and
accepted = delivered + bounced + undelivered + pending.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from typing import Any

from sqlalchemy import ColumnElement, String, cast, func, literal, or_, select
from sqlalchemy.orm import Session

from channels.adapter import EventType
from channels.channel import Channel
from communications.communication import Communication, Direction
from communications.event import CommunicationEvent, EventState
from communications.status import ACCEPTED, OPEN, REACHED, Status
from core.clock import Clock
from core.sql import iso_text, position

C, E = Communication, CommunicationEvent
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


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which messages: those that were decided on in a period."""

    since: datetime
    until: datetime
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
    """Return a choice; without a period, the last 30 days, or all there is of a campaign."""
    end = until or clock.now()
    days = timedelta(days=DAYS if campaign_id is None else 36_500)
    return Chosen(since or end - days, end, campaign_id, channel)


def conditions(client_id: int, which: Chosen) -> list[ColumnElement[bool]]:
    """Return the conditions of a choice: messages that went out, or were to."""
    found = [
        C.client_id == client_id,
        C.direction == Direction.OUTBOUND,
        C.created_at >= which.since,
        C.created_at <= which.until,
    ]
    if which.campaign_id is not None:
        found.append(C.campaign_id == which.campaign_id)
    if which.channel is not None:
        found.append(C.channel == which.channel)
    return found


def key_of(by: By) -> ColumnElement[Any]:
    """Return what messages are told apart by, as text; NULL for what has none."""
    keys: Mapping[By, ColumnElement[Any]] = {
        By.CHANNEL: cast(C.channel, String()),
        By.PROVIDER: cast(C.provider_account_id, String()),
        By.CAMPAIGN: cast(C.campaign_id, String()),
        By.DOMAIN: func.nullif(
            func.substr(C.to_address, position(C.to_address, literal("@")) + 1), C.to_address
        ),
        By.DAY: func.substr(iso_text(C.created_at), 1, 10),
    }
    return keys[by]


def taken() -> ColumnElement[bool]:
    """Return whether a provider took a message."""
    return or_(C.sent_at.is_not(None), C.status.in_(ACCEPTED))


COLUMNS: Mapping[str, ColumnElement[bool]] = {
    "skipped": C.status == Status.SKIPPED,
    "queued": C.status.in_(OPEN),
    "unknown": C.status == Status.UNKNOWN,
    "refused": (C.status == Status.FAILED) & ~taken(),
    "undelivered": (C.status == Status.FAILED) & taken(),
    "bounced": C.status == Status.BOUNCED,
    "delivered": C.status.in_(REACHED),
    "pending": C.status == Status.SENT,
    "read": or_(C.read_at.is_not(None), C.clicked_at.is_not(None), C.replied_at.is_not(None)),
    "clicked": C.clicked_at.is_not(None),
    "replied": C.replied_at.is_not(None),
}
"""What is counted, by name. People only: what machines open and click advances nothing."""


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

    One pass over the client's messages of the period.
    """
    key = key_of(by).label("key")
    counted = [func.count().filter(test).label(name) for name, test in COLUMNS.items()]
    query = (
        select(key, func.count().label("messages"), *counted)
        .where(*conditions(client_id, which))
        .group_by(key)
        .order_by(func.count().desc(), key)
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
    amount: Any
    """Decimal, as providers told it."""
    priced: int
    unpriced: int
    """Accepted messages whose price no provider has told yet, or ever will."""
    segments: int


def costs(session: Session, client_id: int, which: Chosen, by: By) -> list[Cost]:
    """Return what messages cost, group by group and currency by currency."""
    key = key_of(by).label("key")
    unpriced = func.count().filter(C.cost.is_(None), taken())
    query = (
        select(
            key,
            C.currency,
            func.sum(C.cost),
            func.count(C.cost),
            unpriced,
            func.coalesce(func.sum(C.segments), 0),
        )
        .where(*conditions(client_id, which), taken())
        .group_by(key, C.currency)
        .order_by(func.sum(C.cost).desc(), key)
        .limit(MOST_GROUPS)
    )
    return [Cost(*row) for row in session.execute(query)]
