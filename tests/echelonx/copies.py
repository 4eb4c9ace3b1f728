"""Copies of a database, as operators make them: a backup, a restored backup, a clone."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from core.db import open_engine
from tests.conftest import PG_URL


def copy(source: str, target: str) -> None:
    """Put a copy of one database in the place of another; nobody may be connected to either."""
    if source.startswith("sqlite"):
        _copy_file(_path(source), _path(target))
        return
    here, there = (sa.make_url(url).database for url in (source, target))
    with _admin() as connection:
        connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{there}" WITH (FORCE)'))
        connection.execute(sa.text(f'CREATE DATABASE "{there}" TEMPLATE "{here}"'))


def another(url: str) -> str:
    """The URL of a place beside the database."""
    if url.startswith("sqlite"):
        return f"{url}.copy"
    parts = sa.make_url(url)
    return parts.set(database=f"{parts.database}_copy").render_as_string(hide_password=False)


def drop(url: str) -> None:
    """Remove a copy; a file goes with its directory."""
    if not url.startswith("sqlite"):
        with _admin() as connection:
            name = sa.make_url(url).database
            connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


def _copy_file(source: Path, target: Path) -> None:
    for old in (target, Path(f"{target}-wal"), Path(f"{target}-shm")):
        old.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as before, closing(sqlite3.connect(target)) as after:
        before.backup(after)


def _path(url: str) -> Path:
    return Path(str(sa.make_url(url).database))


@contextmanager
def _admin() -> Iterator[sa.Connection]:
    engine = open_engine(PG_URL)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection
    engine.dispose()
