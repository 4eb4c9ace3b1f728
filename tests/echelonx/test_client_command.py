"""Mirrors echelonx/commands/client.py."""

import json
import re
import shlex
import stat
import zipfile
from pathlib import Path
from typing import Any

from tests.echelonx.conftest import Call


def test_clients_are_added_listed_shown_and_given_tiers(call: Call, shop: dict[str, Any]) -> None:
    made = call("client", "create", "Tea Bakery", "--country", "de", "--json").json

    assert [one["name"] for one in call("client", "list", "--json").json] == [
        shop["name"], "Tea Bakery",
    ]  # fmt: skip
    found = call("client", "list", "--search", "BAKERY", "--tier", "basic", "--json").json
    assert [one["id"] for one in found] == [made["client"]]
    assert call("client", "show", str(made["client"]), "--json").json["country"] == "DE"
    assert "Tea Bakery" in call("client", "list").out
    tier = ("client", "tier", "premium", "--client", str(made["client"]), "--json")
    assert [call(*tier).json["changed"], call(*tier).json["changed"]] == [True, False]
    assert call("client", "create", " ").code == 1
    assert call("client", "show", "99").code == 1


def test_usage_and_contracts_are_shown(call: Call, shop: dict[str, Any]) -> None:
    used = call("client", "usage", "--json").json

    assert used["months"] == []
    assert used["this_month"] == {
        "settled": [], "estimated": "0", "limit": None, "near": False, "reached": False,
    }  # fmt: skip
    assert (used["members"], used["campaigns"]) == (0, 0), "named as the API names them"
    assert "of no limit" in call("client", "usage").out
    assert call("client", "expiring", "--json").json == []
    assert "(none)" in call("client", "expiring").out


def test_an_export_is_everything_but_the_secrets(
    call: Call, shop: dict[str, Any], tmp_path: Path
) -> None:
    other = call("client", "create", "Other", "--json").json["client"]
    path = tmp_path / "shop.zip"

    told = call("client", "export", str(path), "--client", str(shop["client"]), "--json").json

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        tables = {
            name: [json.loads(line) for line in archive.read(name).splitlines()]
            for name in archive.namelist()
            if name.endswith(".jsonl")
        }
    assert {name: len(rows) for name, rows in tables.items()} == {
        f"{name}.jsonl": each["rows"] for name, each in manifest["tables"].items()
    }
    assert told["rows"] == sum(map(len, tables.values()))
    assert [row["id"] for row in tables["clients.jsonl"]] == [shop["client"]]
    assert "email" in manifest["tables"]["clients"]["personal"]
    (key,) = tables["api_keys.jsonl"]
    assert "key_hash" not in key
    assert [row["action"] for row in tables["audit_log.jsonl"]][-1] == "client.export"
    assert other not in {row.get("client_id") for rows in tables.values() for row in rows}


def test_the_commands_of_the_page_work(call: Call, shop: dict[str, Any]) -> None:
    call("client", "create", "Second")
    page = Path(__file__).parents[2] / "docs/reference/users-and-clients.md"
    (block,) = re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)

    for line in block.splitlines():
        name, *arguments = shlex.split(line)
        assert (name, call(*arguments).code) == ("echelonx", 0), line
