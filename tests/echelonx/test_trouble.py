"""Mirrors echelonx/health/trouble.py, as the doctor and /health/deep tell it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from channels.channel import Channel
from communications.attempt import Attempt, AttemptOutcome
from communications.communication import Communication
from communications.rest import rest_account
from communications.status import Rank, Status
from core.clock import SystemClock
from core.db import write
from core.settings import Settings
from echelonx import wiring
from echelonx.factory import create_app
from tests.echelonx.conftest import Call
from tests.factories import Factory

REFUSED = "cannot connect: ConnectionRefusedError"
SMTP = {"host": "127.0.0.1", "port": 9, "tls": "none", "from_email": "shop@shop.example"}


@pytest.fixture
def services(shop: dict[str, Any], tmp_path: Path) -> Iterator[wiring.Services]:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'echelonx.db'}", data_dir=tmp_path)
    made = wiring.build(settings)
    yield made
    made.close()


@pytest.fixture
def make(services: wiring.Services, shop: dict[str, Any]) -> Factory:
    factory = Factory(services.sessions, SystemClock(), shop["client"])
    factory.vault, factory.hasher = services.vault, services.hasher
    return factory


@pytest.fixture
def account(make: Factory) -> int:
    return make.account("smtp", Channel.EMAIL, SMTP, name="letters")


def refuse(services: wiring.Services, make: Factory, account: int, count: int) -> list[int]:
    """Messages of an account that were tried once, in vain."""
    queued: dict[str, Any] = {
        "status": Status.QUEUED,
        "rank": Rank.OPEN,
        "sent_at": None,
        "tries": 1,
        "token": 1,
    }
    queued["not_before"] = services.clock.now() + timedelta(minutes=1)
    ids = [make.message(provider_account_id=account, **queued) for _ in range(count)]
    with write(services.sessions) as session:
        session.add_all(
            Attempt(
                client_id=make.client_id,
                communication_id=one,
                token=1,
                provider_account_id=account,
                outcome=AttemptOutcome.NOT_SENT,
                detail=REFUSED,
                finished_at=services.clock.now(),
            )
            for one in ids
        )
    return ids


def checks(told: Any) -> list[dict[str, Any]]:
    """What is said of providers."""
    return [one for one in told["checks"] if one["name"] in ("email smtp", "Providers")]


def deep(services: wiring.Services) -> Any:
    client: FlaskClient = create_app(services).test_client()
    return client.get("/health/deep").json


def test_the_doctor_warns_of_a_provider_that_refuses(
    call: Call, services: wiring.Services, make: Factory, account: int
) -> None:
    before = checks(call("doctor", "--json").json)
    refuse(services, make, account, 3)

    told = call("doctor", "--json")

    [found] = checks(told.json)
    assert [one["state"] for one in before] == ["ok"]
    assert (told.code, found["state"]) == (0, "warn")
    for part in ("“letters”", "3 wait to be tried again", REFUSED, "since "):
        assert part in found["fact"]
    assert "host and port" in found["remedy"]


def test_deep_warns_too_and_names_the_account_by_its_id(
    services: wiring.Services, make: Factory, account: int
) -> None:
    before = checks(deep(services))
    refuse(services, make, account, 1)

    document = deep(services)

    [found] = checks(document)
    assert [one["state"] for one in before] == ["ok"]
    assert (document["status"], found["state"]) == ("warn", "warn")
    assert found["fact"].startswith(f"account {account}: 1 waits to be tried again; ")
    assert "letters" not in found["fact"]


def test_a_rest_is_told_with_its_reason(
    call: Call, services: wiring.Services, account: int
) -> None:
    with write(services.sessions) as session:
        rest_account(
            session,
            services.clock,
            account_id=account,
            seconds=600,
            reason="HTTP 429",
            strike=False,
        )

    [found] = checks(call("doctor", "--json").json)

    assert found["state"] == "warn"
    assert "rests until " in found["fact"]
    assert "HTTP 429" in found["fact"]


def test_what_was_sent_at_another_try_is_no_trouble(
    call: Call, services: wiring.Services, make: Factory, account: int
) -> None:
    [message] = refuse(services, make, account, 1)
    with write(services.sessions) as session:
        session.get_one(Communication, message).status = Status.SENT

    assert [one["state"] for one in checks(call("doctor", "--json").json)] == ["ok"]
