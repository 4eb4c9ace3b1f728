"""Mirrors accounts/permission.py."""

from pathlib import Path

import pytest

from accounts.permission import PERMISSIONS, allowed, checked_actions, reference, within
from accounts.user import Role
from core.errors import InvalidError

PAGE = Path(__file__).parents[2] / "docs/reference/permissions.md"


def test_the_permissions_page_is_the_table() -> None:
    assert PAGE.read_text("utf-8") == reference(), (
        "accounts/permission.py changed; write the page anew:\n  .venv/bin/python -c "
        "'from accounts.permission import reference; print(reference(), end=str())'"
        " > docs/reference/permissions.md"
    )


def test_each_role_may_more_than_the_one_below() -> None:
    user, manager, admin, top = (
        allowed(role) for role in (Role.USER, Role.MANAGER, Role.ADMIN, Role.SUPER_ADMIN)
    )

    assert user < manager < admin < top == PERMISSIONS.keys()


@pytest.mark.parametrize(
    "action",
    ["campaigns:launch", "journeys:launch", "exports:write", "members:erase", "members:write",
     "api_keys:read", "providers:read", "users:write", "imports:write"],
)  # fmt: skip
def test_a_user_reads_and_drafts(action: str) -> None:
    assert action not in allowed(Role.USER)
    assert {"segments:write", "templates:write", "campaigns:write"} <= allowed(Role.USER)


def test_single_actions_are_added_but_none_beyond_the_client() -> None:
    assert "campaigns:launch" in allowed(Role.USER, ["campaigns:launch"])
    assert allowed(Role.USER, ["clients:write", "nonsense:write"]) == allowed(Role.USER)
    assert checked_actions(["campaigns:launch"] * 2, field="permissions") == ["campaigns:launch"]
    for name in ("clients:write", "nonsense:write", "*"):
        with pytest.raises(InvalidError):
            checked_actions([name], field="permissions")


def test_a_key_holds_what_its_scopes_and_its_owner_have_in_common() -> None:
    admin = allowed(Role.ADMIN)

    assert "members:read" in within(["read"], admin)
    assert not {"members:write", "api_keys:read"} & within(["read"], admin)
    assert "campaigns:launch" in within(["write"], admin)
    named = {"messages:resolve", "members:erase", "api_keys:write", "users:write", "members:read"}
    assert not named & within(["write"], admin)
    assert within(["*"], admin) == admin - {"me:write"}
    assert within(["members:write", "members:read"], allowed(Role.USER)) == {
        "members:read", "me:read",
    }  # fmt: skip
