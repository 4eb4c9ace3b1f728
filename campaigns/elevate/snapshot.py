"""Snapshot: the funnel's numbers as they stood on a day, measured or entered by hand."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from campaigns.elevate.metrics import Source, metrics, names
from core.clock import Clock
from core.db import Base, Id
from core.errors import InvalidError

LARGEST = Decimal(10) ** 12


class FunnelSnapshot(Base):
    """The numbers of one period."""

    __tablename__ = "funnel_snapshots"
    __table_args__ = (Index(None, "client_id", "id"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    day: Mapped[date]
    """The last day of the period."""
    period: Mapped[str] = mapped_column(String(100))
    """In words: `Last 30 days`, `April`."""
    numbers: Mapped[dict[str, Any]]
    """By metric: `{"value": "0.12", "source": "measured"}`; what is missing is not there."""
    notes: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]


def save_snapshot(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    period: str,
    days: int | None = None,
    day: date | None = None,
    entered: Mapping[str, Any] | None = None,
    notes: str | None = None,
) -> FunnelSnapshot:
    """Keep the numbers of the last `days`, and those entered where nothing is measured.

    Without `days` all are entered, for the period that ends on `day`. Raises InvalidError naming
    the metric that is none or has no number.
    """
    told = {name: _number(name, value) for name, value in (entered or {}).items()}
    numbers = {
        name: {"value": str(value), "source": Source.ENTERED.value} for name, value in told.items()
    }
    if days is not None:
        found = metrics(session, clock, client_id=client_id, days=days, entered=told)
        numbers |= {
            one.name: {"value": str(one.value), "source": one.source.value}
            for one in found
            if one.value is not None
        }
    made = FunnelSnapshot(
        client_id=client_id,
        day=clock.now().date() if days is not None or day is None else day,
        period=period,
        numbers=numbers,
        notes=notes,
        created_at=clock.now(),
    )
    session.add(made)
    session.flush()
    return made


def snapshots_page(
    session: Session, client_id: int, *, before: int | None, limit: int
) -> list[FunnelSnapshot]:
    """Return a client's snapshots, the newest first, from below id `before`."""
    query = select(FunnelSnapshot).where(FunnelSnapshot.client_id == client_id)
    if before is not None:
        query = query.where(FunnelSnapshot.id < before)
    return list(session.scalars(query.order_by(FunnelSnapshot.id.desc()).limit(limit)))


def _number(name: str, value: Any) -> Decimal:
    known = names()
    if name not in known:
        raise InvalidError(
            f"there is no metric “{name[:40]}”",
            field="entered",
            remedy=f"enter one of {', '.join(known)}",
        )
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number) >= LARGEST:
        raise InvalidError(f"{name} needs a number", field=f"entered.{name}", remedy="write 0.12")
    return number
