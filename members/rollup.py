"""Rollups: how often members did things, kept beside the events so that counting them is cheap.

Additions are commutative: any order and any split into batches of the same events gives the same
rows. Cost: two statements a batch, a few microseconds an event.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Date,
    Integer,
    Numeric,
    String,
    case,
    delete,
    func,
    select,
    true,
)
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from core.db import UtcDateTime, is_sqlite
from core.rows import among, table
from core.sql import insert_into
from members.event import Event, EventDay, EventTotal

Rollup = type[EventDay] | type[EventTotal]
DAY_KEY = ("client_id", "name", "day", "member_id")
TOTAL_KEY = ("client_id", "name", "member_id")
SUMS: dict[str, TypeEngine[Any]] = {
    "count": Integer(),
    "amount": Numeric(18, 4),
    "first_at": UtcDateTime(),
    "last_at": UtcDateTime(),
}
KINDS: dict[str, TypeEngine[Any]] = {
    "client_id": BigInteger(),
    "name": String(),
    "day": Date(),
    "member_id": BigInteger(),
}


@dataclass(frozen=True, slots=True)
class Happening:
    """What a rollup needs to know of an event."""

    member_id: int
    name: str
    occurred_at: datetime
    amount: Decimal | None

    @property
    def day(self) -> date:
        """The UTC day it happened on."""
        return self.occurred_at.astimezone(UTC).date()


def add(session: Session, *, client_id: int, happenings: Iterable[Happening]) -> None:
    """Count new events in both rollups."""
    days: dict[tuple[Any, ...], list[Any]] = {}
    totals: dict[tuple[Any, ...], list[Any]] = {}
    for one in happenings:
        _sum_up(days, (client_id, one.name, one.day, one.member_id), one)
        _sum_up(totals, (client_id, one.name, one.member_id), one)
    _merge(session, EventDay, DAY_KEY, days)
    _merge(session, EventTotal, TOTAL_KEY, totals)


def recount(session: Session, *, client_id: int, member_ids: Sequence[int]) -> None:
    """Make the rollups of some members anew from their events."""
    for model in (EventDay, EventTotal):
        session.execute(
            delete(model).where(
                model.client_id == client_id, among(session, model.member_id, member_ids)
            )
        )
    mine = (Event.client_id == client_id, among(session, Event.member_id, member_ids))
    day = func.date(Event.occurred_at, type_=Date())
    if not is_sqlite(session):
        day = func.date(func.timezone("UTC", Event.occurred_at), type_=Date())
    for model, keys, held in (
        (EventDay, DAY_KEY, (Event.client_id, Event.name, day, Event.member_id)),
        (EventTotal, TOTAL_KEY, (Event.client_id, Event.name, Event.member_id)),
    ):
        sums = (
            func.count(),
            func.coalesce(func.sum(Event.amount), 0),
            func.min(Event.occurred_at),
            func.max(Event.occurred_at),
        )
        rows = select(*held, *sums).where(*mine).group_by(*held)
        session.execute(insert_into(session, model).from_select([*keys, *SUMS], rows))


def _sum_up(sums: dict[tuple[Any, ...], list[Any]], key: tuple[Any, ...], one: Happening) -> None:
    held = sums.get(key)
    if held is None:
        sums[key] = [1, one.amount or Decimal(0), one.occurred_at, one.occurred_at]
        return
    held[0] += 1
    held[1] += one.amount or 0
    held[2] = min(held[2], one.occurred_at)
    held[3] = max(held[3], one.occurred_at)


def _merge(
    session: Session,
    model: Rollup,
    keys: Sequence[str],
    sums: dict[tuple[Any, ...], list[Any]],
) -> None:
    if not sums:
        return
    columns = {name: KINDS[name] for name in keys} | SUMS
    # In key order: two transactions that count the same rows wait for each other, not in a ring.
    told = table(session, columns, [(*key, *sums[key]) for key in sorted(sums)])
    statement = insert_into(session, model).from_select(list(columns), select(told).where(true()))
    held, new = model.__table__.c, statement.excluded
    session.execute(
        statement.on_conflict_do_update(
            index_elements=list(keys),
            set_={
                "count": held["count"] + new["count"],
                "amount": held.amount + new.amount,
                "first_at": case((new.first_at < held.first_at, new.first_at), else_=held.first_at),
                "last_at": case((new.last_at > held.last_at, new.last_at), else_=held.last_at),
            },
        )
    )
