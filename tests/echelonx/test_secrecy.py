"""F39 for the command line: what it prints to be kept goes to standard output, and to no log."""

from pathlib import Path
from typing import Any

import pytest

from tests.echelonx.conftest import Call

MEMBER, PHONE = "ana.planted@example.com", "+12015550123"
URL = "https://crm.example.com/planted"


def test_what_commands_show_once_is_in_no_log(
    call: Call, shop: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ECHELONX_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("ECHELONX_LOG_FORMAT", "json")
    people = tmp_path / "people.csv"
    people.write_text(f"email,phone\n{MEMBER},{PHONE}\nplanted,planted\n")
    told = [
        call(*command)
        for command in (
            ("key", "new", "--name", "k", "--json"),
            ("user", "reset-password", "me@shop.example", "--json"),
            ("user", "invite", "bo.planted@shop.example", "--json"),
            ("endpoint", "add", URL, "-t", "*", "--json"),
            ("import", str(people), "--json"),
            ("export", "out.csv", "--json"),
            ("audit", "verify", "--json"),
        )
    ]

    assert [one.code for one in told] == [0, 0, 0, 0, 4, 0, 0]
    key, password, invited, hook, *_ = [one.json for one in told]
    secrets = {key["key"], password["password"], invited["link"], hook["secret"]}
    said = "".join(one.err for one in told)
    assert not [word for word in ("planted", PHONE, *secrets) if word in said], said
