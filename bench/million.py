"""A million people: 10 million events with their rollups, 5 million messages, on PostgreSQL.

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
FILL = (
    """
    CREATE FUNCTION lot(number bigint, salt bigint) RETURNS float8 IMMUTABLE PARALLEL SAFE
    LANGUAGE sql AS 'SELECT (hashint8extended(number, salt) & 2147483647) / 2147483648.0'
    """,
    """
    INSERT INTO campaigns (client_id, name, type, category, status, priority, target_audience,
        schedule_type, tags, version, created_at, updated_at)
    SELECT 1, 'Campaign ' || n, 'email', 'marketing', 'completed', 'medium', '{}',
        'immediate', '[]', 1, '2026-11-21 12:00Z', '2026-11-21 12:00Z'
    FROM generate_series(1, 20) n
    """,
    """
    INSERT INTO members (client_id, member_id, first_name, last_name, email, phone, tier, status,
        engagement_score, total_spend, last_active, location, timezone, language, attributes,
        version, created_at, updated_at)
    SELECT 1, 'c-' || n,
        (ARRAY['Ana','Jonas','Mia','Léa','Zoë','Søren','Priya','Yuki','Omar','Kofi'])
            [1 + (lot(n, 1) * 10)::int % 10],
        (ARRAY['García','Müller','Novák','Okafor','Silva','Rossi','Haddad','Tanaka','Costa'])
            [1 + (lot(n, 2) * 9)::int % 9] || ' ' || (lot(n, 3) * 5000)::int,
        CASE WHEN lot(n, 4) < 0.95 THEN 'person' || n || '@shop' || n % 50 || '.example' END,
        CASE WHEN lot(n, 5) < 0.6 THEN '+1201' || lpad(n::text, 7, '0') END,
        CASE WHEN lot(n, 6) < 0.6 THEN 'basic' WHEN lot(n, 6) < 0.9 THEN 'premium'
            WHEN lot(n, 6) < 0.98 THEN 'elite' ELSE 'executive' END,
        CASE WHEN lot(n, 7) < 0.9 THEN 'active' WHEN lot(n, 7) < 0.98 THEN 'inactive'
            ELSE 'churned' END,
        round((lot(n, 8) * 100)::numeric, 1), round((lot(n, 9) * 500)::numeric, 2),
        '2026-11-21 12:00Z'::timestamptz - lot(n, 10) * interval '365 days',
        'somewhere', 'Europe/Berlin', 'en',
        jsonb_build_object(
            'city', (ARRAY['Lisbon','Berlin','Kraków','Lyon','Dublin','Porto','Malmö','Vienna'])
                [1 + (lot(n, 11) * 8)::int % 8],
            'plan', (ARRAY['free','starter','pro'])[1 + (lot(n, 12) * 3)::int % 3],
            'visits', (lot(n, 13) * 100)::int),
        1, '2026-01-01Z'::timestamptz + n * interval '1 second',
        '2026-01-01Z'::timestamptz + n * interval '1 second'
    FROM generate_series(1, :members) n
    """,
    """
    INSERT INTO addresses (client_id, member_id, channel, value, hash, state, is_primary,
        created_at, updated_at)
    SELECT 1, id, 'email', email, md5(email),
        CASE WHEN lot(id, 20) < 0.02 THEN 'invalid' ELSE 'active' END, true, created_at, updated_at
    FROM members WHERE email IS NOT NULL
    UNION ALL
    SELECT 1, id, 'sms', phone, md5(phone), 'active', true, created_at, updated_at
    FROM members WHERE phone IS NOT NULL
    """,
    """
    INSERT INTO member_tags (client_id, member_id, tag)
    SELECT 1, id, 'vip' FROM members WHERE lot(id, 21) < 0.05
    UNION ALL SELECT 1, id, 'newsletter' FROM members WHERE lot(id, 22) < 0.5
    """,
    """
    INSERT INTO consent_states (client_id, member_id, channel, topic, state, occurred_at)
    SELECT 1, member_id, channel, 'marketing',
        CASE WHEN lot(id, 23) < 0.95 THEN 'granted' ELSE 'withdrawn' END, created_at
    FROM addresses WHERE lot(id, 24) < 0.9
    """,
    """
    INSERT INTO suppressions (client_id, channel, address_hash, masked, scope, reason, since)
    SELECT 1, channel, hash, 'x', 'all', 'bounced', '2026-11-01Z' FROM addresses
    WHERE lot(id, 25) < 0.01
    """,
    """
    INSERT INTO events (id, client_id, member_id, name, message_id, properties, amount,
        occurred_at, received_at)
    SELECT n, 1, 1 + (power(lot(n, 30), 1.5) * (:members - 1))::bigint, name, 'e-' || n,
        CASE WHEN name = 'purchase' THEN jsonb_build_object('total', amount, 'category',
            (ARRAY['shoes','books','garden','toys'])[1 + (lot(n, 31) * 4)::int % 4])
            ELSE '{}' END,
        amount, at, at
    FROM (
        SELECT n,
            CASE WHEN lot(n, 32) < 0.6 THEN 'app_opened' WHEN lot(n, 32) < 0.85 THEN 'viewed'
                WHEN lot(n, 32) < 0.97 THEN 'purchase' ELSE 'opted_in' END AS name,
            CASE WHEN lot(n, 32) BETWEEN 0.85 AND 0.97
                THEN round((lot(n, 33) * 200)::numeric, 2) END AS amount,
            -- In the order in which they happen, as they come in; a day earlier or later.
            '2025-11-22 12:00Z'::timestamptz + interval '363 days' * (n / (10.0 * :members))
                + lot(n, 34) * interval '1 day' AS at
        FROM generate_series(1, 10 * :members) n
    ) made
    """,
    """
    INSERT INTO event_days (client_id, name, day, member_id, count, amount, first_at, last_at)
    SELECT client_id, name, (occurred_at AT TIME ZONE 'UTC')::date AS day, member_id, count(*),
        coalesce(sum(amount), 0), min(occurred_at), max(occurred_at)
    FROM events GROUP BY 1, 2, 3, 4 ORDER BY day
    """,
    """
    INSERT INTO event_totals (client_id, name, member_id, count, amount, first_at, last_at)
    SELECT client_id, name, member_id, sum(count), sum(amount), min(first_at), max(last_at)
    FROM event_days GROUP BY 1, 2, 3
    """,
    """
    INSERT INTO communications (client_id, member_id, campaign_id, channel, direction,
        message_type, merge, status, rank, token, priority, not_before, tries, crashes,
        open_attempts, resends, sent_at, delivered_at, read_at, clicked_at, created_at, updated_at)
    SELECT 1, 1 + n % :members, 1 + n / :members * 4 + n % 4, 'email', 'outbound', 'marketing',
        '{}', CASE WHEN lot(n, 40) < 0.05 THEN 'clicked' ELSE 'delivered' END, 3, 1, 2, at, 1, 0,
        0, 0, at, at + interval '5 seconds',
        CASE WHEN lot(n, 40) < 0.3 THEN at + interval '1 hour' END,
        CASE WHEN lot(n, 40) < 0.05 THEN at + interval '2 hours' END, at, at
    FROM (
        SELECT n, '2026-11-21 09:00Z'::timestamptz - lot(n, 41) * interval '360 days' AS at
        FROM generate_series(0, 5 * :members - 1) n
    ) made
    """,
)
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
    tables = {"tables": list(TABLES)}
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
