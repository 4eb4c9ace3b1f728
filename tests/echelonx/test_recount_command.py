"""Mirrors echelonx/commands/recount.py and the doctor's look at counts."""

from collections.abc import Iterator

import pytest
from alembic import command
from sqlalchemy import text

from core.clock import ManualClock
from core.db import Sessions, write
from echelonx import schema, wiring
from echelonx.health import work
from echelonx.health.finding import Finding
from tests.conftest import only_postgresql
from tests.echelonx.conftest import Call
from tests.factories import Factory


@pytest.fixture
def shop(
    services: wiring.Services, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[wiring.Services]:
    """A product that the command line finds too."""
    monkeypatch.setenv("ECHELONX_DATABASE_URL", database_url)
    monkeypatch.setenv("ECHELONX_SECRET_KEY", "a-key-of-tests-that-is-long-enough-0")
    with services.engine.begin() as connection:
        command.stamp(schema.configuration(connection), "head")
    yield services
    with services.engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))


def found(services: wiring.Services) -> Finding:
    [finding] = work.counts(services)
    return finding


def test_counts_that_add_up_are_left_alone(shop: wiring.Services, call: Call) -> None:
    assert found(shop).state == "ok"
    assert call("recount").out == "0 days corrected\n"


@only_postgresql  # SQLite counts the log each time
def test_the_doctor_tells_of_counts_that_are_off_and_its_remedy_helps(
    shop: wiring.Services, call: Call, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    make = Factory(sessions, clock, client_id)
    make.message(make.member())
    assert found(shop).state == "ok"
    with write(sessions) as session:
        session.execute(text("TRUNCATE message_days"))

    sick = found(shop)
    assert (sick.state, sick.remedy) == ("fail", "echelonx recount")
    tried = call("recount", "--dry-run", "--json")
    assert (tried.code, tried.json["done"]) == (1, False)
    assert found(shop).state == "fail"
    assert call(*sick.remedy.split()[1:], "--json").json == {
        "done": True,
        "days": tried.json["days"],
    }
    assert found(shop).state == "ok"
    assert call("recount", "--dry-run").code == 0


@only_postgresql  # SQLite has no triggers
def test_a_recount_that_would_not_last_is_refused(
    shop: wiring.Services, call: Call, sessions: Sessions
) -> None:
    with write(sessions) as session:
        session.execute(text("ALTER TABLE communications DISABLE TRIGGER USER"))
    try:
        refused = call("recount")
        assert (found(shop).state, refused.code) == ("fail", 1)
        assert "ENABLE TRIGGER" in refused.err
    finally:
        with write(sessions) as session:
            session.execute(text("ALTER TABLE communications ENABLE TRIGGER USER"))
