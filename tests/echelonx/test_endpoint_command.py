"""Mirrors echelonx/commands/endpoint.py."""

from typing import Any

from tests.echelonx.conftest import Call

URL = "https://crm.example.com/hook"


def test_from_an_endpoint_to_its_log(call: Call, shop: dict[str, Any]) -> None:
    assert call("endpoint", "list").out.strip() == "(none)"
    assert call("endpoint", "add", "http://crm.example.com/hook").code == 1
    assert "there is no event type" in call("endpoint", "add", URL, "-t", "all").err
    added = call("endpoint", "add", URL, "-t", "member.*", "--json").json
    assert added["secret"].startswith("whsec_")
    assert added["secret"] not in call("endpoint", "list", "--json").out

    assert "A worker sends it" in call("endpoint", "test", "1").err
    (row,) = call("endpoint", "deliveries", "1", "--state", "waiting", "--json").json
    assert (row["type"], row["tries"]) == ("endpoint.test", 0)
    since = call("endpoint", "replay", "1", "--since", "2026-01-01", "--json").json
    assert since == {"replayed": 0}
    assert "waits for its turn" in call("endpoint", "replay", "1", "--id", str(row["id"])).err
    assert call("endpoint", "replay", "1").code == 2
    assert call("endpoint", "deliveries", "7").code == 1
