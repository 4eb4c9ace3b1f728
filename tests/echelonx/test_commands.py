"""Mirrors echelonx/commands/: each command against an installation made by `echelonx init`."""

import json
from pathlib import Path
from typing import Any

import pytest

from accounts.key import issue_key
from core.db import write
from echelonx import schema
from echelonx.commands.output import facts, table
from echelonx.commands.workspace import opened
from tests.echelonx.conftest import Call

PEOPLE = """email,first_name,tier,Town,consent.email
ana@people.example,Ana,elite,Berlin,yes
bo@people.example,Bo,basic,Vienna,yes
not an address,Cy,basic,Oslo,yes
"""


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(PEOPLE)
    return path


def test_init_prints_a_key_once_and_is_not_repeated(call: Call, shop: dict[str, Any]) -> None:
    again = call("init", "--name", "Other", "--email", "you@shop.example")

    assert shop["key"].startswith("ex_")
    assert again.code == 1
    assert "-> echelonx key new" in again.err


def actions(call: Call) -> list[str]:
    return [one["action"] for one in call("audit", "list", "--json").json]


def test_what_init_makes_is_in_the_audit_log(call: Call, shop: dict[str, Any]) -> None:
    assert actions(call) == ["api_key.create", "user.create", "client.create"]
    [me] = call("user", "list", "--json").json
    assert (me["email"], me["role"]) == ("me@shop.example", "super_admin")


def test_keys_are_listed_and_end_at_once(call: Call, shop: dict[str, Any]) -> None:
    made = call("key", "new", "--name", "Checkout", "--scope", "events:write", "--json").json

    newest, first = call("key", "list", "--json").json["keys"]
    assert (newest["name"], newest["scopes"], newest["revoked_at"]) == (
        "Checkout", ["events:write"], None,
    )  # fmt: skip
    assert (first["name"], "key_hash" in first) == ("first", False)
    assert made["key"] not in call("key", "list").out

    ended = call("key", "revoke", str(made["id"]), "--json").json
    assert (
        ended["revoked_at"] == call("key", "revoke", str(made["id"]), "--json").json["revoked_at"]
    )
    assert call("key", "list", "--json").json["keys"][0]["revoked_at"] == ended["revoked_at"]
    assert actions(call)[0] == "api_key.revoke"
    assert call("key", "revoke", "99").code == 1


def test_no_key_is_left_out_of_the_list(call: Call, shop: dict[str, Any]) -> None:
    with opened() as services, write(services.sessions) as session:
        for _ in range(50):
            issue_key(session, services.clock, client_id=shop["client"], name="more")
    assert len(call("key", "list", "--json").json["keys"]) == 51


def test_a_member_is_exported_by_number_key_or_address(
    call: Call, shop: dict[str, Any], people: Path
) -> None:
    call("import", str(people))
    for who in ("1", "ana@people.example", "ANA@people.example"):
        told = json.loads(call("member", "export", who).out)
        assert (told["member_id"], "ana@people.example" in str(told)) == (1, True)
    assert actions(call)[0] == "read.member.export"
    assert call("member", "export", "nobody@people.example").code == 1


def test_migrating_twice_says_the_same(call: Call) -> None:
    assert call("migrate", "--check").code == 1
    assert call("migrate").code == 0
    assert call("migrate", "--check", "--json").json["before"] == schema.head()


def test_a_dry_run_says_what_an_import_then_does(
    call: Call, shop: dict[str, Any], people: Path
) -> None:
    options = ("--map", "Town=attributes.city", "--json")

    rehearsed = call("import", str(people), "--dry-run", *options)
    nobody = call("segment", "count", "everyone", "--json").json
    done = call("import", str(people), *options)

    assert nobody["members"] == 0
    assert (rehearsed.code, done.code) == (4, 4), "4: a row was rejected"
    for name in ("rows", "created", "updated", "unchanged", "rejected"):
        assert rehearsed.json[name] == done.json[name]
    assert done.json["created"] == 2
    assert "ignored" not in done.json
    assert call("import", str(people), "--dry-run", "--json").json["ignored"] == ["Town"]
    assert "not an address" in people.with_suffix(".rejects.csv").read_text()


def test_a_map_without_a_sign_is_a_usage_error(
    call: Call, shop: dict[str, Any], people: Path
) -> None:
    told = call("import", str(people), "--map", "Town")

    assert told.code == 2
    assert '-> write --map "Header=field"' in told.err


def test_a_rule_is_counted_and_its_people_shown(
    call: Call, shop: dict[str, Any], people: Path
) -> None:
    call("import", str(people), "--map", "Town=attributes.city")

    counted = call("segment", "count", 'attributes.city = "Berlin"', "--json").json
    shown = call("segment", "show", 'tier = "elite"', "--json").json
    wrong = call("segment", "count", "teir = elite")

    assert (counted["members"], counted["email"]) == (1, 1)
    assert [one["first_name"] for one in shown["members"]] == ["Ana"]
    assert wrong.code == 1
    assert "tier" in wrong.err, "the nearest name is offered"


