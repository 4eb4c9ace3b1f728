"""Mirrors accounts/permission.py: every operation, for every role, at the own and another client.

B042. `matrix.csv` has a line for each operation, so that whoever changes what a role may do sees it
in the review; ECHELONX_TEST_WRITE=1 writes it anew.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask

from accounts.permission import RANKS, allowed
from accounts.user import Role
from api.openapi import OPEN, PREFIX
from core.clock import ManualClock
from core.db import Sessions
from tests.api.caller import Caller
from tests.api.conftest import CallerOf
from tests.api.test_auth import person
from tests.api.test_register import BODIES, snapshot

MATRIX = Path(__file__).with_name("matrix.csv")
ROLES = list(RANKS)


class Operation(NamedTuple):
    """One method of one route."""

    path: str
    method: str
    action: str

    def at(self, ids: dict[str, Any]) -> str:
        """Return the path with ids filled in; what `ids` does not name is 1."""
        return re.sub(r"<(\w+)>", lambda found: str(ids.get(found[1], 1)), self.path)

    @property
    def body(self) -> Any:
        """What a good request sends, where that is known."""
        return BODIES.get(self.path, {}) if self.method in ("POST", "PATCH", "PUT") else None


def operations(app: Flask) -> Iterator[Operation]:
    """Every operation that asks who calls; what takes away comes last."""
    found = [
        Operation(
            re.sub(r"<[^>]*:(\w+)>", r"<\1>", rule.rule.removeprefix(PREFIX)),
            method,
            getattr(app.view_functions[rule.endpoint], "action", ""),
        )
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(PREFIX)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]
    asking = [one for one in found if one.action != OPEN]
    return iter(sorted(asking, key=lambda one: (one.method == "DELETE", one)))


def test_the_matrix_says_who_may_do_what(app: Flask) -> None:
    lines = ["path,method,action," + ",".join(ROLES)]
    for one in sorted(operations(app)):
        may = ["yes" if one.action in allowed(role) else "no" for role in ROLES]
        lines.append(",".join([*one, *may]))
    table = "\n".join(lines) + "\n"
    if "ECHELONX_TEST_WRITE" in os.environ:
        MATRIX.write_text(table)

    assert MATRIX.read_text() == table, "ECHELONX_TEST_WRITE=1 writes it anew; read the diff"


@pytest.mark.parametrize("role", ROLES)
def test_who_has_a_role_may_what_the_matrix_says_and_no_more(
    app: Flask,
    caller_of: CallerOf,
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    owned: dict[str, Any],
    role: Role,
) -> None:
    caller = caller_of(client_id, user_id=person(sessions, clock, client_id, role))
    wrong = []
    for one in operations(app):
        if one.action.startswith("me:"):
            continue  # of persons, not of keys: tests/api/test_me.py
        status = caller.ask(one.method, one.at(owned), one.body).status_code
        if (status == 403) == (one.action in allowed(role)) or status == 401 or status >= 500:
            wrong.append((one, status))

    assert wrong == []


@pytest.mark.parametrize("role", [role for role in ROLES if role is not Role.SUPER_ADMIN])
def test_whatever_the_role_nothing_of_another_client_is_reached(
    app: Flask,
    api: Caller,
    stranger: Caller,
    caller_of: CallerOf,
    sessions: Sessions,
    clock: ManualClock,
    owned: dict[str, Any],
    role: Role,
) -> None:
    del stranger  # whose client is the second
    caller = caller_of(2, user_id=person(sessions, clock, 2, role))
    before = snapshot(api)
    wrong = []
    for one in operations(app):
        if "<" in one.path and not one.action.startswith("me:"):
            status = caller.ask(one.method, one.at(owned), one.body).status_code
            if status not in ((404, 422) if one.action in allowed(role) else (403,)):
                wrong.append((one, status))

    assert wrong == []
    assert snapshot(api) == before
