"""The product as it runs, two of its clients, and somebody who calls it for each."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask

from accounts.client import create_client
from accounts.key import issue_key
from accounts.user import Role
from core.clock import ManualClock
from core.db import Sessions, write
from core.settings import Settings
from echelonx.factory import create_app
from echelonx.wiring import Services, build
from tests.api.caller import Caller
from tests.api.owned import one_of_each
from tests.api.people import Mailbox, entered, settled, with_mail
from tests.factories import Factory

CallerOf = Callable[..., Caller]


@pytest.fixture
def product(database_url: str, tmp_path: Path, clock: ManualClock) -> Iterator[Services]:
    """The services of one process over the test's database."""
    settings = Settings.from_environment(
        {
            "ECHELONX_DATABASE_URL": database_url,
            "ECHELONX_DATA_DIR": str(tmp_path),
            "ECHELONX_SECRET_KEY": "a key of tests that nobody else uses",
            "ECHELONX_PUBLIC_URL": "https://mail.example.com",
            "ECHELONX_RATE_LIMIT": "0",
        }
    )
    services = build(settings, clock)
    yield services
    services.close()


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords with little work; how much is Argon2's business."""
    little = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr("accounts.password.HASHER", little)


@pytest.fixture
def app(product: Services) -> Flask:
    """The application, with the errors of bugs shown to tests."""
    made = create_app(product)
    made.testing = True
    return made


@pytest.fixture
def caller_of(app: Flask, product: Services, clock: ManualClock) -> CallerOf:
    """Make a caller for a client."""

    def make(client_id: int, **key: object) -> Caller:
        with write(product.sessions) as session:
            _, text = issue_key(session, clock, client_id=client_id, name="tests", **key)  # type: ignore[arg-type]
        return Caller(app.test_client(), text)

    return make


@pytest.fixture
def api(caller_of: CallerOf, client_id: int) -> Caller:
    """A caller who may do everything for the client."""
    return caller_of(client_id)


@pytest.fixture
def stranger(caller_of: CallerOf, product: Services, clock: ManualClock) -> Caller:
    """A caller who may do everything for another client."""
    with write(product.sessions) as session:
        other = create_client(session, clock, name="Somebody else", country="US").id
    return caller_of(other)


@pytest.fixture
def make(sessions: Sessions, clock: ManualClock, client_id: int, product: Services) -> Factory:
    """Makes rows of the client directly."""
    factory = Factory(sessions, clock, client_id)
    factory.vault, factory.hasher = product.vault, product.hasher
    return factory


@pytest.fixture
def top(app: Flask, product: Services, clock: ManualClock, client_id: int) -> Caller:
    """A person who is signed in, may everything, and works for the client."""
    settled(product.sessions, clock, client_id, email="top@example.com", role=Role.SUPER_ADMIN)
    made = entered(app, "top@example.com")
    made.headers["X-Client"] = str(client_id)
    return made


@pytest.fixture
def owned(api: Caller, make: Factory) -> dict[str, Any]:
    """One thing of each kind, by the name it has in routes."""
    return one_of_each(api, make)


@pytest.fixture
def ana(sessions: Sessions, clock: ManualClock, client_id: int) -> int:
    """An admin of the client."""
    return settled(sessions, clock, client_id)


@pytest.fixture
def box(app: Flask) -> Mailbox:
    """Letters that were written."""
    return with_mail(app)


@pytest.fixture
def nobody(app: Flask) -> Caller:
    """Somebody without any proof."""
    return Caller(app.test_client(), None)
