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

from sqlalchemy import BigInteger, Select, and_, case, cast, func, select
from sqlalchemy.orm import Session

from accounts.client import Client
from campaigns.campaign import Campaign
from channels.channel import Channel
from communications.communication import Communication, Direction
from communications.report import taken
from communications.status import Status
from core.clock import Clock
from core.month import last_months, month_of

C = Communication
UNIT = Decimal("0.000001")
"""The smallest cost that is kept; sums are of whole units, so that SQLite adds up exactly."""
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

    One scan of the log from where the months begin. Raises InvalidError for the months.
    """
    starts = last_months(clock.now(), months)
    month = month_of(C.created_at, starts)
    outbound = C.direction == Direction.OUTBOUND
    query = (
        _of(session, client_id, starts[-1])
        .with_only_columns(
            month,
            C.channel,
            C.currency,
            func.count().filter(outbound, taken()),
            func.count().filter(outbound, C.status.in_((Status.SKIPPED, Status.FAILED)), ~taken()),
            func.count().filter(C.direction == Direction.INBOUND),
            *_costs(),
        )
        .group_by(month, C.channel, C.currency)
        .order_by(month.desc(), C.channel, C.currency)
    )
    return [Usage(*row[:6], *map(_money, row[6:])) for row in session.execute(query)]


def spend(session: Session, clock: Clock, client: Client) -> Spend:
    """Return what a client has spent this month."""
    (start,) = last_months(clock.now(), 1)
    query = _of(session, client.id, start).with_only_columns(C.currency, *_costs())
    rows = session.execute(query.where(taken()).group_by(C.currency)).all()
    settled = {currency: _money(units) for currency, units, _ in rows if currency and units}
    estimated = sum((_money(units) for _, _, units in rows), Decimal(0))
    return Spend(settled, estimated, client.monthly_spend_limit)


def limited_clients(session: Session) -> Sequence[Client]:
    """Return the clients that have a limit."""
    query = select(Client).where(
        Client.monthly_spend_limit.is_not(None), Client.deleted_at.is_(None)
    )
    return session.scalars(query.order_by(Client.id)).all()


def _of(session: Session, client_id: int, start: datetime) -> Select[Any]:
    campaign = and_(Campaign.id == C.campaign_id, Campaign.client_id == client_id)
    return (
        select(C.id)
        .outerjoin(Campaign, campaign)
        .where(C.client_id == client_id, C.id >= _first_since(session, start))
        .where(C.created_at >= start)
    )


def _costs() -> tuple[Any, Any]:
    """Return the sums of what is settled and of what is estimated, in units."""
    unpriced = and_(C.cost.is_(None), C.direction == Direction.OUTBOUND, taken())
    estimate = case((unpriced, Campaign.cost_per_message), else_=None)
    settled, guessed = (
        func.sum(cast(func.round(amount / UNIT), BigInteger)) for amount in (C.cost, estimate)
    )
    return settled, guessed


def _money(units: int | Decimal | None) -> Decimal:
    return (Decimal(units or 0) * UNIT).quantize(UNIT)


def _first_since(session: Session, start: datetime) -> int:
    """Return an id before which no message is as young: ids rise with time.

    Some twenty looks into the primary key instead of an index more, which every send would pay for.
    Two workers write at once, so a thousand ids before it are looked at as well.
    """
    low, high = 0, session.scalar(select(func.max(C.id))) or 0
    while high - low > SLACK:
        middle = (low + high) // 2
        row = session.execute(
            select(C.id, C.created_at).where(C.id >= middle).order_by(C.id).limit(1)
        ).first()
        if row is None or row.created_at >= start:
            high = middle
        else:
            low = row.id
    return max(0, low - SLACK)


SLACK = 5_000
"""More ids than are written in one chunk."""
