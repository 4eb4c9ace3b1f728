"""Mirrors api/users.py: who sees and changes whom, through the public door."""

from pathlib import Path

import pytest
from flask import Flask

from accounts.key import issue_key
from accounts.password import hashed
from accounts.session import Device, UserSession, open_session
from accounts.user import Role, User
from core.clock import ManualClock
from core.db import Sessions, write
from tests.accounts.people import People, make_people
from tests.api.caller import Caller, pointers, refused
from tests.api.conftest import CallerOf
from tests.api.people import PASSWORD, entered, with_mail
from tests.api.test_reference import examples, play

PAGE = Path(__file__).parents[2] / "docs/reference/users-and-clients.md"


@pytest.fixture
def people(sessions: Sessions, clock: ManualClock, client_id: int) -> People:
    return make_people(sessions, clock, client_id)


@pytest.fixture
def boss(caller_of: CallerOf, people: People) -> Caller:
    """The client's admin."""
    return caller_of(people.here, user_id=people.admin)


@pytest.fixture
def root(caller_of: CallerOf, people: People) -> Caller:
    """A super admin, who speaks for the client."""
    return caller_of(people.here, user_id=people.root)


def ids(page: dict[str, list[dict[str, int]]]) -> list[int]:
    return [row["id"] for row in page["data"]]


def test_a_user_is_added_found_changed_and_deleted(
    boss: Caller, root: Caller, people: People
) -> None:
    made = root.post("/users", {"email": "Nia@Example.com", "role": "manager", "first_name": "Nia"})
    path = f"/users/{made['id']}"
    del made["link"]  # in that answer only

    assert (made["email"], made["role"], made["status"]) == (
        "nia@example.com",
        "manager",
        "pending",
    )
    assert not {"password_hash", "two_factor_secret", "permissions"} & made.keys()
    assert boss.get("/users/by-email", email="NIA@example.com") == boss.get(path) == made
    assert ids(boss.get("/users/search", q="nia")) == [made["id"]]
    changed = boss.patch(path, {"role": "user", "status": "active", "language": "de"})
    assert (changed["role"], changed["status"], changed["language"]) == ("user", "active", "de")
    deeds = [row["action"] for row in boss.get(f"{path}/activity")["data"]]
    assert [deed for deed in deeds if deed.startswith("user.")] == ["user.update", "user.create"]

    boss.delete(path)
    refused(boss.ask("GET", path), 404)
    again = root.post("/users", {"email": "nia@example.com"})
    assert again["id"] != made["id"]


def test_a_list_is_the_clients_and_for_super_admins_everybodys(
    boss: Caller, root: Caller, caller_of: CallerOf, people: People
) -> None:
    here = [people.admin, people.manager, people.both]
    assert ids(boss.get("/users")) == here
    assert ids(root.get("/users")) == [*here, people.stranger, people.root]
    narrow = caller_of(people.here, user_id=people.root, scopes=["users:read", "users:write"])
    assert ids(narrow.get("/users")) == here, "a key is not more than its scopes"
    assert ids(boss.get("/users", role="manager", q="li", status="active")) == here[1:]
    first = boss.get("/users", limit=2)
    assert ids(boss.get("/users", limit=2, cursor=first["next_cursor"])) == here[2:]
    assert boss.get("/users/statistics")["by_role"] == {"admin": 1, "manager": 2}
    assert root.get("/users/statistics")["total"] == 5
    refused(caller_of(people.here, user_id=people.manager).ask("GET", "/users"), 403)


def test_nobody_assigns_what_the_engine_keeps(root: Caller, people: People) -> None:
    """B046."""
    for name, value in {
        "id": 7, "client_id": 2, "password_hash": "x", "login_count": 9, "email_verified": True,
        "failed_login_attempts": 0, "created_at": "2020-01-01T00:00:00Z", "deleted_at": None,
        "two_factor_enabled": False, "roles": [], "permissions": ["*"],
    }.items():  # fmt: skip
        for method, path, more in (
            ("PATCH", f"/users/{people.manager}", {}),
            ("POST", "/users", {"email": "x@example.com"}),
        ):
            problem = refused(root.ask(method, path, {name: value, **more}), 422)
            assert pointers(problem) == {f"/{name}"}


def test_nobody_reaches_beyond_their_role_or_client(
    boss: Caller, root: Caller, caller_of: CallerOf, people: People
) -> None:
    for path, body, status in (
        (f"/users/{people.stranger}", {"first_name": "Hi"}, 404),
        (f"/users/{people.manager}", {"role": "super_admin"}, 403),
        (f"/users/{people.both}", {"language": "de"}, 403),
        (f"/users/{people.admin}", {"role": "user"}, 403),
    ):
        refused(boss.ask("PATCH", path, body), status)
    refused(boss.ask("DELETE", f"/users/{people.admin}"), 409)
    narrow = caller_of(people.here, scopes=["users:write"])
    refused(narrow.ask("PATCH", f"/users/{people.manager}", {"role": "admin"}), 403)
    assert root.patch(f"/users/{people.stranger}", {"first_name": "Zora"})["first_name"] == "Zora"
    assert root.patch(f"/users/{people.manager}", {"role": "super_admin"})["role"] == "super_admin"


