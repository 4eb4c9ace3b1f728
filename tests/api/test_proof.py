"""Mirrors api/proof.py: what only those may do who proved lately who they are."""

from typing import Any

import pytest
from flask import Flask

from accounts.session import FRESH
from accounts.user import Role
from core.clock import ManualClock
from core.db import Sessions
from echelonx.exporters import Exporters
from echelonx.wiring import Services
from tests.api.caller import Caller, pointers, refused
from tests.api.people import PASSWORD, entered, settled
from tests.api.test_two_factor import turned_on

FRESH_ONLY = {
    ("post", "/api-keys"),
    ("get", "/audit/export"),
    ("delete", "/clients/{client_id}"),
    ("get", "/consents/export"),
    ("post", "/exports"),
    ("get", "/imports/{import_id}/rejects.csv"),
    ("post", "/invitations"),
    ("post", "/invitations/bulk"),
    ("delete", "/me/identities/{identity_id}"),
    ("get", "/members/export"),
    ("get", "/members/{member_id}/consents/export"),
    ("post", "/members/{member_id}/erasure"),
    ("get", "/members/{member_id}/export"),
    ("post", "/users"),
    ("delete", "/users/{user_id}"),
    ("put", "/users/{user_id}/permissions"),
    ("post", "/webhook-endpoints/{endpoint_id}/rotate"),
    ("post", "/webhook-endpoints/{endpoint_id}/secret"),
}
"""Personal data leaves, a secret is shown, somebody is let in, or something is gone for good."""


@pytest.fixture
def root(app: Flask, sessions: Sessions, clock: ManualClock, client_id: int) -> Caller:
    """A super admin who signed in."""
    settled(sessions, clock, None, role=Role.SUPER_ADMIN)
    return entered(app)


def stale(answer: Any) -> bool:
    return bool(answer.status_code == 403 and "stale_session" in answer.get_json()["type"])


def tried(caller: Caller) -> dict[tuple[str, str], bool]:
    """Ask for each with an id nobody has; say which are refused for a stale session."""
    paths = {one: one[1].partition("{")[0] for one in FRESH_ONLY}
    asked = {
        one: start + ("4711" + one[1].partition("}")[2] if "{" in one[1] else "")
        for one, start in paths.items()
    }
    return {
        one: stale(caller.ask(one[0].upper(), path, None if one[0] == "get" else {}))
        for one, path in asked.items()
    }


def test_what_cannot_be_taken_back_needs_a_proof_of_the_last_ten_minutes(
    root: Caller, api: Caller, clock: ManualClock
) -> None:
    assert not any(tried(root).values()), "signing in is a proof"
    clock.advance(seconds=FRESH.total_seconds())
    assert all(tried(root).values())
    assert not any(tried(api).values()), "keys are exempt"
    assert root.get("/members")["data"] == []

    refused(root.ask("POST", "/me/proof", {"password": "not the password"}), 403)
    for _ in range(20):
        assert pointers(refused(root.ask("POST", "/me/proof", {}), 422)) == {"/password"}
    assert all(tried(root).values())
    assert root.ask("POST", "/me/proof", {"password": PASSWORD}).status_code == 204
    assert not any(tried(root).values())
    assert "user.prove" in {one["action"] for one in api.get("/audit")["data"]}
    refused(api.ask("POST", "/me/proof", {"password": PASSWORD}), 403)


def test_the_document_says_which(app: Flask) -> None:
    document = app.test_client().get("/api/v1/openapi.json").get_json()
    marked = {
        (method, path.removeprefix("/api/v1"))
        for path, operations in document["paths"].items()
        for method, one in operations.items()
        if isinstance(one, dict) and one.get("x-fresh")
    }
    assert marked == FRESH_ONLY


def test_another_users_email_and_role_are_changed_with_a_proof(
    root: Caller, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    bo = settled(sessions, clock, client_id, email="bo@example.com")
    clock.advance(seconds=FRESH.total_seconds())
    path, many = f"/users/{bo}", "/users/bulk-edits"
    root.patch(path, {"first_name": "Bo"})
    root.post(many, {"ids": [bo], "changes": {"language": "de"}})
    for changes in ({"email": "new@example.com"}, {"role": "super_admin"}):
        assert stale(root.ask("PATCH", path, changes))
        assert stale(root.ask("POST", many, {"ids": [bo], "changes": changes}))
    root.ask("POST", "/me/proof", {"password": PASSWORD})
    assert root.patch(path, {"email": "new@example.com"})["email"] == "new@example.com"


def test_a_code_is_a_proof_of_those_who_have_a_second_factor(
    root: Caller, clock: ManualClock
) -> None:
    refused(root.ask("POST", "/me/proof", {"code": "123456"}), 403)
    phone, _ = turned_on(root, clock)
    clock.advance(seconds=FRESH.total_seconds())
    refused(root.ask("POST", "/me/proof", {"code": "000000"}), 403)
    assert stale(root.ask("DELETE", "/users/4711"))
    assert root.ask("POST", "/me/proof", {"code": phone.code}).status_code == 204
    refused(root.ask("DELETE", "/users/4711"), 404)


def test_a_file_that_is_there_has_a_link_with_a_proof(
    root: Caller, api: Caller, product: Services, clock: ManualClock
) -> None:
    number = api.post("/exports", {"of": "client"})["id"]
    exporters = Exporters(product)
    while exporters.unit():
        pass
    clock.advance(seconds=FRESH.total_seconds())
    export, job = f"/exports/{number}", f"/jobs/export-{number}"

    assert root.get(export)["link"] is None
    assert root.get(job)["result"]["download"] is None
    assert api.get(export)["link"]
    root.ask("POST", "/me/proof", {"password": PASSWORD})
    assert root.get(export)["link"]
    assert root.get(job)["result"]["download"]
