"""Many values in one statement whose text never changes, on both databases.

`IN (?, ?, …)` makes a new statement for every length, which is compiled and planned anew each time;
one array (PostgreSQL) or one JSON text (SQLite) does not (LIBS 3).
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, String, any_, bindparam, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.db import is_sqlite


def among(
    session: Session, column: InstrumentedAttribute[Any], values: Sequence[int] | Sequence[str]
) -> ColumnElement[bool]:
    """Return `column` is one of `values`, which are all integers or all text."""
    if is_sqlite(session):
        each = func.json_each(json.dumps(list(values))).table_valued("value")
        return column.in_(select(each.c.value))
    kind = String() if values and isinstance(values[0], str) else BigInteger()
    array = bindparam(None, list(values), type_=ARRAY(kind))
    return column == any_(array)
