"""Mirrors echelonx/commands/unknown.py."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from accounts.audit import AuditEntry
from channels.channel import Channel
from communications.communication import Communication, Reason
from communications.status import Status
from core.clock import SystemClock
from core.db import read
from core.settings import Settings
from echelonx import wiring
from tests.channels.simulated import simulating
from tests.echelonx.conftest import Call
from tests.factories import Factory

Log = Callable[[], list[Communication]]


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
def log(services: wiring.Services) -> Log:
    """All messages."""

    def rows() -> list[Communication]:
        with read(services.sessions) as session:
            return list(session.scalars(select(Communication).order_by(Communication.id)))

    return rows


@pytest.fixture
def unknown(make: Factory) -> list[int]:
    """Three without an answer from Twilio, two whose worker stopped."""
    account = make.account("twilio", Channel.SMS, {"account_sid": "AC1"}, name="texts")
    lost = {"status": Status.UNKNOWN, "rank": 0, "sent_at": None, "provider_account_id": account}
    return [
        make.message(channel="sms", reason=reason, **lost)
        for reason in [Reason.NO_ANSWER] * 3 + [Reason.WORKER_STOPPED] * 2
    ]


def test_where_all_is_known_it_says_so(call: Call, shop: dict[str, Any]) -> None:
    assert call("unknown", "list").out.strip() == "nothing is unknown"
    assert call("unknown", "list", "--json").json == {"groups": []}
    assert call("unknown", "check", "--json").json["found"] == 0
    assert call("unknown", "held").out.strip() == "(none)"


def test_the_list_says_how_many_and_why(call: Call, unknown: list[int]) -> None:
    told = call("unknown", "list").out
    groups = call("unknown", "list", "--json").json["groups"]

    assert told.startswith("5 unknown: 3 no answer from twilio, 2 worker stopped\n")
    assert "texts" in told
    assert [(one["rows"], one["reason"], one["provider"]) for one in groups] == [
        (3, "no_answer", "twilio"),
        (2, "worker_stopped", "twilio"),
    ]


def test_the_messages_are_shown_with_masked_addresses(
    call: Call, unknown: list[int], log: Log
) -> None:
    options = ("--rows", "--reason", "worker_stopped")

    shown = call("unknown", "list", "--json", *options)

    assert [one["id"] for one in shown.json["rows"]] == unknown[3:]
    assert not any(str(row.to_address) in shown.out for row in log())
    assert str(unknown[4]) in call("unknown", "list", *options).out


def test_without_a_count_it_is_a_rehearsal(call: Call, unknown: list[int], log: Log) -> None:
    told = call("unknown", "resolve", "--as", "resend", "--all")

    assert told.code == 1
    assert told.out.strip() == "5 people may get it twice"
    assert "--count 5" in told.err
    assert {row.status for row in log()} == {Status.UNKNOWN}


def test_another_count_than_there_are_changes_nothing(
    call: Call, unknown: list[int], log: Log
) -> None:
    told = call("unknown", "resolve", "--as", "sent", "--all", "--count", "4")

    assert told.code == 1
    assert "5 messages match, not 4" in told.err
    assert {row.status for row in log()} == {Status.UNKNOWN}


@pytest.mark.parametrize(
    ("decision", "status"),
    [("sent", Status.SENT), ("not-sent", Status.FAILED), ("resend", Status.QUEUED)],
)
def test_a_decision_with_its_count_is_done_and_written_down(
    decision: str,
    status: Status,
    call: Call,
    unknown: list[int],
    log: Log,
    services: wiring.Services,
) -> None:
    options = ("--reason", "worker_stopped", "--count", "2", "--json")

    done = call("unknown", "resolve", "--as", decision, *options)

    assert (done.code, done.json["rows"]) == (0, 2)
    assert [row.status for row in log()] == [Status.UNKNOWN] * 3 + [status] * 2
    with read(services.sessions) as session:
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert entry is not None
    assert (entry.actor, entry.action) == ("cli", "unknown.resolve")


def test_single_messages_can_be_meant(call: Call, unknown: list[int], log: Log) -> None:
    ids = ("--id", str(unknown[0]), "--id", str(unknown[4]))

    assert call("unknown", "resolve", "--as", "sent", *ids, "--count", "2").code == 0
    assert [row.status for row in log()].count(Status.SENT) == 2


@pytest.mark.parametrize("options", [(), ("--all", "--run", "3")])
def test_nobody_decides_about_everything_by_accident(
    options: tuple[str, ...], call: Call, unknown: list[int]
) -> None:
    assert call("unknown", "resolve", "--as", "sent", "--count", "5", *options).code == 2
    assert call("unknown", "release", "--count", "5").code == 2


def test_checking_says_what_the_provider_has(
    call: Call, make: Factory, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECHELONX_ALLOW_PRIVATE_EGRESS", "true")
    with simulating(tmp_path / "sim.log") as sim:
        mail = make.account("sendgrid", Channel.EMAIL, sim.config["sendgrid"])
        post = make.account("smtp", Channel.EMAIL, sim.config["smtp"])
        lost = {"status": Status.UNKNOWN, "rank": 0, "sent_at": None, "token": 1}
        for account in (mail, mail, post):
            make.message(reason=Reason.NO_ANSWER, provider_account_id=account, **lost)

        told = call("unknown", "check", "--json")

    assert (told.code, told.json) == (
        0,
        {"found": 0, "not_found": 2, "cannot_say": 1, "left": 0},
    )
    assert all(row.checked_at for row in log())


def test_held_messages_are_shown_and_released(call: Call, make: Factory, log: Log) -> None:
    waiting = {"status": Status.QUEUED, "rank": 0, "sent_at": None, "held": "poison", "crashes": 3}
    first, second = (make.message(**waiting) for _ in range(2))

    assert call("unknown", "held", "--json").json["count"] == 2
    assert str(first) in call("unknown", "held").out
    rehearsed = call("unknown", "release", "--all")
    assert (rehearsed.code, {row.held for row in log()}) == (1, {"poison"})
    assert call("unknown", "release", "--id", str(first), "--count", "1").code == 0
    assert call("unknown", "release", "--all", "--skip", "--count", "1", "--json").code == 0

    told = {row.id: (row.status, row.held, row.reason) for row in log()}
    assert told == {
        first: (Status.QUEUED, None, None),
        second: (Status.SKIPPED, None, Reason.CANCELLED),
    }
