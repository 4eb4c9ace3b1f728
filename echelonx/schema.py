"""Schema: whether the database has the tables this code needs, and giving it them."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from threading import Event

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from core.errors import ConflictError

LOCK = 0x45584C58
"""`EXLX`: the PostgreSQL advisory lock under which one process migrates."""
ASK_SECONDS = 0.2
LOCK_TIMEOUT = "5s"
"""A migration that cannot have its table at once gives up, rather than hold up every query."""


class SchemaError(ConflictError):
    """The database's tables do not fit this version of the program."""

    code = "schema"


def configuration(connection: Connection | None = None) -> Config:
    """Return Alembic's configuration; there is no alembic.ini, so installed packages work too."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """Return the newest step this code has."""
    found = ScriptDirectory.from_config(configuration()).get_current_head()
    if found is None:
        raise SchemaError("the package has no migrations", remedy="install it again")
    return found


def current(engine: Engine) -> str | None:
    """Return the step the database is at; None for one without our tables."""
    # Only reading: it must not wait for SQLite's write lock.
    with engine.connect().execution_options(sqlite_begin="DEFERRED") as connection:
        return MigrationContext.configure(connection).get_current_revision()


def migrate(engine: Engine) -> str:
    """Bring the database to the newest step, keeping its data; return it. Doing it again is free.

    Each step is a transaction on PostgreSQL, and indexes of big tables are built while others write
    (migrations/beside.py): one that was broken off goes on where it was. Two processes may start it
    at once: the second waits for the first.
    """
    if current(engine) == head():
        return head()
    if engine.dialect.name != "postgresql":
        with engine.begin() as connection:
            command.upgrade(configuration(connection), "head")
        return head()
    with engine.connect() as connection, _alone(connection):
        config = configuration(connection)
        config.attributes["beside"] = True
        command.upgrade(config, "head")
    return head()


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Be the only one to migrate, with a connection that has no transaction yet.

    Who waits asks again and again: one that waited in a statement would keep a snapshot, for whose
    end whoever builds an index waits.
    """
    lock = {"lock": LOCK}
    while True:
        free = connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), lock)
        connection.rollback()
        if free:
            break
        Event().wait(ASK_SECONDS)
    try:
        connection.execute(
            text("SELECT set_config('lock_timeout', :wait, false)"), {"wait": LOCK_TIMEOUT}
        )
        connection.commit()
        yield
    finally:
        connection.invalidate()  # the lock and the settings end with it


def require(engine: Engine) -> None:
    """Raise SchemaError unless the database is at the newest step."""
    found = current(engine)
    if found != head():
        state = f"at {found}" if found else "empty"
        raise SchemaError(
            f"the database is {state}, this version needs {head()}", remedy="echelonx migrate"
        )