def test_twins_are_one_account(root: Caller) -> None:
    """B031."""
    root.post("/users", {"email": "straße@example.com".replace("ß", "ss")})
    for twin in ("STRASSE@example.com", " strasse@EXAMPLE.com", "\uff53trasse@example.com"):
        refused(root.ask("POST", "/users", {"email": twin}), 409)


def test_a_client_learns_of_no_account_elsewhere(boss: Caller) -> None:
    for email in ("zoe@example.com", "nobody@example.com"):
        refused(boss.ask("POST", "/users", {"email": email}), 403)
        invited = boss.post("/invitations", {"email": email})
        assert (invited["status"], invited["email"]) == ("open", email)
    refused(boss.ask("POST", "/invitations", {"email": "max@example.com"}), 409)


def test_many_are_changed_together(boss: Caller, people: People) -> None:
    changes = {"status": "suspended", "language": "de"}
    body = {"ids": [people.manager, people.both], "changes": changes}

    none = boss.post("/users/bulk-edits", body | {"all_or_nothing": True})["results"]
    some = boss.post("/users/bulk-edits", body)["results"]

    assert [one["status"] for one in none] == ["not_done", "failed"]
    assert [one["status"] for one in some] == ["changed", "failed"]
    error = some[1]["error"]
    assert (error["code"], error["pointer"]) == ("forbidden", "/changes/language")
    assert error["remedy"]
    foreign = body | {"ids": [people.manager, people.stranger], "changes": {"language": "de"}}
    refused(boss.ask("POST", "/users/bulk-edits", foreign), 404)
    assert boss.get(f"/users/{people.both}")["status"] == "active"
    told = boss.get("/audit", action="user.update")["data"]
    assert [(one["target"], one["after"]) for one in told] == [
        (f"user:{people.manager}", {"status": "suspended"})
    ]


def test_who_is_suspended_at_a_client_works_on_elsewhere(
    app: Flask, boss: Caller, root: Caller, sessions: Sessions, clock: ManualClock, people: People
) -> None:
    path = f"/users/{people.both}"
    with write(sessions) as session:
        made = open_session(session, clock, user_id=people.both, device=Device(None, None))[0]
        session.flush()
    assert boss.patch(path, {"status": "suspended"})["status"] == "suspended"

    with write(sessions) as session:
        assert session.get_one(UserSession, made.id).ended_at is not None
        _, text = open_session(session, clock, user_id=people.both, device=Device(None, None))
    person = Caller(app.test_client(), text)
    refused(person.ask("GET", "/members", headers={"X-Client": str(people.here)}), 403)
    assert person.get("/clients/me")["id"] == people.there
    assert [one["client_id"] for one in person.get("/me")["clients"]] == [people.there]
    assert ids(person.get("/clients")) == [people.there]
    assert ids(boss.get("/users", status="suspended")) == [people.both]
    assert boss.get("/users/statistics")["by_status"]["suspended"] == 1
    assert root.get(path)["status"] == "active"
    refused(boss.ask("POST", "/invitations", {"email": "bo@example.com"}), 409)
    entry = boss.get("/audit", action="user.update")["data"][0]
    assert (entry["target"], entry["before"], entry["after"]) == (
        f"user:{people.both}", {"status": "active"}, {"status": "suspended"},
    )  # fmt: skip

    root.patch(path, {"status": "suspended"})
    refused(person.ask("GET", "/me"), 401)
    refused(boss.ask("PATCH", path, {"status": "active"}), 403)


