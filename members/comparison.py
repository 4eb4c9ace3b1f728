"""Comparisons: one field or attribute of a member against a value, as SQL that is never NULL.

SQL's third truth value would make `not (city = "Berlin")` lose everybody without a city. Every
comparison here therefore asks first whether there is a value: none answers no, and `!=` yes.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Float, and_, case, cast, func, literal, not_, or_
from sqlalchemy.orm import Session

from core.condition.ast import ATTRIBUTES, Compare, Kind, Op
from core.db import UtcDateTime, is_sqlite
from core.sql import position
from members.member import Member

Column = ColumnElement[Any]


def compared(column: Column, compare: Compare, now: datetime, kind: Kind) -> ColumnElement[bool]:
    """Return the comparison of a column of `members`."""
    there = column.is_not(None)
    value = compare.value
    if compare.op is Op.IS_SET:
        return there
    if compare.op is Op.IS_NOT_SET:
        return column.is_(None)
    if compare.op is Op.NE:
        return or_(column.is_(None), column != value)
    if kind in (Kind.DATE, Kind.INSTANT) and compare.op is not Op.EQ:
        return and_(there, _in_time(column, compare, now, kind))
    return and_(there, plain(column, compare.op, value))


def plain(column: Column, op: Op, value: Any) -> ColumnElement[bool]:
    """Return a comparison of a column that holds something."""
    simple: dict[Op, Callable[[], ColumnElement[bool]]] = {
        Op.EQ: lambda: column == value,
        Op.IN: lambda: column.in_(value),
        Op.LT: lambda: column < value,
        Op.LE: lambda: column <= value,
        Op.GT: lambda: column > value,
        Op.GE: lambda: column >= value,
        # Not LIKE: its case folding differs between the databases, and instr() has no wildcards.
        Op.CONTAINS: lambda: position(column, literal(value)) > 0,
        Op.STARTS_WITH: lambda: func.substr(column, 1, len(value)) == value,
    }
    answer: ColumnElement[bool] = simple[op]()
    return answer


def midnight(day: date) -> datetime:
    """Return the instant a day begins, in UTC."""
    return datetime.combine(day, time(), UTC)


def window(days: int, now: datetime, kind: Kind) -> tuple[date, date]:
    """Return the first and last value that lies in the last `days` days."""
    start = now - timedelta(days=days)
    return (start, now) if kind is Kind.INSTANT else (start.date(), now.date())


def _in_time(column: Column, compare: Compare, now: datetime, kind: Kind) -> ColumnElement[bool]:
    value: Any = compare.value
    if compare.op is Op.IN_LAST:
        first, last = window(value, now, kind)
        return and_(column >= first, column <= last)
    if compare.op is Op.IN:
        return column.in_(value)
    edge: Any = value
    if kind is Kind.INSTANT:
        edge = literal(midnight(value), UtcDateTime())
        if compare.op is Op.AFTER:
            return column >= literal(midnight(value + timedelta(days=1)), UtcDateTime())
    earlier = compare.op is Op.BEFORE
    answer: ColumnElement[bool] = column < edge if earlier else column > edge
    return answer


def attribute(session: Session, compare: Compare) -> ColumnElement[bool]:
    """Return the comparison of one of the client's own fields.

    A value is compared as what it is: text with text, numbers with numbers, true with true.
    """
    name = compare.field.removeprefix(ATTRIBUTES)
    kind, faces = _sqlite(name) if is_sqlite(session) else _postgresql(name)
    there = and_(kind.is_not(None), kind != "null")
    if compare.op is Op.IS_SET:
        return there
    if compare.op is Op.IS_NOT_SET:
        return not_(there)

    def alike(op: Op, value: Any) -> ColumnElement[bool]:
        names, column = faces[_type(value)]
        asked = str(value).lower() if isinstance(value, bool) else value
        # CASE, so that text is never read as a number on the way to the answer.
        held = case((kind.in_(names), column), else_=None)
        return and_(
            func.coalesce(kind, "null").in_(names), held.is_not(None), plain(held, op, asked)
        )

    if compare.op is Op.IN and isinstance(compare.value, tuple):
        return or_(*[alike(Op.EQ, value) for value in compare.value])
    if compare.op is Op.NE:
        return not_(alike(Op.EQ, compare.value))
    return alike(compare.op, compare.value)


Faces = dict[str, tuple[tuple[str, ...], Column]]
"""Python's kind of value → the database's names for it, and the column that holds it."""


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "text" if isinstance(value, str) else "number"


def _sqlite(name: str) -> tuple[Column, Faces]:
    path = f'$."{name}"'
    kind = func.json_type(Member.attributes, path)
    held = func.json_extract(Member.attributes, path)
    return kind, {
        "text": (("text",), held),
        "number": (("integer", "real"), held),
        "bool": (("true", "false"), kind),
    }


def _postgresql(name: str) -> tuple[Column, Faces]:
    held = Member.attributes[name]
    kind = func.jsonb_typeof(held)
    text = held.as_string()
    return kind, {
        "text": (("string",), text),
        "number": (("number",), case((kind == "number", cast(text, Float(53))), else_=None)),
        "bool": (("boolean",), text),
    }
