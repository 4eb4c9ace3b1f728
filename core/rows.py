"""Many values in one statement whose text never changes, on both databases.

`IN (?, ?, …)` makes a new statement for every length, which is compiled and planned anew each time;
one array (PostgreSQL) or one JSON text (SQLite) does not (LIBS 3).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    String,
    any_,
    bindparam,
    column,
    func,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.types import TypeEngine

from core.db import is_sqlite


def among(
    session: Session, wanted: InstrumentedAttribute[Any], values: Sequence[int] | Sequence[str]
) -> ColumnElement[bool]:
    """Return `wanted` is one of `values`, which are all integers or all text."""
    if is_sqlite(session):
        each = func.json_each(json.dumps(list(values))).table_valued("value")
        return wanted.in_(select(each.c.value))
    kind = String() if values and isinstance(values[0], str) else BigInteger()
    array = bindparam(None, list(values), type_=ARRAY(kind))
    return wanted == any_(array)


def table(
    session: Session, columns: Mapping[str, TypeEngine[Any]], rows: Sequence[Sequence[Any]]
) -> FromClause:
    """Return `rows` as a table with `columns`, to join an UPDATE or INSERT with.

    Values are integers, text, Decimal or None. One statement that the database plans once:
    measured, a third of the client's CPU of as many executions with parameters.
    """
    if is_sqlite(session):
        each = func.json_each(json.dumps([list(row) for row in rows], default=float))
        source = each.table_valued("value", name="rows_json")
        fields = [
            func.json_extract(source.c.value, f"$[{number}]", type_=kind).label(name)
            for number, (name, kind) in enumerate(columns.items())
        ]
        return select(*fields).subquery("rows_given")
    arrays = [
        bindparam(None, [row[number] for row in rows], type_=ARRAY(kind))
        for number, kind in enumerate(columns.values())
    ]
    given = func.unnest(*arrays).table_valued(
        *[column(name, kind) for name, kind in columns.items()], name="rows_given"
    )
    return given.render_derived()
