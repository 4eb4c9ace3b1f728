"""Mirrors api/users.py: who sees and changes whom, through the public door."""

from pathlib import Path

import pytest

from accounts.key import issue_key
from accounts.user import Role
from core.clock import ManualClock
from core.db import Sessions, write
from tests.accounts.people import People, make_people
from tests.api.caller import Caller, pointers, refused
from tests.api.conftest import CallerOf
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


def test_a_user_is_added_found_changed_and_deleted(boss: Caller, people: People) -> None:
    made = boss.post("/users", {"email": "Nia@Example.com", "role": "manager", "first_name": "Nia"})
    path = f"/users/{made['id']}"

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
    again = boss.post("/users", {"email": "nia@example.com"})
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


def test_nobody_assigns_what_the_engine_keeps(boss: Caller, people: People) -> None:
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
            problem = refused(boss.ask(method, path, {name: value, **more}), 422)
            assert pointers(problem) == {f"/{name}"}


def test_nobody_reaches_beyond_their_role_or_client(
    boss: Caller, root: Caller, caller_of: CallerOf, people: People
) -> None:
    for path, body, status in (
        (f"/users/{people.stranger}", {"first_name": "Hi"}, 404),
        (f"/users/{people.manager}", {"role": "super_admin"}, 403),
        (f"/users/{people.both}", {"status": "suspended"}, 403),
        (f"/users/{people.admin}", {"role": "user"}, 403),
    ):
        refused(boss.ask("PATCH", path, body), status)
    refused(boss.ask("DELETE", f"/users/{people.admin}"), 409)
    narrow = caller_of(people.here, scopes=["users:write"])
    refused(narrow.ask("POST", "/users", {"email": "x@example.com", "role": "admin"}), 403)
    refused(narrow.ask("PATCH", f"/users/{people.manager}", {"role": "admin"}), 403)
    assert root.patch(f"/users/{people.stranger}", {"first_name": "Zora"})["first_name"] == "Zora"
    assert root.patch(f"/users/{people.manager}", {"role": "super_admin"})["role"] == "super_admin"


def test_twins_are_one_account(boss: Caller) -> None:
    """B031."""
    boss.post("/users", {"email": "straße@example.com".replace("ß", "ss")})
    for twin in ("STRASSE@example.com", " strasse@EXAMPLE.com", "\uff53trasse@example.com"):
        refused(boss.ask("POST", "/users", {"email": twin}), 409)


def test_many_are_changed_together(boss: Caller, people: People) -> None:
    body = {"ids": [people.manager, people.both], "changes": {"status": "suspended"}}

    none = boss.post("/users/bulk-edits", body | {"all_or_nothing": True})["results"]
    some = boss.post("/users/bulk-edits", body)["results"]

    assert [one["status"] for one in none] == ["not_done", "failed"]
    assert [one["status"] for one in some] == ["changed", "failed"]
    assert (some[1]["error"]["code"], some[1]["error"]["field"]) == ("forbidden", "status")
    foreign = body | {"ids": [people.manager, people.stranger], "changes": {"language": "de"}}
    refused(boss.ask("POST", "/users/bulk-edits", foreign), 404)
    assert boss.get(f"/users/{people.manager}")["language"] is None


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
