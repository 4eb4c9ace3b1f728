"""Mirrors api/me.py."""

import pytest
from flask import Flask

from accounts.user import User
from core.clock import ManualClock
from core.db import Sessions, read
from tests.api.caller import Caller, good, pointers, refused
from tests.api.people import PASSWORD, entered, settled, with_mail

NEW = "seven new words nobody has"


def test_a_new_password_ends_whatever_was_open(app: Flask, ana: int) -> None:
    """B036: the caller goes on with the session that the answer holds."""
    other, caller = entered(app), entered(app)
    key = Caller(app.test_client(), caller.post("/api-keys", {"name": "k"})["key"])

    body = {"password": PASSWORD, "new_password": NEW}
    token = caller.post("/me/password", body)["token"]

    for old in (other, caller, key):
        refused(old.ask("GET", "/me"), 401)
    assert Caller(app.test_client(), token).get("/me")["user"]["id"] == ana
    sign_in = {"email": "ana@example.com"}
    nobody = Caller(app.test_client(), None)
    refused(nobody.ask("POST", "/sign-in", {**sign_in, "password": PASSWORD}), 401)
    assert nobody.post("/sign-in", {**sign_in, "password": NEW})


def test_a_new_password_takes_the_old_one(app: Flask, ana: int) -> None:
    caller = entered(app)

    for wrong in ("", "not it", NEW):
        body = {"password": wrong, "new_password": NEW}
        refused(caller.ask("POST", "/me/password", body), 403)
    assert entered(app)


@pytest.mark.parametrize(
    "weak",
    ["short", "password123", "ana@example.com", "aaaaaaaaaaaaaaaaaaaa", "x y" * 400, "nul\0inside"],
)
def test_a_weak_password_is_refused_by_field(app: Flask, ana: int, weak: str) -> None:
    """B040."""
    body = {"password": PASSWORD, "new_password": weak}
    caller = entered(app)

    assert pointers(refused(caller.ask("POST", "/me/password", body), 422)) == {"/new_password"}
    assert caller.get("/me")


def test_every_byte_of_a_long_password_counts_and_a_megabyte_is_refused(
    app: Flask, ana: int
) -> None:
    """B040."""
    caller = entered(app)
    long = "correct horse " * 6 + "ä" + "1"
    assert len(long.encode()) > 73
    caller.post("/me/password", {"password": PASSWORD, "new_password": long})
    nobody = Caller(app.test_client(), None)

    for wrong in (long[:-1], long[:72], long[:-1] + "2", "x" * (1 << 20)):
        answer = nobody.ask("POST", "/sign-in", {"email": "ana@example.com", "password": wrong})
        assert answer.status_code == (422 if len(wrong) > 1024 else 401)
    assert nobody.post("/sign-in", {"email": "ana@example.com", "password": long})


def test_devices_are_listed_and_ended_one_by_one_or_all(app: Flask, ana: int) -> None:
    http = app.test_client()
    body = {"email": "ana@example.com", "password": PASSWORD}
    agent = {"User-Agent": "Mozilla/5.0 \x01" + "x" * 300}
    where = {"REMOTE_ADDR": "2001:db8:7:9::1"}
    phone = good(http.post("/api/v1/sign-in", json=body, headers=agent, environ_overrides=where))
    caller, third = entered(app), entered(app)

    listed = caller.get("/me/sessions")["data"]
    assert [one["current"] for one in listed] == [False, True, False]
    assert (listed[2]["ip"], listed[1]["ip"]) == ("2001:db8:7::/48", "127.0.0.0/24")
    assert listed[2]["device"].startswith("Mozilla/5.0 xxx")
    assert len(listed[2]["device"]) == 120
    caller.delete(f"/me/sessions/{listed[2]['id']}")
    refused(Caller(http, phone["token"]).ask("GET", "/me"), 401)
    caller.delete("/me/sessions")
    refused(third.ask("GET", "/me"), 401)
    assert [one["current"] for one in caller.get("/me/sessions")["data"]] == [True]


def test_another_persons_session_is_not_ones_own_to_end(
    app: Flask, ana: int, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    settled(sessions, clock, client_id, email="bo@example.com")
    bo, caller = entered(app, "bo@example.com"), entered(app)

    own = bo.get("/me/sessions")["data"][0]["id"]

    refused(caller.ask("DELETE", f"/me/sessions/{own}"), 404)
    assert bo.get("/me")


def test_a_profile_is_changed_and_nothing_above_it(app: Flask, ana: int, api: Caller) -> None:
    """B046."""
    caller = entered(app)

    changed = caller.patch("/me", {"first_name": "Ana", "preferences": {"theme": "dark"}})
    assert (changed["full_name"], changed["preferences"]) == ("Ana", {"theme": "dark"})
    for name in ("role", "status", "email", "id", "permissions", "password_hash", "client_id"):
        answer = caller.ask("PATCH", "/me", {name: "super_admin"})
        assert pointers(refused(answer, 422)) == {f"/{name}"}
    assert api.get("/me")["user"] is None
    refused(api.ask("PATCH", "/me", {"first_name": "Key"}), 403)


def test_an_address_is_verified_by_a_link_used_once(
    app: Flask, ana: int, sessions: Sessions, clock: ManualClock
) -> None:
    caller = entered(app)
    refused(caller.ask("POST", "/me/email-verification"), 409)
    box = with_mail(app)
    nobody = Caller(app.test_client(), None)

    assert caller.ask("POST", "/me/email-verification").status_code == 202
    old = box.token
    assert caller.ask("POST", "/me/email-verification").status_code == 202
    refused(nobody.ask("POST", "/email-verifications", {"token": old}), 422)
    for status in (204, 422):
        answer = nobody.ask("POST", "/email-verifications", {"token": box.token})
        assert answer.status_code == status

    with read(sessions) as session:
        assert session.get_one(User, ana).email_verified
