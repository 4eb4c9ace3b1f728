"""SQL that the two databases spell differently, behind one name each.

Each expression gives equal values on SQLite and PostgreSQL, so that a message rendered on one reads
the same on the other.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Date,
    Executable,
    Integer,
    Select,
    Text,
    literal,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from core.db import Base, Json, is_sqlite

PAIRS = 40
"""Pairs in one call: SQLite takes 127 arguments, PostgreSQL 100."""

Expression = ColumnElement[Any] | InstrumentedAttribute[Any]


class json_object(FunctionElement[Any]):  # noqa: N801  (reads as the SQL function it is)
    """A JSON object of expressions by name; text, numbers, null and JSON keep their kind."""

    type = Json
    inherit_cache = True

    def __init__(self, pairs: Mapping[str, Expression]) -> None:
        flat: list[Any] = []
        for key, value in pairs.items():
            flat += [literal(key, Text), value]
        super().__init__(*flat)


@compiles(json_object, "sqlite")
def _sqlite_object(element: json_object, compiler: SQLCompiler, **kw: Any) -> str:
    calls = _calls(element, compiler, "json_object", kw)
    if len(calls) == 1:
        return calls[0]
    # Several objects joined as text: json_patch would drop what is null.
    inner = " || ',' || ".join(f"substr({call}, 2, length({call}) - 2)" for call in calls)
    return f"('{{' || {inner} || '}}')"


@compiles(json_object, "postgresql")
def _postgresql_object(element: json_object, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({' || '.join(_calls(element, compiler, 'jsonb_build_object', kw))})"


def _calls(
    element: json_object, compiler: SQLCompiler, function: str, kw: dict[str, Any]
) -> list[str]:
    clauses = list(element.clauses)
    slices = [clauses[start : start + 2 * PAIRS] for start in range(0, len(clauses), 2 * PAIRS)]
    return [
        f"{function}({', '.join(compiler.process(clause, **kw) for clause in part)})"
        for part in slices or [[]]
    ]


class json_at(FunctionElement[Any]):  # noqa: N801
    """The value of one key of a JSON column, as JSON: `12` stays a number, `true` a boolean.

    NULL where there is no such key. On SQLite a key cannot hold a double quote.
    """

    type = Json
    inherit_cache = True

    def __init__(self, column: Expression, key: str) -> None:
        super().__init__(column, literal(key, Text))


@compiles(json_at, "sqlite")
def _sqlite_at(element: json_at, compiler: SQLCompiler, **kw: Any) -> str:
    column, key = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({column} -> ('$.\"' || {key} || '\"'))"


@compiles(json_at, "postgresql")
def _postgresql_at(element: json_at, compiler: SQLCompiler, **kw: Any) -> str:
    column, key = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({column} -> {key})"


class iso_text(FunctionElement[str]):  # noqa: N801
    """An instant as text: `2026-11-21T12:00:00Z`."""

    type = Text()
    inherit_cache = True


@compiles(iso_text, "sqlite")
def _sqlite_iso(element: iso_text, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strftime('%Y-%m-%dT%H:%M:%SZ', {compiler.process(element.clauses, **kw)})"


@compiles(iso_text, "postgresql")
def _postgresql_iso(element: iso_text, compiler: SQLCompiler, **kw: Any) -> str:
    column = compiler.process(element.clauses, **kw)
    return f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"


class utc_day(FunctionElement[date]):  # noqa: N801
    """The day of UTC an instant falls on."""

    type = Date()
    inherit_cache = True


@compiles(utc_day, "sqlite")
def _sqlite_day(element: utc_day, compiler: SQLCompiler, **kw: Any) -> str:
    return f"date({compiler.process(element.clauses, **kw)})"


@compiles(utc_day, "postgresql")
def _postgresql_day(element: utc_day, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(({compiler.process(element.clauses, **kw)}) AT TIME ZONE 'UTC')::date"


class plain_number(FunctionElement[Any]):  # noqa: N801
    """A number as a person writes it: 12 and not 12.0 or 12.0000, 12.5 and not 12.5000."""

    inherit_cache = True


@compiles(plain_number, "sqlite")
def _sqlite_number(element: plain_number, compiler: SQLCompiler, **kw: Any) -> str:
    column = compiler.process(element.clauses, **kw)
    whole = f"CAST({column} AS INTEGER)"
    return f"CASE WHEN {column} = {whole} THEN {whole} ELSE {column} END"


@compiles(plain_number, "postgresql")
def _postgresql_number(element: plain_number, compiler: SQLCompiler, **kw: Any) -> str:
    return f"trim_scale(({compiler.process(element.clauses, **kw)})::numeric)"


def insert_into(session: Session, model: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that can say ON CONFLICT, for this session's database."""
    return sqlite.insert(model) if is_sqlite(session) else postgresql.insert(model)


class position(FunctionElement[int]):  # noqa: N801  (reads as the SQL function it is)
    """Where text stands in a column, from 1; 0 when it does not. No wildcards, no case folding."""

    type = Integer()
    inherit_cache = True


@compiles(position, "sqlite")
def _instr(element: position, compiler: SQLCompiler, **kw: Any) -> str:
    return f"instr({compiler.process(element.clauses, **kw)})"


@compiles(position, "postgresql")
def _strpos(element: position, compiler: SQLCompiler, **kw: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **kw)})"


def avoid_nested_loops(session: Session) -> None:
    """Make PostgreSQL join sets by hashing until the end of this transaction.

    Tables filled a moment ago have no statistics yet; it then expects one row where thousands
    are, and joins a chunk of 5,000 in 4 s instead of 0.1 s.
    """
    if not is_sqlite(session):
        session.execute(text("SET LOCAL enable_nestloop = off"))


def ample_memory(session: Session) -> None:
    """Let PostgreSQL use 64 MB a step, and helpers, until the end of this transaction.

    For a look at everybody: with its 4 MB it remembers pages instead of rows, reads each of a
    million rows twice, and sorts on disk. It thinks helpers dear; they save a third where two
    attributes are compared (478 ms became 337 on a busy machine).
    """
    if not is_sqlite(session):
        session.execute(text("SET LOCAL work_mem = '64MB'"))
        session.execute(text("SET LOCAL parallel_setup_cost = 100"))
        session.execute(text("SET LOCAL parallel_tuple_cost = 0.01"))


class _Plan(Executable, ClauseElement):
    """EXPLAIN of a query."""

    inherit_cache = False

    def __init__(self, query: Select[Any]) -> None:
        self.query = query


@compiles(_Plan, "postgresql")
def _postgresql_plan(element: _Plan, compiler: SQLCompiler, **kw: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.query, **kw)}"


def estimated_rows(session: Session, query: Select[Any]) -> int:
    """Return how many rows PostgreSQL's planner expects of a query; nothing is read."""
    plan: Any = session.execute(_Plan(query)).scalar_one()
    return int(plan[0]["Plan"]["Plan Rows"])


@contextmanager
def by_index(session: Session) -> Iterator[None]:
    """Let PostgreSQL answer by index alone, key for key, while this lasts.

    To find ten thousand keys in a table filled a moment ago, whose statistics do not know it yet,
    it would otherwise read the client's whole part of the table: a thousand times slower.
    """
    if is_sqlite(session):
        yield
        return
    session.execute(text(SWITCH), {"to": "off"})
    yield
    session.execute(text(SWITCH), {"to": "on"})


SWITCH = "SELECT " + ", ".join(
    f"set_config('enable_{way}', :to, true)"
    for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin")
)
