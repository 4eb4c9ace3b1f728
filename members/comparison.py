"""Comparisons: one field or attribute of a member against a value, as SQL that is never NULL.

SQL's third truth value would make `not (city = "Berlin")` lose everybody without a city. Every
comparison here therefore asks first whether there is a value: none answers no, and `!=` yes.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Numeric,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.orm import Session

from core.condition.ast import ORDER, Compare, Kind, Op
from core.db import UtcDateTime, is_sqlite
from core.sql import position
from members.window import midnight

Column = ColumnElement[Any]


def compared(column: Column, compare: Compare, now: datetime, kind: Kind) -> ColumnElement[bool]:
    """Return the comparison of a column of `members`."""
    there = column.is_not(None)
    value = _bound(column, compare.value)
    if compare.op is Op.IS_SET:
        return there
    if compare.op is Op.IS_NOT_SET:
        return column.is_(None)
    if compare.op is Op.NE:
        return or_(column.is_(None), column != value)
    if kind in (Kind.DATE, Kind.INSTANT) and compare.op is not Op.EQ:
        return and_(there, _in_time(column, compare, now, kind))
    return and_(there, plain(column, compare.op, value))


def _bound(column: Column, value: Any) -> Any:
    """Return the value to compare with: money as it is, not rounded to the column's decimals."""
    if not isinstance(column.type, Numeric) or isinstance(column.type, Float):
        return value
    if isinstance(value, tuple):
        return [_bound(column, one) for one in value]
    return value if value is None else literal(Decimal(str(value)), Numeric())


def plain(column: Column, op: Op, value: Any) -> ColumnElement[bool]:
    """Return a comparison of a column that holds something."""
    simple: dict[Op, Callable[[], ColumnElement[bool]]] = {
        Op.EQ: lambda: column == value,
        Op.NE: lambda: column != value,
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


def json_compared(
    session: Session, document: Column, name: str, compare: Compare
) -> ColumnElement[bool]:
    """Return the comparison of one value in a JSON document: an attribute, an event's property.

    A value is compared as what it is: text with text, numbers with numbers, true with true.
    """
    kind, faces = _sqlite(document, name) if is_sqlite(session) else _postgresql(document, name)
    there = and_(kind.is_not(None), kind != "null")
    if compare.op is Op.IS_SET:
        return there
    if compare.op is Op.IS_NOT_SET:
        return not_(there)

    def alike(op: Op, value: Any) -> ColumnElement[bool]:
        if op is Op.EQ and not is_sqlite(session):
            # One comparison of the whole document, and one that a GIN index can answer.
            held: ColumnElement[bool] = type_coerce(document, JSONB).contains({name: value})
            return held
        if op in ORDER and not is_sqlite(session):
            return _ordered(document, name, op, value)
        names, column = faces[_type(value)]
        asked = str(value).lower() if isinstance(value, bool) else value
        # CASE, so that text is never read as a number on the way to the answer.
        found = case((kind.in_(names), column), else_=None)
        return and_(
            func.coalesce(kind, "null").in_(names), found.is_not(None), plain(found, op, asked)
        )

    if compare.op is Op.IN and isinstance(compare.value, tuple):
        return or_(*[alike(Op.EQ, value) for value in compare.value])
    if compare.op is Op.NE:
        return not_(alike(Op.EQ, compare.value))
    return alike(compare.op, compare.value)


def _ordered(document: Column, name: str, op: Op, value: Any) -> ColumnElement[bool]:
    """Return the comparison with a number as a path: a third of the time of taking it out first.

    A path is NULL where there is no number to compare.
    """
    path = f'strict $."{name}" {op} {Decimal(str(value)):f}'
    found = type_coerce(document, JSONB).path_match(cast(path, JSONPATH))
    return func.coalesce(found, false())


Faces = dict[str, tuple[tuple[str, ...], Column]]
"""Python's kind of value → the database's names for it, and the column that holds it."""


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "text" if isinstance(value, str) else "number"


def _sqlite(document: Column, name: str) -> tuple[Column, Faces]:
    path = f'$."{name}"'
    kind = func.json_type(document, path)
    held = func.json_extract(document, path)
    return kind, {
        "text": (("text",), held),
        "number": (("integer", "real"), held),
        "bool": (("true", "false"), kind),
    }


def _postgresql(document: Column, name: str) -> tuple[Column, Faces]:
    held = type_coerce(document, JSONB)[name]
    kind = func.jsonb_typeof(held)
    text = held.astext
    return kind, {
        "text": (("string",), text),
        "number": (("number",), case((kind == "number", cast(text, Float(53))), else_=None)),
        "bool": (("boolean",), text),
    }
