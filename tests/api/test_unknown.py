"""Mirrors api/unknown.py."""

from typing import Any

import pytest
from sqlalchemy import select

from accounts.audit import AuditEntry
from channels.channel import Channel
from communications.communication import Reason
from communications.queries import communication
from communications.status import Status
from core.db import Sessions, read
from echelonx.wiring import Services
from scheduling.bell import LocalBell
from tests.api.caller import Caller, pointers, refused, remedies
from tests.api.conftest import CallerOf
from tests.factories import Factory

LOST = {"status": Status.UNKNOWN, "rank": 0, "sent_at": None, "token": 1}
AWAY = {
    "account_sid": "AC1",
    "auth_token": "t",
    "from_number": "+15005550001",
    "base_url": "http://127.0.0.1:9",
}
STOPPED = {"reason": "worker_stopped"}


@pytest.fixture
def unknown(make: Factory) -> list[int]:
    """Two without an answer, one whose worker stopped."""
    account = make.account("smtp", Channel.EMAIL, {"host": "mail.example"})
    return [
        make.message(reason=reason, provider_account_id=account, run_id=run, **LOST)
        for reason, run in (
            (Reason.NO_ANSWER, 4),
            (Reason.NO_ANSWER, 4),
            (Reason.WORKER_STOPPED, None),
        )
    ]


def statuses(sessions: Sessions, make: Factory, ids: list[int]) -> list[str]:
    with read(sessions) as session:
        return [communication(session, make.client_id, i).status.value for i in ids]


def body(decision: str, count: int, **which: Any) -> dict[str, Any]:
    return {"filter": which, "decision": decision, "count": count}


def test_it_says_how_many_there_are_and_why(api: Caller, unknown: list[int]) -> None:
    told = api.get("/unknown")

    assert told["rows"] == 3
    assert [(one["rows"], one["run_id"], one["reason"]) for one in told["groups"]] == [
        (2, 4, "no_answer"),
        (1, None, "worker_stopped"),
    ]
    assert told["groups"][0]["oldest"].startswith("2026-11-21T12:00:00")


def test_another_client_sees_and_decides_nothing(
    stranger: Caller, unknown: list[int], sessions: Sessions, make: Factory
) -> None:
    assert stranger.get("/unknown") == {"rows": 0, "groups": []}
    for which in ({}, {"ids": unknown}):
        refused(stranger.ask("POST", "/unknown/resolve", body("sent", 3, **which)), 409)
    assert stranger.post("/unknown/check", {})["cannot_say"] == 0
    assert statuses(sessions, make, unknown) == ["unknown"] * 3


@pytest.mark.parametrize(
    ("decision", "status"), [("sent", "sent"), ("not_sent", "failed"), ("resend", "queued")]
)
def test_a_decision_moves_what_is_meant(
    decision: str,
    status: str,
    api: Caller,
    unknown: list[int],
    sessions: Sessions,
    make: Factory,
    product: Services,
) -> None:
    assert isinstance(product.bell, LocalBell)
    rung = product.bell.subscribe()

    done = api.post("/unknown/resolve", body(decision, 1, **STOPPED))

    assert done == {"rows": 1, "decision": decision}
    assert statuses(sessions, make, unknown) == ["unknown", "unknown", status]
    assert rung.is_set() == (decision == "resend")
    with read(sessions) as session:
        [entry] = session.scalars(select(AuditEntry).where(AuditEntry.action == "unknown.resolve"))
        assert entry.actor.startswith("key:")


def test_another_count_changes_nothing_and_says_which_is_right(
    api: Caller, unknown: list[int], sessions: Sessions, make: Factory
) -> None:
    problem = refused(api.ask("POST", "/unknown/resolve", body("resend", 2)), 409)

    assert problem["type"].endswith("unexpected_count")
    assert "give 3" in remedies(problem)
    assert statuses(sessions, make, unknown) == ["unknown"] * 3


def test_it_needs_a_scope_of_its_own(
    caller_of: CallerOf, unknown: list[int], client_id: int
) -> None:
    writer = caller_of(client_id, scopes=["read", "write"])
    operator = caller_of(client_id, scopes=["messages:resolve"])

    problem = refused(writer.ask("POST", "/unknown/resolve", body("sent", 3)), 403)

    assert "messages:resolve" in remedies(problem)
    assert writer.post("/unknown/check", {})["cannot_say"] == 3
    refused(operator.ask("POST", "/unknown/check", {}), 403)
    assert operator.post("/unknown/resolve", body("sent", 3))["rows"] == 3


def test_such_a_key_can_be_made(api: Caller) -> None:
    made = api.post("/api-keys", {"name": "operator", "scopes": ["read", "messages:resolve"]})

    assert made["scopes"] == ["read", "messages:resolve"]


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"decision": "sent", "count": 1}, "/filter"),
        ({"filter": {}, "count": 1}, "/decision"),
        ({"filter": {}, "decision": "sent"}, "/count"),
        (body("sent", 0), "/count"),
        (body("perhaps", 1), "/decision"),
        (body("sent", 1, reason="rejected"), "/filter/reason"),
        (body("sent", 1, ids=[]), "/filter/ids"),
        (body("sent", 1, run_id="4"), "/filter/run_id"),
        (body("sent", 1, since=4), "/filter/since"),
    ],
)
def test_what_is_wrong_is_named(sent: dict[str, Any], pointer: str, api: Caller) -> None:
    assert pointers(refused(api.ask("POST", "/unknown/resolve", sent), 422)) == {pointer}


def test_checking_asks_the_providers(
    api: Caller, unknown: list[int], make: Factory, sessions: Sessions
) -> None:
    account = make.account("twilio", Channel.SMS, AWAY)
    for _ in range(2):
        make.message(channel="sms", reason=Reason.NO_ANSWER, provider_account_id=account, **LOST)

    told = api.post("/unknown/check", {"filter": {"reason": "no_answer"}})

    assert told == {"found": 0, "not_found": 0, "cannot_say": 3, "left": 1}
    with read(sessions) as session:
        [entry] = session.scalars(select(AuditEntry).where(AuditEntry.action == "unknown.check"))
        assert entry.target == "messages:4"
