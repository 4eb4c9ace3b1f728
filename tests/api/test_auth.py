"""Mirrors api/auth.py."""

import re

from flask import Flask

from accounts.key import ApiKey, revoke_key
from api.auth import PUBLIC
from core.clock import ManualClock
from core.db import Sessions, read, write
from tests.api.caller import Caller, pointers, refused
from tests.api.conftest import CallerOf
from tests.factories import Factory


def routes(app: Flask) -> list[tuple[str, str]]:
    """Every method and path under /api/v1, with 1 for each id."""
    return sorted(
        (method, re.sub(r"<[^>]+>", "1", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    )


def test_every_route_needs_a_key_but_the_public_ones(app: Flask) -> None:
    http = app.test_client()

    open_to_all = {
        path for method, path in routes(app) if http.open(path, method=method).status_code != 401
    }

    assert open_to_all == PUBLIC


NO_KEYS = ["", "Bearer", "Bearer ", "Bearer nonsense", "Bearer ex_0_0", "Basic YTpi", "ex_1_2"]
NO_KEYS += ["Bearer ex_" + "x" * 9000, "Bearer ex_ü"]


def test_what_is_no_key_is_refused_with_the_remedy(app: Flask) -> None:
    for header in NO_KEYS:
        answer = app.test_client().get("/api/v1/members", headers={"Authorization": header})

        problem = refused(answer, 401)
        assert "Bearer" in answer.headers["WWW-Authenticate"]
        assert pointers(problem) == {"header:/Authorization"}
        assert "Authorization: Bearer" in problem["errors"][0]["remedy"]


def test_a_revoked_key_ends_at_once(
    api: Caller, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    assert api.get("/clients/me")["id"] == client_id
    with write(sessions) as session:
        revoke_key(session, clock, client_id=client_id, key_id=1)

    refused(api.ask("GET", "/clients/me"), 401)


def test_an_expired_key_is_no_key(caller_of: CallerOf, client_id: int, clock: ManualClock) -> None:
    caller = caller_of(client_id, expires_at=clock.now().replace(hour=13))
    assert caller.get("/clients/me")

    clock.advance(hours=2)

    refused(caller.ask("GET", "/clients/me"), 401)


def test_a_key_speaks_for_its_own_client(stranger: Caller, client_id: int) -> None:
    assert stranger.get("/clients/me")["id"] != client_id


def test_a_key_for_reading_may_not_write(caller_of: CallerOf, client_id: int) -> None:
    reader = caller_of(client_id, scopes=["read"])

    assert reader.get("/members") == {"data": [], "next_cursor": None}
    problem = refused(reader.ask("POST", "/members", {"email": "ana@example.com"}), 403)
    assert "write" in problem["errors"][0]["remedy"]


def test_use_of_a_key_is_noted_once_a_minute(
    api: Caller, sessions: Sessions, clock: ManualClock
) -> None:
    def last_used() -> object:
        with read(sessions) as session:
            return session.get_one(ApiKey, 1).last_used_at

    api.get("/members")
    first = last_used()
    clock.advance(seconds=30)
    api.get("/members")

    assert first is not None
    assert last_used() == first


def test_another_clients_key_cannot_be_revoked(
    api: Caller, stranger: Caller, make: Factory
) -> None:
    own = api.get("/api-keys")["data"][0]["id"]

    refused(stranger.ask("DELETE", f"/api-keys/{own}"), 404)
    assert api.get("/api-keys")["data"][0]["revoked_at"] is None
