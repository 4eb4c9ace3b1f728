"""Mirrors echelonx/schema.py and migrations/."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, Table, inspect, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.db import open_engine
from echelonx import schema
from echelonx.tables import METADATA
from tests.conftest import only_postgresql
from tests.waiting import until_waiting

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
PARTITION = re.compile(r"events_(default|\d{4}_\d{2})").fullmatch


@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based")
def test_the_steps_make_what_the_models_say(empty: Engine) -> None:
    schema.migrate(empty)

    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_whole})
        assert compare_metadata(context, METADATA) == []


@only_postgresql  # SQLite has none
def test_the_steps_make_the_functions_triggers_and_indexes_of_the_models(empty: Engine) -> None:
    schema.migrate(empty)
    migrated = written_out(empty)
    with empty.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    METADATA.create_all(empty)

    assert migrated == written_out(empty)


def written_out(engine: Engine) -> dict[str, str]:
    query = text("""
        SELECT proname AS name, prosrc AS said FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        UNION ALL SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    """)
    with engine.connect() as connection:
        return {row.name: row.said for row in connection.execute(query)}


def test_migrating_again_changes_nothing(empty: Engine) -> None:
    first = schema.migrate(empty)

    assert schema.migrate(empty) == first == schema.head() == schema.current(empty)


def test_an_empty_database_is_refused_with_the_remedy(empty: Engine) -> None:
    with pytest.raises(schema.SchemaError, match="empty") as raised:
        schema.require(empty)

    assert raised.value.remedy == "echelonx migrate"


def test_every_step_can_be_taken_back(empty: Engine) -> None:
    schema.migrate(empty)

    with empty.begin() as connection:
        command.downgrade(schema.configuration(connection), "base")

    assert set(inspect(empty).get_table_names()) <= {"alembic_version"}


def test_the_steps_are_one_line_of_descent() -> None:
    steps = ScriptDirectory.from_config(schema.configuration())

    assert len(steps.get_heads()) == 1
    assert all(Path(step.path).name.startswith(step.revision) for step in steps.walk_revisions())


def test_workers_of_the_step_before_go_on_while_a_step_is_taken(empty: Engine) -> None:
    """What a step adds to a table that is written to has a default: old code does not know it."""
    with empty.begin() as connection:
        command.upgrade(schema.configuration(connection), "0001")
    before = {
        table: columns_of(empty, table) for table in ("communications", "providers", "workers")
    }
    schema.migrate(empty)

    for table, known in before.items():
        for column in inspect(empty).get_columns(table):
            if column["name"] not in known:
                assert column["nullable"] or column["default"] is not None, (table, column["name"])


def test_what_was_emptied_before_there_was_a_mark_is_marked(empty: Engine) -> None:
    with empty.begin() as connection:
        command.upgrade(schema.configuration(connection), "0029")
        at = AT
        add(connection, "clients", at, id=1)
        mark = {"client_id": 1, "name": "message_content", "position": 3, "done_at": at}
        add(connection, "retention_marks", at, **mark)
        for id, status, said in (
            (1, "sent", None), (2, "queued", None), (3, "sent", "Hi"), (4, "sent", None)
        ):  # fmt: skip
            told = {"status": status, "content": said, "merge": {}}
            add(connection, "communications", at, id=id, client_id=1, channel="sms", **told)
    with empty.begin() as connection:
        command.upgrade(schema.configuration(connection), "0030")
        marked = text("SELECT id FROM communications WHERE content_removed_at IS NOT NULL")

        assert connection.execute(marked).scalars().all() == [1]


def test_what_machines_did_before_it_was_noted_is_noted_and_counted(empty: Engine) -> None:
    with empty.begin() as connection:
        command.upgrade(schema.configuration(connection), "0038")
        at = AT
        add(connection, "clients", at, id=1)
        for id in (1, 2, 3):
            told = {"channel": "email", "direction": "outbound", "status": "sent", "merge": {}}
            add(connection, "communications", at, id=id, client_id=1, **told)
        for id, message, kind, machine, state in (
            (1, 1, "opened", True, "applied"), (2, 1, "clicked", False, "applied"),
            (3, 2, "opened", True, "applied"), (4, 2, "clicked", True, "applied"),
            (5, 3, "opened", True, "parked"), (6, None, "opened", True, "applied"),
        ):  # fmt: skip
            told = {"communication_id": message, "type": kind, "machine": machine, "state": state}
            add(
                connection,
                "communication_events",
                at,
                id=id,
                client_id=1,
                dedup_key=str(id),
                **told,
            )
    with empty.begin() as connection:
        command.upgrade(schema.configuration(connection), "0039")
        noted = text("SELECT id, machine_read, machine_clicked FROM communications ORDER BY id")
        rows = [tuple(row) for row in connection.execute(noted)]
        sums = text(
            "SELECT sum(messages), sum(machine_read), sum(machine_clicked) FROM message_days"
        )
        counted = tuple(connection.execute(sums).one())

    assert rows == [(1, True, False), (2, True, True), (3, False, False)]
    assert counted == ((None,) * 3 if empty.dialect.name == "sqlite" else (3, 2, 1))


BUILDING = text("""
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%'
""")
BROKEN = text("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")


@pytest.fixture
def busy(empty: Engine) -> Engine:
    """A database of the step before those that index big tables, with something in it."""
    with empty.begin() as connection:
        command.upgrade(schema.configuration(connection), "0028")
        add(connection, "clients", AT, id=1)
        add(connection, "members", AT, id=1, client_id=1, member_id="m1")
    return empty


@only_postgresql  # SQLite has one writer
def test_others_write_while_big_tables_are_indexed(busy: Engine) -> None:
    with ThreadPoolExecutor(1) as pool:
        with Session(busy) as session:
            add(session.connection(), "members", AT, id=2, client_id=1, member_id="m2")
            migrating = pool.submit(schema.migrate, busy)
            until_waiting(session, migrating)  # for this one; and nobody waits for it
            with busy.begin() as other:
                other.execute(text("SET LOCAL lock_timeout = '1s'"))
                add(other, "members", AT, id=3, client_id=1, member_id="m3")
            session.commit()
        assert migrating.result() == schema.head()

    with busy.connect() as connection:
        assert connection.scalars(text("SELECT id FROM members ORDER BY id")).all() == [1, 2, 3]
        assert connection.scalars(BROKEN).all() == []


@only_postgresql  # SQLite builds all in one transaction
def test_a_build_that_broke_off_is_done_again(busy: Engine) -> None:
    with ThreadPoolExecutor(1) as pool, Session(busy) as session:
        add(session.connection(), "communications", AT, id=1, client_id=1, channel="sms")
        migrating = pool.submit(schema.migrate, busy)
        until_waiting(session, migrating)
        with busy.connect() as other:
            pid = other.scalars(BUILDING).one()
            other.execute(text("SELECT pg_cancel_backend(:pid)"), {"pid": pid})
        with pytest.raises(OperationalError, match="cancel"):
            migrating.result()
        session.commit()
    with busy.connect() as connection:
        assert connection.scalars(BROKEN).all() == ["ix_communications_client_id_created_at_id"]
    assert schema.current(busy) == "0028"

    assert schema.migrate(busy) == schema.head()
    with busy.connect() as connection:
        assert connection.scalars(BROKEN).all() == []
        context = MigrationContext.configure(connection, opts={"include_name": is_whole})
        assert compare_metadata(context, METADATA) == []


WAITS_FOR_DAYS = text("""
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND wait_event_type = 'Lock' AND query LIKE '%CREATE TABLE message_days%'
""")


@only_postgresql  # SQLite has one writer
def test_who_reads_does_not_wait_while_messages_are_counted(
    busy: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "LOCK_TIMEOUT", "10min")
    with ThreadPoolExecutor(1) as pool:
        with busy.connect() as session, busy.connect() as other:
            session.execute(text("CREATE TABLE message_days (id bigint)"))
            migrating = pool.submit(schema.migrate, busy)
            while not other.scalar(WAITS_FOR_DAYS):  # all before it is done
                other.rollback()  # what others do is looked up once a transaction
                assert not migrating.done()
            other.execute(text("SET LOCAL lock_timeout = '1s'"))
            assert other.scalar(text("SELECT count(*) FROM communications")) == 0
            other.rollback()
            session.rollback()
        assert migrating.result() == schema.head()


@only_postgresql  # SQLite locks the file
def test_who_comes_second_waits_and_is_in_nobodys_way(busy: Engine) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(schema.migrate, busy) for _ in range(2)]
        assert {one.result() for one in both} == {schema.head()}


FILLER: dict[type, object] = {str: "x", int: 0, bool: False, object: {}, Decimal: 0}


def add(connection: Connection, into: str, at: datetime, **values: object) -> None:
    """A row with something in every column that needs it."""
    table = Table(into, MetaData(), autoload_with=connection)
    for column in table.columns:
        if not column.nullable and column.server_default is None and column.name not in values:
            kind = column.type.python_type
            values[column.name] = at if kind is datetime else FILLER[kind]
    connection.execute(table.insert().values(**values))


def is_whole(name: str | None, kind: str, parents: object) -> bool:
    """Whether it is no part of a partitioned table: the models know only the whole."""
    return kind != "table" or PARTITION(name or "") is None


def columns_of(engine: Engine, table: str) -> set[str]:
    return {column["name"] for column in inspect(engine).get_columns(table)}


@pytest.fixture
def empty(database_url: str, tmp_path: Path) -> Iterator[Engine]:
    """A database without any table, of the same kind."""
    if database_url.startswith("sqlite"):
        engine = open_engine(f"sqlite:///{tmp_path / 'nothing.db'}")
        yield engine
        engine.dispose()
        return
    name = f"{make_url(database_url).database}_empty"
    beside = open_engine(database_url)
    with beside.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
        url = make_url(database_url).set(database=name)
        engine = open_engine(url.render_as_string(hide_password=False))
        yield engine
        engine.dispose()
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    beside.dispose()
