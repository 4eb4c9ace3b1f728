"""A million people, 10 million events, 5 million messages, 200,000 users, on PostgreSQL.

`python -m bench.million [--members 1000000] [--sqlite 100000] [--again]`

Everything is made by the database itself, from hashes of row numbers: the same people every time.
The first 100,000 of them are copied to a SQLite file. What exists is used again. Secondary indexes
are made after the rows, and foreign keys left out, which changes no plan that reads.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from sqlalchemy import Connection, Engine, Table, insert, make_url, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from accounts.client import Client
from bench.rows import FILL
from core.db import open_engine
from echelonx.tables import METADATA

SERVER = "postgresql://postgres@127.0.0.1:5432/postgres"
DATABASE = "echelonx_bench_million"
MAKING = f"{DATABASE}_making"
FILE = Path("/tmp/echelonx_bench_million.db")  # noqa: S108  (a benchmark's, not a secret)
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TABLES = (
    "members",
    "addresses",
    "member_tags",
    "consent_states",
    "suppressions",
    "events",
    "event_days",
    "event_totals",
    "communications",
)
PLENTY = (
    *TABLES,
    "communication_events",
    "consents",
    "orders",
    "member_changes",
    "member_notes",
    "users",
    "client_roles",
    "audit_log",
)
"""What is filled on PostgreSQL."""
INDEXES = """
    SELECT indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND tablename = ANY(:tables)
      AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""
CONSTRAINTS = """
    SELECT conrelid::regclass::text AS name, conname, contype, pg_get_constraintdef(oid) AS made_of
    FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND coninhcount = 0
      AND (contype = 'f' OR contype IN ('p', 'u') AND conrelid::regclass::text = ANY(:tables))
    ORDER BY contype <> 'f'
"""
ABOUT_INDEXES = """
    SELECT indexname FROM pg_indexes
    WHERE schemaname = 'public' AND tablename = ANY(:tables)
      AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""


def postgresql(members: int, *, again: bool = False) -> Engine:
    """Return the filled database on PostgreSQL; make it where there is none."""
    admin = open_engine(SERVER)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if again:
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{DATABASE}" WITH (FORCE)')
        there = text("SELECT 1 FROM pg_database WHERE datname = :name")
        if connection.execute(there, {"name": DATABASE}).scalar() is None:
            # Under another name until it is whole: a half made one must not be used again.
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{MAKING}" WITH (FORCE)')
            connection.exec_driver_sql(f'CREATE DATABASE "{MAKING}"')
            engine = _opened(MAKING)
            _fill(engine, members)
            engine.dispose()
            connection.exec_driver_sql(f'ALTER DATABASE "{MAKING}" RENAME TO "{DATABASE}"')
    return _opened(DATABASE)


def _opened(name: str) -> Engine:
    url = make_url(SERVER).set(database=name)
    return open_engine(url.render_as_string(hide_password=False))


def _fill(engine: Engine, members: int) -> None:
    started = perf_counter()
    METADATA.create_all(engine)
    tables = {"tables": list(PLENTY)}
    with engine.begin() as connection:
        for setting in ("work_mem = '256MB'", "maintenance_work_mem = '512MB'"):
            connection.exec_driver_sql(f"SET LOCAL {setting}")
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        indexes = connection.execute(text(INDEXES), tables).scalars().all()
        for name in connection.execute(text(ABOUT_INDEXES), tables).scalars().all():
            connection.exec_driver_sql(f'DROP INDEX IF EXISTS "{name}"')
        constraints = connection.execute(text(CONSTRAINTS), tables).all()
        for one in constraints:
            connection.exec_driver_sql(f'ALTER TABLE "{one.name}" DROP CONSTRAINT "{one.conname}"')
        session = Session(connection)
        session.add(Client(id=1, name="Million", country="US", created_at=NOW, updated_at=NOW))
        session.flush()
        for statement in FILL:
            _timed(connection, statement, members)
        for one in constraints:
            if one.contype != "f":
                connection.exec_driver_sql(
                    f'ALTER TABLE "{one.name}" ADD CONSTRAINT "{one.conname}" {one.made_of}'
                )
        for definition in indexes:
            # “ONLY” would leave the partitions without.
            connection.exec_driver_sql(definition.replace(" ON ONLY ", " ON "))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    print(f"made {DATABASE} in {perf_counter() - started:.0f} s", flush=True)


def _timed(connection: Connection, statement: str, members: int) -> None:
    started = perf_counter()
    made = text(statement)
    given = {"members": members} if ":members" in statement else {}
    rows = connection.execute(made, given).rowcount
    words = " ".join(statement.split()[:3])
    print(f"  {words:<40} {rows:>12,} rows {perf_counter() - started:>7.1f} s", flush=True)


def sqlite(source: Engine, members: int, *, again: bool = False) -> Engine:
    """Return the first members and all that is theirs in a SQLite file; make it if need be."""
    if again:
        FILE.unlink(missing_ok=True)
    engine = open_engine(f"sqlite:///{FILE}")
    if FILE.exists():
        return engine
    started = perf_counter()
    METADATA.create_all(engine)
    with source.connect() as connection, engine.begin() as target:
        target.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for name in ("clients", "campaigns", *TABLES):
            _copy(connection, target, METADATA.tables[name], members)
    with engine.begin() as target:
        target.exec_driver_sql("ANALYZE")
    print(f"made {FILE} in {perf_counter() - started:.0f} s", flush=True)
    return engine


def _copy(source: Connection, target: Connection, table: Table, members: int) -> None:
    columns = [column for column in table.columns if column.computed is None]
    query = select(*columns)
    if table.name == "members":
        query = query.where(table.c.id <= members)
    elif "member_id" in table.columns:
        query = query.where(table.c.member_id <= members)
    rows = source.execution_options(yield_per=20_000).execute(query)
    for part in rows.mappings().partitions():
        target.execute(insert(table), [dict(row) for row in part])


def main() -> None:
    """Make both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--sqlite", type=int, default=100_000)
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    try:
        engine = postgresql(given.members, again=given.again)
    except OperationalError as error:
        raise SystemExit(f"PostgreSQL is needed at {SERVER}") from error
    sqlite(engine, given.sqlite, again=given.again).dispose()
    engine.dispose()


if __name__ == "__main__":
    main()