def test_a_super_admin_sees_and_lifts_a_suspension_at_one_client(
    app: Flask, boss: Caller, root: Caller, sessions: Sessions, clock: ManualClock, people: People
) -> None:
    path = f"/users/{people.both}"
    boss.patch(path, {"status": "suspended"})
    rows = root.get(f"{path}/clients")["data"]
    assert [(one["client_id"], one["status"]) for one in rows] == [
        (people.here, "suspended"), (people.there, "active"),
    ]  # fmt: skip
    there = f"{path}/clients/{people.here}"
    refused(boss.ask("GET", f"{path}/clients"), 403)
    refused(boss.ask("PATCH", there, {"status": "active"}), 403)

    lifted = root.patch(there, {"status": "active"})

    assert (lifted, lifted["status"]) == (rows[0] | {"status": "active"}, "active")
    assert boss.get(path)["status"] == "active"
    told = boss.get("/audit", action="user.update_client")["data"][0]
    assert (told["target"], told["before"], told["after"]) == (
        f"user:{people.both}", {"status": "suspended"}, {"status": "active"},
    )  # fmt: skip
    with write(sessions) as session:
        _, text = open_session(session, clock, user_id=people.both, device=Device(None, None))
    assert root.patch(there, {"status": "suspended"})["status"] == "suspended"
    refused(Caller(app.test_client(), text).ask("GET", "/me"), 401)
    assert root.get(path)["status"] == "active", "the account stays as it is"

    root.patch(path, {"status": "suspended"})
    stopped = refused(root.ask("PATCH", there, {"status": "active"}), 403)
    assert "account" in stopped["errors"][0]["remedy"]
    for wrong in (f"/users/{people.manager}/clients/{people.there}", "/users/99/clients/1"):
        refused(root.ask("PATCH", wrong, {"status": "active"}), 404)
    last = f"/users/{people.admin}/clients/{people.here}"
    refused(root.ask("PATCH", last, {"status": "suspended"}), 409)
    refused(
        root.ask("PATCH", f"/users/{people.root}/clients/{people.here}", {"status": "active"}), 404
    )


def test_permissions_are_the_roles_and_those_beyond(
    boss: Caller, sessions: Sessions, clock: ManualClock, people: People
) -> None:
    path = f"/users/{people.manager}/permissions"
    before = boss.get(path)
    assert (before["role"], before["permissions"]) == ("manager", [])
    assert "audit:read" not in before["actions"]

    after = boss.http.put(
        f"/api/v1{path}", json={"permissions": ["audit:read"]}, headers=boss.headers
    ).get_json()

    assert set(after["actions"]) == {*before["actions"], "audit:read"}
    with write(sessions) as session:
        _, text = issue_key(session, clock, client_id=people.here, name="m", user_id=people.manager)
    manager = Caller(boss.http, text)
    assert manager.get(f"/users/{people.manager}/activity")["data"]
    refused(manager.ask("PUT", path, {"permissions": []}), 403)
    refused(boss.ask("PUT", path, {"permissions": ["clients:read"]}), 422)
    assert Role.MANAGER.value == boss.get(path)["role"]


def test_the_examples_of_the_page_work(root: Caller) -> None:
    assert play(root, examples(PAGE)) == 3


def text_of(link: str) -> str:
    return link.partition("?token=")[2]


def test_where_no_mail_is_sent_a_user_who_was_added_begins_by_a_link_shown_once(
    app: Flask, root: Caller
) -> None:
    made = root.post("/users", {"email": "nia@example.com", "role": "manager"})
    anybody = Caller(app.test_client(), None)
    assert made["link"].startswith("https://mail.example.com/account/reset?token=")
    assert "link" not in root.get(f"/users/{made['id']}")
    token = text_of(made["link"])
    assert token not in root.ask("GET", "/audit").get_data(as_text=True)

    # A stranger who asks for a link that nobody can send does not end this one.
    assert anybody.ask("POST", "/password-resets", {"email": "nia@example.com"}).status_code == 202
    confirm = {"token": token, "password": PASSWORD}
    assert anybody.ask("POST", "/password-resets/confirm", confirm).status_code == 204

    assert entered(app, "nia@example.com").get("/me")["role"] == "manager"
    seen = root.get(f"/users/{made['id']}")
    assert (seen["status"], seen["email_verified"]) == ("active", False)
    refused(anybody.ask("POST", "/password-resets/confirm", confirm), 422)


def test_a_link_that_was_shown_opens_no_account_that_has_begun_otherwise(
    app: Flask, root: Caller, sessions: Sessions, clock: ManualClock
) -> None:
    """Whoever added an account never holds what others gave it since."""
    made = root.post("/users", {"email": "nia@example.com"})
    with write(sessions) as session:
        session.get_one(User, made["id"]).password_hash = hashed(PASSWORD, email="nia@example.com")

    late = {"token": text_of(made["link"]), "password": "another horse battery"}
    anybody = Caller(app.test_client(), None)
    refused(anybody.ask("POST", "/password-resets/confirm", late), 422)

    second = root.post("/users", {"email": "lea@example.com"})
    clock.advance(days=8)
    late = {"token": text_of(second["link"]), "password": PASSWORD}
    refused(anybody.ask("POST", "/password-resets/confirm", late), 422)


def test_where_mail_is_sent_no_link_is_shown(app: Flask, root: Caller, boss: Caller) -> None:
    with_mail(app)

    assert root.post("/users", {"email": "nia@example.com"})["link"] is None
    refused(boss.ask("POST", "/users", {"email": "lea@example.com"}), 403)