def test_a_person_is_found_by_id_and_by_address(
    call: Call, shop: dict[str, Any], people: Path
) -> None:
    call("import", str(people))

    by_address = call("member", "show", "Ana@people.example", "--json").json

    assert by_address["first_name"] == "Ana"
    assert call("member", "show", str(by_address["id"]), "--json").json == by_address
    assert call("member", "show", "nobody@people.example").code == 1


def test_people_are_searched_merged_and_parted(
    call: Call, shop: dict[str, Any], people: Path
) -> None:
    call("import", str(people))
    ana, bo = (
        call("member", "search", name, "--json").json["members"][0]["id"] for name in ("an", "bo")
    )

    done = call("member", "merge", str(ana), str(bo), "--yes", "--json").json
    assert (done["survivor"], done["absorbed"]) == (ana, bo)
    assert call("member", "show", str(bo)).code == 1
    assert call("member", "merge", str(ana)).code != 0
    assert "merge" in call("member", "why", str(ana), "--all").out
    assert call("member", "merge", "--undo", str(done["merge"]), "--json").json["undone_at"]
    assert call("member", "show", str(bo), "--json").json["first_name"] == "Bo"
    assert call("member", "why", str(bo), "--json").json == {"entries": []}


def test_a_suppressed_address_is_said_to_be(call: Call, shop: dict[str, Any]) -> None:
    assert call("suppress", "check", "email", "ana@people.example").code == 0

    call("suppress", "add", "email", "Ana@People.example", "--scope", "marketing")

    checked = call("suppress", "check", "email", "ana@people.example", "--json")
    assert checked.code == 1
    assert (checked.json["suppressed_marketing"], checked.json["suppressed_all"]) == (True, False)
    assert "ana@people.example" not in checked.out


def test_keys_and_users_are_made(call: Call, shop: dict[str, Any]) -> None:
    key = call("key", "new", "--name", "Checkout")
    user = call("user", "add", "Mia@shop.example", "--role", "admin", "--json")

    assert key.out.startswith("ex_")
    assert user.json["email"] == "mia@shop.example"
    again = call("user", "reset-password", "mia@shop.example", "--json")
    assert again.json["password"] != user.json["password"]
    top = call("user", "add", "top@shop.example", "--role", "super_admin", "--json")
    assert top.json["client"] is None
    assert call("user", "reset-password", "nobody@shop.example").code == 1


def test_an_empty_shop_has_empty_lists(call: Call, shop: dict[str, Any]) -> None:
    assert call("campaign", "list").out.strip() == "(none)"
    assert call("log", "tail", "--json").out == ""
    assert call("log", "show", "1").code == 1


def test_the_doctor_is_calm_about_a_fresh_shop(call: Call, shop: dict[str, Any]) -> None:
    told = call("doctor", "--json")

    states = {one["name"]: one["state"] for one in told.json["checks"]}
    assert told.code == 0
    assert (states["Database"], states["Schema"], states["Secret key"]) == ("ok", "ok", "ok")


def test_the_doctor_says_how_to_begin_and_makes_nothing(call: Call, tmp_path: Path) -> None:
    told = call("doctor")

    assert told.code == 1
    assert "-> echelonx init" in told.out
    assert list(tmp_path.glob("*.db")) == []


def test_the_doctor_refuses_a_key_that_others_can_read(
    call: Call, shop: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "secret.key").chmod(0o644)

    told = call("doctor")

    assert told.code == 1
    assert "-> chmod 600" in told.out


def test_the_doctor_names_an_unknown_setting(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECHELONX_THRAEDS", "4")

    told = call("doctor", "--json")

    assert told.code == 1
    assert "ECHELONX_THREADS" in json.dumps(told.json)


def test_tables_align_and_facts_leave_out_what_is_empty() -> None:
    assert table(("a", "n"), [("x", 1), ("yy", 1000)]) == "a       n\nx       1\nyy  1,000"
    assert table(("id",), [(1000,)]) == "  id\n1000", "an id can be given back to a command"
    assert facts({"name": "Ana", "tier": None}) == "name  Ana"


def test_an_export_is_a_file_that_can_be_imported_again(
    call: Call, shop: dict[str, Any], people: Path, tmp_path: Path
) -> None:
    call("import", str(people), "--map", "Town=attributes.city")
    target = tmp_path / "out.csv"

    told = call("export", str(target), "--segment", 'tier = "elite"', "--json")

    assert told.json["rows"] == 1
    again = call("import", str(target), "--json")
    assert (again.code, again.json["created"], again.json["unchanged"]) == (0, 0, 1)
