"""Mirrors echelonx/commands/user.py."""

from typing import Any

import pytest

from tests.echelonx.conftest import Call

MIA = "mia@shop.example"


def test_users_are_listed_given_roles_suspended_and_let_in_again(
    call: Call, shop: dict[str, Any]
) -> None:
    call("user", "add", MIA, "--role", "admin")
    other = str(call("client", "create", "Other", "--json").json["client"])
    here = ("--client", str(shop["client"]))

    def told(*filters: str) -> list[tuple[str, str]]:
        found = call("user", "list", "--search", "mia", "--json", *filters).json
        return [(one["status"], one["roles"]) for one in found]

    assert call("user", "role", MIA, "user", "--client", other, "--json").json["role"] == "user"
    both = f"{shop['client']}:admin {other}:user"
    assert told() == told("--role", "admin", *here) == [("active", both)]
    assert told("--role", "admin", "--client", other) == []
    assert MIA in call("user", "list").out

    call("user", "add", "max@shop.example", "--role", "admin", *here)
    assert call("user", "suspend", MIA.upper(), "--json").json["status"] == "suspended"
    assert told("--status", "active") == []
    last = call("user", "suspend", "max@shop.example")
    assert last.code == 1
    assert "last admin" in last.err
    assert call("user", "activate", MIA).code == 0
    assert told("--status", "active") == [("active", both)]
    call("user", "suspend", MIA, *here)
    ((status, roles),) = told("--search", "mia")
    assert status == "active"
    assert "(suspended)" in roles
    call("user", "activate", MIA, *here)
    assert call("user", "role", MIA, "super_admin", "--json").json["client"] is None
    assert call("user", "role", "nobody@shop.example", "user", *here).code == 1

    assert "user.update" in call("audit", "list", *here).out
    assert "user.update" in call("audit", "list", "--client", other).out


@pytest.mark.parametrize("role", ["user", "manager"])
def test_somebody_is_invited_by_a_link_to_hand_on(
    call: Call, shop: dict[str, Any], role: str
) -> None:
    made = call("user", "invite", MIA, "--role", role, "--json").json

    assert (made["email"], made["role"]) == (MIA, role)
    assert "/account/invitation?token=" in made["link"]
    assert call("user", "invite", "no address").code == 1
    assert call("user", "invite", MIA, "--role", "super_admin").code == 2
