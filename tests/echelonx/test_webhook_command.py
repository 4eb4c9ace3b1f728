"""Mirrors echelonx/commands/webhook.py, on both databases."""

from collections.abc import Callable, Iterator

import pytest
from alembic import command
from sqlalchemy import text

from accounts.audit import AuditEntry
from core.clock import ManualClock
from core.db import read
from core.settings import Settings
from echelonx import schema, wiring
from echelonx.factory import create_app
from tests.echelonx.conftest import Call
from tests.factories import Factory
from tests.webhooks.providers import SendGrid
from webhooks.apply import step

SECRET = "a-key-of-tests-that-is-long-enough-0"
EVENT = {"event": "delivered", "timestamp": 1795262400, "email": "ana@example.com"}


@pytest.fixture
def shop(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[wiring.Services]:
    """The product over an empty database, which the command line finds too."""
    monkeypatch.setenv("ECHELONX_DATABASE_URL", database_url)
    monkeypatch.setenv("ECHELONX_SECRET_KEY", SECRET)
    settings = Settings.from_environment(
        {"ECHELONX_DATABASE_URL": database_url, "ECHELONX_SECRET_KEY": SECRET}
    )
    services = wiring.build(settings)
    with services.engine.begin() as connection:
        command.stamp(schema.configuration(connection), "head")
    yield services
    with services.engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    services.close()


@pytest.fixture
def sendgrid(shop: wiring.Services, clock: ManualClock, client_id: int) -> SendGrid:
    make = Factory(shop.sessions, clock, client_id)
    make.vault = shop.vault
    return SendGrid(make, create_app(shop).test_client())


@pytest.fixture
def work(shop: wiring.Services) -> Callable[[], None]:
    applier = wiring.applier(shop)

    def until_done() -> None:
        while step(shop.sessions, shop.clock, applier):
            pass

    return until_done


def test_an_empty_inbox(call: Call, sendgrid: SendGrid) -> None:
    assert call("webhook", "list").out.strip() == "(none)"
    assert call("webhook", "list", "--json").json == {"stored": [], "errors": []}


def test_stored_requests_are_counted(call: Call, sendgrid: SendGrid) -> None:
    sendgrid.post(EVENT)

    [row] = call("webhook", "list", "--json").json["stored"]
    assert (row["state"], row["requests"]) == ("new", 1)


def test_a_stored_request_is_shown_without_addresses(call: Call, sendgrid: SendGrid) -> None:
    sendgrid.post(EVENT)

    shown = call("webhook", "show", "1")

    assert shown.code == 0
    assert "delivered" in shown.out
    assert "a***@e***.com" in shown.out
    assert "content-type" in shown.out
    assert "ana@example.com" not in shown.out
    assert "/webhooks/" not in shown.out, "the URL holds the account token"


def test_a_body_is_shown_when_asked_for_and_that_is_audited(
    call: Call, sendgrid: SendGrid, shop: wiring.Services
) -> None:
    sendgrid.post(EVENT)

    assert "ana@example.com" in call("webhook", "show", "1", "--body").out
    with read(shop.sessions) as session:
        [entry] = session.query(AuditEntry)
    assert (entry.action, entry.target, entry.actor) == ("webhook.read", "inbox:1", "cli")


def test_one_that_is_not_there(call: Call, sendgrid: SendGrid) -> None:
    missing = call("webhook", "show", "7")

    assert missing.code == 1
    assert "-> echelonx webhook list" in missing.err


def test_a_replay_applies_again(
    call: Call, sendgrid: SendGrid, shop: wiring.Services, work: Callable[[], None]
) -> None:
    sendgrid.post(EVENT)
    work()

    def requests(*options: str) -> int:
        count: int = call("webhook", "replay", *options, "--json").json["requests"]
        return count

    assert requests() == 0, "nothing is dead"
    assert requests("--applied", "--dry-run") == 1
    assert requests("--applied", "--until", "2020-01-01") == 0
    assert requests("--applied", "--since", "2020-01-01", "--account", "1") == 1
    work()
    assert requests("--id", "1") == 1
    work()
    [row] = call("webhook", "list", "--json").json["stored"]
    assert (row["state"], row["requests"], row["events"]) == ("applied", 1, 1)


@pytest.mark.parametrize(
    ("options", "code"), [(("--since", "yesterday"), 2), (("--account", "99"), 1)]
)
def test_what_cannot_be_meant_is_refused(
    call: Call, sendgrid: SendGrid, options: tuple[str, ...], code: int
) -> None:
    assert call("webhook", "replay", *options).code == code
