"""The routes and the applier over a real database, with real adapters and a bell that counts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from communications.account import NoHttp
from communications.reference import References
from communications.urls import Urls
from core.address import AddressHasher
from core.clock import ManualClock
from core.db import Sessions
from core.secret import Vault
from core.token import Signer
from tests.factories import KEY, Factory
from tests.webhooks.providers import PUBLIC, Fcm, SendGrid, Twilio
from webhooks import receive, tracking
from webhooks.apply import Applier, step


@dataclass
class Rings:
    """A bell that counts."""

    times: int = 0

    def ring(self) -> None:
        self.times += 1


@dataclass
class Desk:
    """What the routes of webhooks/ may use."""

    sessions: Sessions
    clock: ManualClock
    vault: Vault = field(default_factory=lambda: Vault(KEY))
    hasher: AddressHasher = field(default_factory=lambda: AddressHasher(KEY))
    signer: Signer = field(default_factory=lambda: Signer(KEY))
    bell: Rings = field(default_factory=Rings)
    egress: NoHttp = field(default_factory=NoHttp)

    def __post_init__(self) -> None:
        self.references = References(self.signer)
        self.urls = Urls(PUBLIC, self.signer)


@pytest.fixture
def desk(sessions: Sessions, clock: ManualClock) -> Desk:
    return Desk(sessions, clock)


@pytest.fixture
def make(sessions: Sessions, clock: ManualClock, client_id: int) -> Factory:
    """Makes members, addresses, accounts and messages."""
    return Factory(sessions, clock, client_id)


@pytest.fixture
def app(desk: Desk) -> Flask:
    app = Flask("test")
    app.register_blueprint(receive.blueprint(desk))
    app.register_blueprint(tracking.blueprint(desk))
    return app


@pytest.fixture
def web(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def step_once(desk: Desk) -> Callable[..., bool]:
    """Take one step of applying; says whether there was work."""
    applier = Applier.of(desk)

    def take(limit: int = 50) -> bool:
        return step(desk.sessions, desk.clock, applier, limit=limit)

    return take


@pytest.fixture
def work(step_once: Callable[..., bool]) -> Callable[[], None]:
    """Apply all that is stored."""

    def until_done() -> None:
        while step_once():
            pass

    return until_done


@pytest.fixture
def all_rows(sessions: Sessions) -> Callable[[type[Any]], list[Any]]:
    """Read a whole table in the order of its primary key."""

    def read(model: type[Any]) -> list[Any]:
        with sessions() as session:
            return list(session.scalars(select(model).order_by(*model.__table__.primary_key)))

    return read


@pytest.fixture
def fail_on(sessions: Sessions) -> Iterator[Callable[[str], None]]:
    """Let statements that start so fail as on a database that is away."""
    prefixes: list[str] = []
    engine = sessions.kw["bind"]

    def fail(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: Any
    ) -> None:
        if any(statement.startswith(prefix) for prefix in prefixes):
            raise OperationalError(statement, {}, Exception("the database is away"))

    event.listen(engine, "before_cursor_execute", fail)
    yield prefixes.append
    event.remove(engine, "before_cursor_execute", fail)


@pytest.fixture
def without_tables(fail_on: Callable[[str], None]) -> Callable[[], None]:
    """Let every read fail."""
    return lambda: fail_on("SELECT")


@pytest.fixture
def sendgrid(make: Factory, web: FlaskClient) -> SendGrid:
    return SendGrid(make, web)


@pytest.fixture
def twilio(make: Factory, web: FlaskClient) -> Twilio:
    return Twilio(make, web)


@pytest.fixture
def fcm(make: Factory, web: FlaskClient) -> Fcm:
    return Fcm(make, web)
