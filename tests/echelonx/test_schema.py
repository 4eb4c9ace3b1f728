"""Mirrors echelonx/schema.py and migrations/."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, make_url, text

from core.db import open_engine
from echelonx import schema
from echelonx.tables import METADATA

PARTITION = re.compile(r"events_(default|\d{4}_\d{2})").fullmatch


def test_the_steps_make_what_the_models_say(empty: Engine) -> None:
    schema.migrate(empty)

    with empty.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_whole})
        assert compare_metadata(context, METADATA) == []


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
