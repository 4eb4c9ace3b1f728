"""Mirrors echelonx/probes.py."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from core.clock import ManualClock
from core.db import open_engine, write
from core.secret import Secret
from core.settings import Settings
from echelonx import schema, wiring
from echelonx.factory import create_app
from echelonx.guard import Guard
from echelonx.wiring import Services
from scheduling import instance

TOKEN = "a token of thirty-two letters, or more"


@pytest.fixture
def migrated(tmp_path: Path, clock: ManualClock) -> Iterator[Services]:
    """A product over a database that was migrated, as an installation's is."""
    made = wiring.build(
        Settings(database_url=f"sqlite:///{tmp_path / 'migrated.db'}", data_dir=tmp_path), clock
    )
    schema.migrate(made.engine)
    yield made
    made.close()


def client(services: Services, **settings: object) -> FlaskClient:
    changed = dataclasses.replace(services.settings, **settings)  # type: ignore[arg-type]
    return create_app(dataclasses.replace(services, settings=changed)).test_client()


def away(services: Services) -> Services:
    """The same services over a database that does not answer."""
    nowhere = open_engine("postgresql://nobody@127.0.0.1:9/none")
    sessions = wiring.sessionmaker(nowhere)
    return dataclasses.replace(services, engine=nowhere, sessions=sessions)


def hold(services: Services) -> None:
    Guard(services).start()
    with write(services.sessions) as session:
        assert instance.hold(session, services.clock, reason="it was restored")


def test_it_lives_whatever_the_database_does(services: Services) -> None:
    answer = client(away(services)).get("/health/live")

    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_it_is_ready_over_an_up_to_date_database(migrated: Services) -> None:
    answer = client(migrated).get("/health/ready")

    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_it_is_not_ready_without_its_schema(services: Services) -> None:
    answer = client(services).get("/health/ready")

    assert answer.status_code == 503
    assert answer.json is not None
    assert "schema" in answer.json["status"]
    assert answer.json["remedy"] == "echelonx migrate"


@pytest.mark.parametrize("path", ["/health/ready", "/metrics"])
def test_without_a_database_it_is_503_and_says_so(services: Services, path: str) -> None:
    answer = client(away(services)).get(path)

    assert (answer.status_code, answer.json) == (503, {"status": "database away"})


def test_held_it_serves_and_names_the_command(migrated: Services) -> None:
    hold(migrated)

    ready = client(migrated).get("/health/ready")
    deep = client(migrated).get("/health/deep")

    assert ready.status_code == 200
    assert ready.json is not None
    assert "echelonx resume" in ready.json["held"]
    assert deep.status_code == 503
    assert deep.json is not None
    [finding] = [one for one in deep.json["checks"] if one["name"] == "Sending"]
    assert finding["state"] == "fail"
    assert "it was restored" in finding["fact"]
    assert finding["remedy"] == "echelonx resume"


def test_deep_finds_nothing_wrong_with_an_idle_installation(migrated: Services) -> None:
    answer = client(migrated).get("/health/deep")

    assert answer.json is not None
    assert answer.status_code == 200, answer.json
    names = {one["name"] for one in answer.json["checks"]}
    assert {"Database", "Schema", "Clock", "Scheduler", "Workers", "Messages", "Webhooks",
            "Receipts", "Journeys", "Sending", "Providers", "Broker"} == names  # fmt: skip


def test_deep_without_a_database_is_503(services: Services) -> None:
    assert client(away(services)).get("/health/deep").status_code == 503


@pytest.mark.parametrize("path", ["/health/deep", "/metrics"])
def test_the_token_opens_it_and_nothing_else_does(migrated: Services, path: str) -> None:
    guarded = client(migrated, metrics_token=Secret(TOKEN))

    assert guarded.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    for wrong in ("", f"Bearer {TOKEN}x", TOKEN, "Bearer é"):
        answer = guarded.get(path, headers={"Authorization": wrong})
        assert answer.status_code == 401, wrong
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/health/deep", "/metrics"])
def test_without_a_token_production_has_neither(migrated: Services, path: str) -> None:
    assert client(migrated).get(path).status_code == 200
    assert client(migrated, mode="production").get(path).status_code == 404
