"""Mirrors api/sign_in.py and api/attempts.py."""

import re
from collections import Counter

import pytest
from flask import Flask

from accounts import password as passwords
from accounts.client import create_client
from accounts.user import Role, User, UserStatus, grant_role
from core.clock import ManualClock
from core.db import Sessions, read, write
from tests.api.caller import Caller, good, refused
from tests.api.people import PASSWORD, entered, settled
from tests.api.test_auth import routes


def test_a_password_opens_a_session_and_signing_out_ends_it(
    app: Flask, ana: int, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    caller = entered(app)

    me = caller.get("/me")
    assert (me["actor"], me["client_id"], me["role"]) == (f"user:{ana}", client_id, "admin")
    assert "members:erase" in me["permissions"]
    with read(sessions) as session:
        who = session.get_one(User, ana)
        assert (who.login_count, who.last_login) == (1, clock.now())
        assert (who.failed_login_attempts, who.password_hash != PASSWORD) == (0, True)
    assert caller.ask("POST", "/sign-out").status_code == 204
    refused(caller.ask("GET", "/me"), 401)


def test_each_sign_in_is_a_session_of_its_own(app: Flask, ana: int) -> None:
    """B032."""
    first, second = entered(app), entered(app)

    assert first.headers != second.headers
    first.ask("POST", "/sign-out")
    assert second.get("/me")["user"]["id"] == ana


def test_a_session_ends_unused_and_at_last_anyway(app: Flask, ana: int, clock: ManualClock) -> None:
    idle, busy = entered(app), entered(app)
    for _ in range(14):
        clock.advance(days=2)
        assert busy.get("/me")

    refused(idle.ask("GET", "/me"), 401)
    clock.advance(days=2)
    refused(busy.ask("GET", "/me"), 401)


@pytest.mark.parametrize("who", ["wrong", "missing", "suspended", "pending", "no address", "none"])
def test_who_cannot_sign_in_is_told_the_same_after_the_same_work(
    app: Flask, sessions: Sessions, clock: ManualClock, client_id: int,
    monkeypatch: pytest.MonkeyPatch, who: str,
) -> None:  # fmt: skip
    """B037."""
    worked = Counter[str]()
    hasher = passwords.HASHER

    class Counting:
        hash = hasher.hash

        def verify(self, held: str, password: str) -> bool:
            worked[held[:20]] += 1
            return hasher.verify(held, password)

    passwords.matches(None, "once")  # the hash of nobody is made
    if who in ("wrong", "suspended", "pending", "none"):
        status = UserStatus(who) if who in ("suspended", "pending") else UserStatus.ACTIVE
        made = settled(sessions, clock, client_id, status=status)
        if who == "none":
            with write(sessions) as session:
                session.get_one(User, made).password_hash = None
    monkeypatch.setattr(passwords, "HASHER", Counting())
    email = "ana" if who == "no address" else "ana@example.com"
    password = "not the password" if who == "wrong" else PASSWORD

    answer = Caller(app.test_client(), None).ask(
        "POST", "/sign-in", {"email": email, "password": password}
    )

    problem = refused(answer, 401)
    assert problem["detail"] == "this address and password do not sign in"
    assert sum(worked.values()) == 1


def test_ten_guesses_are_tried_in_a_quarter_of_an_hour(
    app: Flask, ana: int, clock: ManualClock, sessions: Sessions
) -> None:
    """B030: wherever they come from, and however they are spelled (B031)."""
    http = app.test_client()
    spellings = "ana@example.com", " ANA@EXAMPLE.COM", "Ana@\uff45xample.com"
    answers = Counter[int]()
    for minute in range(15):
        for number in range(4):
            body = {"email": spellings[number % 3], "password": f"guess {minute} {number}"}
            where = {"REMOTE_ADDR": f"203.0.113.{minute}"}
            answer = http.post("/api/v1/sign-in", json=body, environ_overrides=where)
            answers[answer.status_code] += 1
            if answer.status_code == 429:
                assert int(answer.headers["Retry-After"]) > 0
        clock.advance(minutes=1)

    assert answers.keys() == {401, 429}
    assert 5 <= answers[401] <= 10
    with read(sessions) as session:
        assert session.get_one(User, ana).failed_login_attempts == answers[401]
    clock.advance(hours=1)
    assert entered(app)


def test_the_right_password_is_not_rationed(app: Flask, ana: int) -> None:
    for _ in range(8):
        assert entered(app)


def cookie_of(app: Flask) -> tuple[Caller, str, str]:
    """Sign in as a page does; return the caller, the proof and the cookie's header."""
    caller = Caller(app.test_client(), None)
    body = {"email": "ana@example.com", "password": PASSWORD, "cookie": True}
    answer = caller.ask("POST", "/sign-in", body)
    made = good(answer)
    assert "token" not in made
    return caller, made["csrf_token"], answer.headers["Set-Cookie"]


def test_a_pages_session_travels_in_a_cookie_bound_to_this_host(app: Flask, ana: int) -> None:
    caller, proof, cookie = cookie_of(app)

    assert re.match(r"__Host-echelonx=es_\w{8}_[\w-]{43};", cookie)
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    me = caller.get("/me")
    assert (me["user"]["id"], me["csrf_token"]) == (ana, proof)
    note = {"X-CSRF-Token": proof, "Origin": "https://mail.example.com"}
    assert caller.ask("PATCH", "/me", {"first_name": "Ana"}, headers=note).status_code == 200
    answer = caller.ask("POST", "/sign-out", headers=note)
    assert answer.headers["Set-Cookie"].startswith("__Host-echelonx=;")
    caller.http.set_cookie("__Host-echelonx", cookie.partition(";")[0].partition("=")[2])
    refused(caller.ask("GET", "/me"), 401)


def test_no_other_site_writes_with_the_cookie_on_any_route(app: Flask, ana: int) -> None:
    """B020: no proof, a wrong one, another origin, a form's or a text's media type."""
    caller, proof, _ = cookie_of(app)
    bad = (
        {},
        {"X-CSRF-Token": "0" * 64},
        {"X-CSRF-Token": proof, "Origin": "https://evil.example"},
        {"X-CSRF-Token": proof, "Origin": "null"},
    )
    tried = 0
    for method, path in routes(app):
        public = path in OPEN_TO_ALL
        if method == "GET" or public:
            continue
        for headers in bad if path == "/api/v1/members" else bad[:1]:
            answer = caller.ask(method, path.removeprefix("/api/v1"), {}, headers=headers)
            refused(answer, 403)
            tried += 1
        plain = caller.http.open(path, method=method, data="{}", content_type="text/plain")
        assert plain.status_code == 403
    assert tried > 60
    assert caller.get("/members")["data"] == []


OPEN_TO_ALL = {
    "/api/v1/sign-in", "/api/v1/password-resets", "/api/v1/password-resets/confirm",
    "/api/v1/email-verifications", "/api/v1/invitations/accept", "/api/v1/sign-in/oidc",
    "/api/v1/sign-in/oidc/callback", "/api/v1/sign-in/link", "/api/v1/sign-in/link/confirm",
}  # fmt: skip


def test_no_other_site_signs_somebody_in(app: Flask, ana: int) -> None:
    body = {"email": "ana@example.com", "password": PASSWORD, "cookie": True}
    foreign = {"Origin": "https://evil.example"}

    refused(Caller(app.test_client(), None).ask("POST", "/sign-in", body, headers=foreign), 403)


def test_reading_never_writes_and_nothing_is_framed(app: Flask, api: Caller) -> None:
    """B021 and B022."""
    methods: dict[str, set[str]] = {}
    for method, path in routes(app):
        methods.setdefault(path, set()).add(method)
    for path in [path for path, known in methods.items() if "GET" not in known]:
        answer = api.ask("GET", path.removeprefix("/api/v1"))
        assert answer.status_code in (404, 405), path
    headers = api.ask("GET", "/members").headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("DENY", "nosniff")
    wrong = {"email": "ana@example.com", "password": "no"}
    assert api.ask("POST", "/sign-in", wrong).headers["Cache-Control"] == "no-store"


def test_a_person_names_the_client_they_act_for(
    app: Flask, ana: int, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        second, foreign = (create_client(session, clock, name=name).id for name in "BC")
        grant_role(session, clock, user_id=ana, client_id=second, role=Role.USER)
    caller = entered(app)

    def role_at(client: object) -> object:
        return good(caller.ask("GET", "/me", headers={"X-Client": str(client)}))["role"]

    assert (role_at(client_id), role_at(second)) == ("admin", "user")
    assert [one["client_id"] for one in caller.get("/me")["clients"]] == [client_id, second]
    assert caller.get("/clients/me")["id"] == client_id
    for wrong in (foreign, 4711):
        refused(caller.ask("GET", "/members", headers={"X-Client": str(wrong)}), 403)
    refused(caller.ask("GET", "/members", headers={"X-Client": "x"}), 422)
    settled(sessions, clock, None, email="top@example.com", role=Role.SUPER_ADMIN)
    top = entered(app, "top@example.com")
    answer = top.ask("GET", "/clients/me", headers={"X-Client": str(foreign)})
    assert good(answer)["id"] == foreign


@pytest.mark.parametrize("change", [{"status": "suspended"}, {"role": "user"}])
def test_a_lost_role_and_a_suspension_end_what_was_open_for_good(
    app: Flask, ana: int, sessions: Sessions, clock: ManualClock, client_id: int, change: object
) -> None:
    """B036: also once the role is given back."""
    settled(sessions, clock, client_id, email="bo@example.com")
    caller, admin = entered(app), entered(app, "bo@example.com")
    key = Caller(app.test_client(), caller.post("/api-keys", {"name": "k"})["key"])

    admin.patch(f"/users/{ana}", change)
    admin.patch(f"/users/{ana}", {"status": "active", "role": "admin"})

    refused(caller.ask("GET", "/members"), 401)
    refused(key.ask("GET", "/members"), 401)
    assert entered(app).get("/members")["data"] == []


@pytest.mark.parametrize("what", ["suspended", "role", "deleted"])
def test_who_loses_their_place_loses_it_at_once(
    app: Flask, ana: int, sessions: Sessions, clock: ManualClock, what: str
) -> None:
    """B036, for sessions and keys."""
    caller = entered(app)
    key = Caller(app.test_client(), caller.post("/api-keys", {"name": "k"})["key"])
    assert key.get("/me")["user"]["id"] == ana
    with write(sessions) as session:
        who = session.get_one(User, ana)
        if what == "suspended":
            who.status = UserStatus.SUSPENDED
        elif what == "deleted":
            who.deleted_at = clock.now()
        else:
            session.execute(User.metadata.tables["client_roles"].delete())

    refused(key.ask("GET", "/members"), 401)
    refused(caller.ask("GET", "/members"), 403 if what == "role" else 401)
