"""Spending: what a client's messages cost by month, told by providers and estimated, and its limit.

A provider's price is settled. Where it tells none, the campaign's `cost_per_message` is the
estimate; without that, a message costs nothing we know of. Currencies are never added up: the limit
counts against each of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    and_,
    case,
    cast,
    func,
    select,
)
from sqlalchemy.orm import Session

from accounts.client import Client
from accounts.user import ClientRole
from campaigns.campaign import Campaign
from channels.channel import Channel
from communications.communication import Communication, Direction
from communications.day import MICRO, MessageDay, amount_of, kept, recounted, sum_of
from core.clock import Clock
from core.db import is_sqlite
from core.month import last_months, month_of
from members.member import Member

C, D = Communication, MessageDay
NEAR = Decimal("0.8")
"""The share of the limit from which on a client is warned."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One channel in one month; what a message's month is, its creation says."""

    month: str
    channel: Channel
    currency: str | None
    """Of what is settled; None where no provider told a price."""
    sent: int
    """Taken by a provider."""
    not_sent: int
    """Skipped, or failed before a provider took it."""
    received: int
    settled: Decimal
    estimated: Decimal
    """For those without a price."""


@dataclass(frozen=True, slots=True)
class Spend:
    """What a client has spent this month, beside its limit."""

    settled: dict[str, Decimal]
    """By currency."""
    estimated: Decimal
    limit: Decimal | None

    @property
    def highest(self) -> Decimal:
        """The largest sum in one currency, with everything that is only estimated."""
        return max(self.settled.values(), default=Decimal(0)) + self.estimated

    @property
    def reached(self) -> bool:
        """Whether nothing more may be launched."""
        return self.limit is not None and self.highest >= self.limit

    @property
    def near(self) -> bool:
        """Whether four fifths of the limit are spent."""
        return self.limit is not None and self.highest >= self.limit * NEAR


def usage(session: Session, clock: Clock, *, client_id: int, months: int = 3) -> list[Usage]:
    """Return a client's messages and what they cost, the newest month first.

    Raises InvalidError for the months.
    """
    starts = last_months(clock.now(), months)
    counts = _counts(session, client_id, starts[-1])
    month = month_of(counts.c.day, [start.date() for start in starts])
    by = (month, counts.c.channel, counts.c.currency)
    outbound = counts.c.direction == Direction.OUTBOUND
    query = (
        _priced(client_id, counts)
        .with_only_columns(
            *by,
            _many(counts.c.taken, outbound),
            _many(counts.c.skipped + counts.c.refused, outbound),
            _many(counts.c.messages, ~outbound),
            *_costs(counts),
        )
        .group_by(*by)
        .order_by(month.desc(), counts.c.channel, counts.c.currency)
    )
    return [Usage(*row[:6], *map(amount_of, row[6:])) for row in session.execute(query)]


def spend(session: Session, clock: Clock, client: Client) -> Spend:
    """Return what a client has spent this month."""
    (start,) = last_months(clock.now(), 1)
    counts = _counts(session, client.id, start)
    query = _priced(client.id, counts).with_only_columns(counts.c.currency, *_costs(counts))
    rows = session.execute(query.group_by(counts.c.currency)).all()
    settled = {currency: amount_of(units) for currency, units, _ in rows if currency and units}
    estimated = sum((amount_of(units) for _, _, units in rows), Decimal(0))
    return Spend(settled, estimated, client.monthly_spend_limit)


def told(month: Spend) -> dict[str, Any]:
    """Return a month's spending as the API and the command tell it."""
    settled = [{"currency": one, "amount": amount} for one, amount in month.settled.items()]
    names = ("estimated", "limit", "near", "reached")
    return {"settled": settled} | {name: getattr(month, name) for name in names}


def counted(session: Session, client_id: int) -> dict[str, int]:
    """Return how many members, users and campaigns a client has."""
    queries = {
        "members": select(Member.id).where(
            Member.client_id == client_id, Member.deleted_at.is_(None)
        ),
        "users": select(ClientRole.id).where(ClientRole.client_id == client_id),
        "campaigns": select(Campaign.id).where(
            Campaign.client_id == client_id, Campaign.deleted_at.is_(None)
        ),
    }
    return {
        name: session.scalar(select(func.count()).select_from(query.subquery())) or 0
        for name, query in queries.items()
    }


def limited_clients(session: Session) -> Sequence[Client]:
    """Return the clients that have a limit."""
    query = select(Client).where(
        Client.monthly_spend_limit.is_not(None), Client.deleted_at.is_(None)
    )
    return session.scalars(query.order_by(Client.id)).all()


def _counts(session: Session, client_id: int, start: datetime) -> Subquery:
    """Return the counts of a client's messages of both directions from a midnight on."""
    if is_sqlite(session):
        return recounted(C.client_id == client_id, C.created_at >= start).subquery()
    return kept(D.client_id == client_id, D.day >= start.date()).subquery()


def _priced(client_id: int, counts: Subquery) -> Select[Any]:
    campaign = and_(Campaign.id == counts.c.campaign_id, Campaign.client_id == client_id)
    return select(counts.c.day).outerjoin(Campaign, campaign)


def _many(number: ColumnElement[int], which: ColumnElement[bool]) -> ColumnElement[int]:
    return cast(func.sum(case((which, number), else_=0)), BigInteger)


def _costs(counts: Subquery) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """Return the sums of what is settled and of what is estimated, in units."""
    each = func.coalesce(cast(func.round(Campaign.cost_per_message * MICRO), BigInteger), 0)
    outbound = counts.c.direction == Direction.OUTBOUND
    return sum_of(counts, "units"), _many(counts.c.unpriced * each, outbound)
