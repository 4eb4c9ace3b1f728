"""Mirrors echelonx/schema.py and migrations/."""

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


def test_the_steps_make_what_the_models_say(empty: Engine) -> None:
    schema.migrate(empty)

    with empty.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


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
