"""Declarative base, column types and engines, the same on SQLite and PostgreSQL.

Both databases are opened here and nowhere else, because durability is decided here: an intent to
send that a power cut can take back would become a second send (docs/why/sending.md). So SQLite
runs in WAL mode with synchronous=FULL and every transaction that writes starts with BEGIN
IMMEDIATE; PostgreSQL runs with synchronous_commit=on.

Invariants
    1. Instants are aware and in UTC on both sides of the database.
    2. `write()` commits once at its end or leaves nothing behind.
"""

import enum
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from threading import Lock
from typing import Annotated, Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Engine,
    Enum,
    Integer,
    MetaData,
    TypeDecorator,
    create_engine,
    event,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, sessionmaker
from sqlalchemy.pool import StaticPool

Sessions = sessionmaker[Session]
"""Makes sessions; what wiring hands to whoever needs the database."""

DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)
"""What is raised while the database cannot be reached, or is too busy: the same may work later."""

DEADLOCK, DEADLOCKS = "40P01", 5
"""PostgreSQL's name for it, and how many in a row are believed to be chance."""
T = TypeVar("T")

TURNS: WeakKeyDictionary[Engine, Lock] = WeakKeyDictionary()
"""Whose turn it is to write, on SQLite."""


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware on both sides, stored as UTC, on SQLite as on PostgreSQL."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive values rather than guess their zone."""
        del dialect
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError("an instant needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Give SQLite's naive values their zone back."""
        del dialect
        if value is None:
            return None
        instant: datetime = value.replace(tzinfo=UTC) if value.tzinfo is None else value
        return instant.astimezone(UTC)


BigId = BigInteger().with_variant(Integer, "sqlite")
"""64-bit ids; INTEGER on SQLite, where only that name makes an alias of the row id."""

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""A JSON document; JSONB on PostgreSQL."""

Id = Annotated[int, mapped_column(BigId, primary_key=True, autoincrement=True)]


class Base(DeclarativeBase):
    """Base of every mapped class."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy reads it as a class attribute)
        datetime: UtcDateTime(),
        dict[str, Any]: Json,
        list[str]: Json,
        enum.StrEnum: Enum(
            enum.StrEnum,
            native_enum=False,
            create_constraint=False,
            length=24,
            values_callable=lambda members: [member.value for member in members],
        ),
    }


def open_engine(url: str, *, pool_size: int = 10) -> Engine:
    """Open the database at `url` (`sqlite:///file.db` or `postgresql+psycopg://…`).

    Errors do not show parameters: they hold addresses and texts, and errors are logged.
    Call it in the process that will use it: a pool must not cross a fork.
    """
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    if url.startswith("sqlite"):
        engine = create_engine(
            url, pool_size=pool_size, max_overflow=20, pool_timeout=60, hide_parameters=True
        )
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "begin", _sqlite_begin)
        return engine
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=20,
        pool_timeout=60,
        hide_parameters=True,
        # Compiling a query to machine code takes 0.15 s, most of what a segment's count takes.
        connect_args={"options": "-c synchronous_commit=on -c TimeZone=UTC -c jit=off"},
    )


@contextmanager
def rehearsal(sessions: Sessions) -> Iterator[Session]:
    """Give a session whose work is taken back at the end, however much it wrote.

    On SQLite it works on a copy that is nowhere to be found and gone with its connection: there is
    one right to write, and others need it meanwhile.
    """
    with read(sessions) as session:
        if session.get_bind().dialect.name == "sqlite":
            engine = _sqlite_copy(session)
            sessions = sessionmaker(engine, expire_on_commit=False)
    with sessions() as session:
        try:
            yield session
        finally:
            session.rollback()
            if is_sqlite(session):
                engine.dispose()


def _sqlite_copy(session: Session) -> Engine:
    """Copy the database into a file without a name, in SQLite's directory for temporary files.

    Raises OperationalError when there is no room for it.
    """
    copy = sqlite3.connect("", check_same_thread=False)
    source: Any = session.connection().connection.driver_connection
    try:
        source.backup(copy)
    except sqlite3.Error as error:  # no room, as a rule
        copy.close()
        raise OperationalError("backup", None, error) from error
    engine = create_engine(
        "sqlite://", creator=lambda: copy, poolclass=StaticPool, hide_parameters=True
    )
    event.listen(engine, "connect", _sqlite_connect)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_connect(connection: Any, record: object) -> None:
    del record
    connection.isolation_level = None  # SQLAlchemy's begin event says BEGIN, not the driver
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "busy_timeout=30000",
        "foreign_keys=ON",
        "cache_size=-32000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Any) -> None:
    # A deferred transaction that reads first and writes later fails with SQLITE_BUSY when another
    # writer came between; IMMEDIATE waits its turn. Sessions opened by read() only read.
    mode = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {mode}")


@contextmanager
def write(sessions: Sessions) -> Iterator[Session]:
    """Give a session; commit at the end, roll back on any error.

    On SQLite the threads of a process queue here: one that finds the file locked would sleep, up to
    a tenth of a second at a time, while others overtake it.
    """
    with _turn(sessions), sessions() as session, session.begin():
        yield session


def _turn(sessions: Sessions) -> AbstractContextManager[object]:
    engine = sessions.kw["bind"]
    return TURNS.setdefault(engine, Lock()) if engine.dialect.name == "sqlite" else nullcontext()


@contextmanager
def read(sessions: Sessions) -> Iterator[Session]:
    """Give a session for reading only; it never holds SQLite's write lock."""
    with sessions() as session:
        if session.get_bind().dialect.name == "sqlite":
            session.connection(execution_options={"sqlite_begin": "DEFERRED"})
        yield session


@contextmanager
def snapshot(sessions: Sessions) -> Iterator[Session]:
    """Give a session for reading that sees the database as it is at the first look, to the end."""
    with read(sessions) as session:
        if not is_sqlite(session):
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session


def over_deadlocks(session: Session, work: Callable[[], T]) -> T:
    """Return what `work` does in a savepoint; again, up to five times, when it was in a deadlock.

    For statements over many rows of a table that others change a few rows at a time, in whatever
    order PostgreSQL meets them. The savepoint gives back what was locked, so the others go on.
    """
    for _ in range(DEADLOCKS - 1):
        try:
            with session.begin_nested():
                return work()
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != DEADLOCK:
                raise
    return work()


def is_sqlite(session: Session) -> bool:
    """Say whether this session talks to SQLite."""
    return session.get_bind().dialect.name == "sqlite"
