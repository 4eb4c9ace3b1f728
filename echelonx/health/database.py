"""Checks of the database: its kind, durability, room, schema and clock."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, text

from echelonx import schema
from echelonx.health.finding import Finding, fail, ok, warn
from echelonx.wiring import Services

GB = 1024**3
LITTLE_ROOM = 1 * GB
CLOCK_SECONDS = 2.0


def database(services: Services) -> Iterator[Finding]:
    """Look at the database server or file."""
    with services.engine.connect().execution_options(sqlite_begin="DEFERRED") as connection:
        if services.engine.dialect.name == "sqlite":
            yield _sqlite(connection, services)
        else:
            yield _postgresql(connection)


def _sqlite(connection: Connection, services: Services) -> Finding:
    version = connection.exec_driver_sql("select sqlite_version()").scalar_one()
    mode = connection.exec_driver_sql("pragma journal_mode").scalar_one()
    synchronous = connection.exec_driver_sql("pragma synchronous").scalar_one()
    path = Path(str(services.engine.url.database)).absolute()
    free = shutil.disk_usage(path.parent).free
    fact = f"SQLite {version} {str(mode).upper()}, {free / GB:.0f} GB free"
    if mode != "wal" or synchronous != 2:
        remedy = "put the file on a local disk; network drives cannot keep it safe"
        return fail("Database", f"{fact}, synchronous={synchronous}", remedy)
    if free < LITTLE_ROOM:
        return warn("Database", fact, f"make room on the disk of {path}")
    return ok("Database", fact)


def _postgresql(connection: Connection) -> Finding:
    version = connection.exec_driver_sql("show server_version").scalar_one()
    size = connection.exec_driver_sql("select pg_database_size(current_database())").scalar_one()
    safe = connection.exec_driver_sql("show synchronous_commit").scalar_one()
    durable = connection.exec_driver_sql("show fsync").scalar_one()
    fact = f"PostgreSQL {str(version).split()[0]}, {size / GB:.1f} GB"
    if durable != "on" or safe != "on":
        remedy = "set fsync=on: an intent that a power cut takes back becomes a second send"
        return fail("Database", f"{fact}, fsync={durable}, synchronous_commit={safe}", remedy)
    return ok("Database", fact)


def tables(services: Services) -> Iterator[Finding]:
    """Compare the schema with what this version needs."""
    found, wanted = schema.current(services.engine), schema.head()
    if found == wanted:
        yield ok("Schema", f"{found} = code {wanted}")
    else:
        yield fail("Schema", f"{found or 'empty'}, code needs {wanted}", "echelonx migrate")


def clock(services: Services) -> Iterator[Finding]:
    """Compare our clock with the database's."""
    if services.engine.dialect.name == "sqlite":
        yield ok("Clock", "the database has this machine's")
        return
    with services.engine.connect().execution_options(sqlite_begin="DEFERRED") as connection:
        theirs: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    off = abs((services.clock.now() - theirs.astimezone(UTC)).total_seconds())
    fact = f"{off:.2f} s off (database clock)"
    if off > CLOCK_SECONDS:
        yield warn("Clock", fact, "run an NTP client on both machines")
    else:
        yield ok("Clock", fact)
