"""Mirrors api/auth.py."""

import re

import pytest
from flask import Flask

from accounts.key import ApiKey, revoke_key
from accounts.user import Role, User, UserStatus, create_user, grant_role
from api.auth import UnknownActionError, check
from api.openapi import OPEN, Resource
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


PUBLIC = {
    "/api/v1/openapi.json", "/api/v1/sign-in", "/api/v1/password-resets",
    "/api/v1/password-resets/confirm", "/api/v1/email-verifications",
    "/api/v1/invitations/accept", "/api/v1/exports/1/file", "/api/docs", "/api/docs/1",
    "/api/v1/sign-in/oidc", "/api/v1/sign-in/oidc/callback",
    "/api/v1/sign-in/link", "/api/v1/sign-in/link/confirm",
}  # fmt: skip
"""What anybody may ask for."""


def test_an_operation_nobody_thought_of_keeps_the_application_from_starting(app: Flask) -> None:
    resource = Resource("secrets", about="Nothing anybody may see")
    check(app)

    @resource.get("/secrets")
    def show() -> str:
        """Show."""
        return ""

    app.register_blueprint(resource)

    with pytest.raises(UnknownActionError, match="secrets:read"):
        check(app)


def test_a_route_beside_the_resources_keeps_it_from_starting_too(app: Flask) -> None:
    app.add_url_rule("/api/v1/debug", "debug", lambda: "")

    with pytest.raises(UnknownActionError, match="/api/v1/debug"):
        check(app)

    app.view_functions["debug"].action = OPEN  # type: ignore[attr-defined]
    check(app)


PEOPLE = {
    Role.USER: {"/segments": 201, "/imports/preview": 403, "/providers": 403, "/api-keys": 403},
    Role.MANAGER: {"/segments": 201, "/imports/preview": 415, "/providers": 403, "/api-keys": 403},
    Role.ADMIN: {"/segments": 201, "/imports/preview": 415, "/providers": 422, "/api-keys": 201},
}
BODIES = {"/segments": {"name": "A", "text": "everyone"}, "/api-keys": {"name": "k"}}


@pytest.mark.parametrize("role", list(PEOPLE))
def test_a_persons_key_may_what_the_person_may(
    caller_of: CallerOf, sessions: Sessions, clock: ManualClock, client_id: int, role: Role
) -> None:
    caller = caller_of(client_id, user_id=person(sessions, clock, client_id, role))

    for path, status in PEOPLE[role].items():
        assert caller.ask("POST", path, BODIES.get(path, {})).status_code == status, path


def person(sessions: Sessions, clock: ManualClock, client_id: int, role: Role) -> int:
    """Make somebody with a role at the client."""
    with write(sessions) as session:
        email, status = f"{role}.{client_id}@example.com", UserStatus.ACTIVE
        made = create_user(
            session, clock, email=email, role=role, client_id=client_id, status=status
        )
        return made.id


def test_a_persons_key_lives_and_shrinks_with_the_person(
    caller_of: CallerOf, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    who = person(sessions, clock, client_id, Role.ADMIN)
    caller = caller_of(client_id, user_id=who)
    made = Caller(caller.http, caller.post("/api-keys", {"name": "child"})["key"])
    assert made.get("/api-keys")["data"]

    with write(sessions) as session:
        grant_role(session, clock, user_id=who, client_id=client_id, role=Role.USER)
    refused(made.ask("GET", "/api-keys"), 403)
    with write(sessions) as session:
        session.get_one(User, who).status = UserStatus.SUSPENDED

    refused(made.ask("GET", "/members"), 401)
    refused(caller.ask("GET", "/members"), 401)


def test_a_key_makes_no_key_that_may_more(caller_of: CallerOf, client_id: int) -> None:
    maker = caller_of(client_id, scopes=["read", "api_keys:write"])

    assert maker.post("/api-keys", {"name": "less", "scopes": ["members:read"]})
    for scopes in (["*"], ["write"], ["users:write"]):
        refused(maker.ask("POST", "/api-keys", {"name": "more", "scopes": scopes}), 403)


def test_a_key_in_the_address_is_refused(api: Caller) -> None:
    """B039: also beside a good key, for it is in the logs by now."""
    text = api.headers["Authorization"].removeprefix("Bearer ")

    for path in ("/clients/me", "/members", "/nowhere"):
        problem = refused(api.ask("GET", path, api_key=text), 422)
        assert "logs" in problem["detail"]
        assert text not in str(problem)


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
    assert "members:write" in problem["errors"][0]["remedy"]


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
