"""What every test may ask for: a database of either kind, a clock that stands still, a client.

PostgreSQL joins when `ECHELONX_TEST_PG` names one or one answers on this machine; the header of the
run says which databases are in use.
"""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, text
from sqlalchemy.orm import sessionmaker

from accounts.client import Client
from core.clock import ManualClock
from core.db import Sessions, open_engine, write
from echelonx.tables import METADATA
from tests import chance
from tests.kept import install, share

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LOCAL_PG = "postgresql://postgres@127.0.0.1:5432/postgres"
install()
chance.install()


def _reachable(url: str) -> str | None:
    try:
        engine = open_engine(url)
        with engine.connect() as connection:
            version = connection.exec_driver_sql("show server_version").scalar_one()
        engine.dispose()
        share(engine)
    except (sa.exc.OperationalError, ModuleNotFoundError):
        return None
    return str(version).split()[0]


PG_URL = os.environ.get("ECHELONX_TEST_PG", LOCAL_PG)
PG_VERSION = _reachable(PG_URL)
if "ECHELONX_TEST_PG" in os.environ and PG_VERSION is None:
    raise pytest.UsageError("ECHELONX_TEST_PG is set, but no PostgreSQL answers there")
DATABASES = ["sqlite", "postgresql"] if PG_VERSION else ["sqlite"]
only_postgresql = pytest.mark.parametrize(
    "database_url", [kind for kind in DATABASES if kind == "postgresql"], indirect=True
)
"""For what SQLite cannot show; where no PostgreSQL answers, pytest says so."""

FILLED = sa.union_all(
    *(
        sa.select(sa.literal(table.name)).where(
            sa.exists(sa.select(sa.literal(1)).select_from(table))
        )
        for table in METADATA.sorted_tables
    )
)
FROM_ONE = text("SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'")

for name in [name for name in os.environ if name.startswith("ECHELONX_")]:
    if not name.startswith("ECHELONX_TEST_"):
        del os.environ[name]


def pytest_report_header() -> str:
    """Say which databases this run covers."""
    postgres = f"PostgreSQL {PG_VERSION}" if PG_VERSION else "no PostgreSQL (none answers)"
    return f"databases: SQLite, {postgres}"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "empty.db"
    engine = open_engine(f"sqlite:///{path}")
    METADATA.create_all(engine)
    engine.dispose()
    share(engine)
    return path


@pytest.fixture(scope="session")
def pg_url(worker_id: str) -> Iterator[str]:
    """A database of this test process's own."""
    name = f"echelonx_test_{worker_id}_{os.getpid()}"
    admin = open_engine(PG_URL)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    url = sa.make_url(PG_URL).set(database=name).render_as_string(hide_password=False)
    engine = open_engine(url)
    METADATA.create_all(engine)
    engine.dispose()
    yield url
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    admin.dispose()


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database with all tables; each test runs once per kind."""
    if request.param == "sqlite":
        path = tmp_path / "test.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    engine: Engine = request.getfixturevalue("pg_cleaner")
    yield request.getfixturevalue("pg_url")
    empty(engine)


@pytest.fixture(scope="session")
def pg_cleaner(pg_url: str) -> Engine:
    """The engine that empties the database: one, so that its statements are compiled once."""
    return open_engine(pg_url)


def empty(engine: Engine) -> None:
    """Take every row away and count ids from 1 again.

    TRUNCATE would write every table and index anew, a hundred times slower than these few rows.
    """
    with engine.begin() as connection:
        # Neither foreign keys nor triggers are asked, so any order does.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("SET LOCAL synchronous_commit = off"))
        for name in connection.scalars(FILLED).all():
            connection.execute(METADATA.tables[name].delete())
        connection.execute(FROM_ONE)
    engine.dispose()  # a test may cut every connection


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def sessions(engine: Engine) -> Sessions:
    return sessionmaker(engine, expire_on_commit=False)


@pytest.fixture
def clock() -> ManualClock:
    """Noon UTC on 21 November 2026, until a test moves it."""
    return ManualClock(NOON)


@pytest.fixture
def client_id(sessions: Sessions, clock: ManualClock) -> int:
    """A client to own things."""
    with write(sessions) as session:
        client = Client(
            name="Elevate", country="US", created_at=clock.now(), updated_at=clock.now()
        )
        session.add(client)
        session.flush()
        return client.id
