"""Did: which members did something so often, for so much, or first or last at some time, as SQL.

Windows are whole days, so the rollups answer them: `event_totals` where there is no window,
`event_days` where there is. Only tests of properties read `events`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Numeric,
    Select,
    and_,
    func,
    literal,
    not_,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.condition.ast import TOTAL, Compare, Did, Kind, Measure, Op
from core.db import UtcDateTime
from core.rows import within
from members.comparison import compared, json_compared, plain
from members.event import Event, EventDay, EventTotal
from members.member import Member
from members.window import days_of, edges, midnight

NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""What numbers are compared at."""
PLACES = 4
"""Decimals of an amount."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the events of a name are counted: one row a member, or several to be added up."""

    session: Session
    member_id: InstrumentedAttribute[int]
    where: ColumnElement[bool]
    measures: dict[Measure, ColumnElement[Any]]
    grouped: bool
    each: bool = False
    """Whether members are asked one by one."""

    def have(self, having: ColumnElement[bool] | None) -> ColumnElement[bool]:
        """Return the members that fulfil `having`; None for all who did it at all."""
        query = select(self.member_id).where(self.where)
        if having is not None and self.grouped:
            query = query.group_by(self.member_id).having(having)
            if self.each:
                return query.where(self.member_id == Member.id).correlate(Member).exists()
        elif having is not None:
            query = query.where(having)
        return within(self.session, Member.id, query)


def did(
    session: Session, asked: Did, *, client_id: int, now: datetime, each: bool = False
) -> ColumnElement[bool]:
    """Return the members of whom this is true. Never NULL.

    With `each`, what is added up is added up for one member at a time, to be asked for a page's.
    """
    source = _source(session, asked, client_id, now, each=each)
    measured = source.measures[asked.measure]
    if asked.measure is Measure.COUNT:
        return _counted(source, measured, asked)
    if asked.measure is Measure.SUM:
        holds = plain(measured, asked.op, _exact(asked.value))
        # Whoever did nothing spent 0: where 0 will do, all are meant but those it is not true of.
        if holds_for(Decimal(0), asked.op, asked.value):
            return not_(source.have(not_(holds)))
        return source.have(holds)
    return source.have(_timed(measured, asked, now))


def did_any(
    session: Session, events: Sequence[str], days: int | None, *, client_id: int, now: datetime
) -> ColumnElement[bool]:
    """Return the members who did one of these at least once, in the last `days` days or ever.

    One list of ids, which PostgreSQL joins; an OR of several it answers row by row: measured, 0.7 s
    instead of 1.8 s for two events of a million members.
    """
    source = _source(session, Did(events[0], days=days), client_id, now, names=events)
    return source.have(None)


def doers(session: Session, asked: Did, *, client_id: int, now: datetime) -> Select[Any] | None:
    """Return the ids of members, some of them repeated, among whom all are of whom this is true.

    None where it is also true of members who did nothing.
    """
    counted = asked.measure is Measure.COUNT
    if counted and (asked.op is not Op.GE or asked.value == 0):
        return None
    if asked.measure is Measure.SUM and holds_for(Decimal(0), asked.op, asked.value):
        return None
    source = _source(session, asked, client_id, now)
    return select(source.member_id).where(source.where)


def such(session: Session, asked: Did, *, client_id: int) -> ColumnElement[bool]:
    """Return which events, whenever they were, are such."""
    tests = [_test(session, test) for test in asked.where]
    return and_(Event.client_id == client_id, Event.name == asked.event, *tests)


def _counted(source: _Source, measured: ColumnElement[Any], asked: Did) -> ColumnElement[bool]:
    value: Any = asked.value
    if asked.op is Op.GE:
        return source.have(None if value == 1 else measured >= value)
    if asked.op is Op.EQ and value > 0:
        return source.have(measured == value)
    return not_(source.have(None if value == 0 else measured > value))


def holds_for(held: Decimal, op: Op, value: Any) -> bool:
    """Say whether a sum of money compares so with a value."""
    asked = Decimal(str(value))
    return {
        Op.EQ: held == asked,
        Op.NE: held != asked,
        Op.LT: held < asked,
        Op.LE: held <= asked,
        Op.GT: held > asked,
        Op.GE: held >= asked,
    }[op]


def _exact(value: Any) -> ColumnElement[Decimal]:
    return literal(Decimal(str(value)), Numeric())


def _timed(when: ColumnElement[Any], asked: Did, now: datetime) -> ColumnElement[bool]:
    value: Any = asked.value
    if asked.op is Op.IN_LAST:
        start, end = edges(value, now)
        return and_(when >= literal(start, UtcDateTime()), when < literal(end, UtcDateTime()))
    if asked.op is Op.BEFORE:
        return when < literal(midnight(value), UtcDateTime())
    return when >= literal(midnight(value + timedelta(days=1)), UtcDateTime())


def _source(
    session: Session,
    asked: Did,
    client_id: int,
    now: datetime,
    *,
    names: Sequence[str] = (),
    each: bool = False,
) -> _Source:
    """Return where events of a name are counted; with `names`, of any of them."""
    if asked.where:
        return replace(_events(session, asked, client_id, now), each=each)
    events = names or (asked.event,)
    if asked.days is None:
        return _totals(session, events, client_id)
    return replace(_days(session, events, asked.days, client_id, now), each=each)


def _totals(session: Session, events: Sequence[str], client_id: int) -> _Source:
    t = EventTotal
    measures: dict[Measure, Any] = {
        Measure.COUNT: t.count,
        Measure.SUM: func.round(t.amount, PLACES),
        Measure.FIRST: t.first_at,
        Measure.LAST: t.last_at,
    }
    where = and_(t.client_id == client_id, t.name.in_(events))
    return _Source(session, t.member_id, where, measures, grouped=False)


def _days(
    session: Session, events: Sequence[str], days: int, client_id: int, now: datetime
) -> _Source:
    t = EventDay
    first, last = days_of(days, now)
    where = and_(t.client_id == client_id, t.name.in_(events), t.day.between(first, last))
    measures: dict[Measure, Any] = {
        Measure.COUNT: func.sum(t.count),
        Measure.SUM: func.round(func.sum(t.amount), PLACES),
    }
    return _Source(session, t.member_id, where, measures, grouped=True)


def _events(session: Session, asked: Did, client_id: int, now: datetime) -> _Source:
    t = Event
    where = such(session, asked, client_id=client_id)
    if asked.days is not None:
        start, end = edges(asked.days, now)
        where = and_(where, t.occurred_at >= start, t.occurred_at < end)
    measures: dict[Measure, Any] = {
        Measure.COUNT: func.count(),
        Measure.SUM: func.round(func.coalesce(func.sum(t.amount), 0), PLACES),
        Measure.FIRST: func.min(t.occurred_at),
        Measure.LAST: func.max(t.occurred_at),
    }
    return _Source(session, t.member_id, where, measures, grouped=True)


def _test(session: Session, test: Compare) -> ColumnElement[bool]:
    if test.field == TOTAL:
        return compared(Event.amount.expression, test, NO_TIME, Kind.NUMBER)
    return json_compared(session, Event.properties.expression, test.field, test)
