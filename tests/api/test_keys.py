"""Mirrors api/keys.py."""

from core.clock import ManualClock
from tests.api.caller import Caller, pointers, refused


def test_a_key_is_shown_once_and_works(api: Caller) -> None:
    made = api.post("/api-keys", {"name": "shop", "scopes": ["read"]})

    assert made["key"].startswith(made["prefix"])
    listed = api.get("/api-keys")["data"]
    assert [one["name"] for one in listed] == ["shop", "tests"]
    assert "key" not in listed[0]
    assert "key_hash" not in listed[0]
    assert Caller(api.http, made["key"]).get("/members")["data"] == []


def test_a_revoked_key_is_still_listed(api: Caller) -> None:
    made = api.post("/api-keys", {"name": "shop"})

    api.delete(f"/api-keys/{made['id']}")

    assert api.get("/api-keys")["data"][0]["revoked_at"] is not None
    refused(Caller(api.http, made["key"]).ask("GET", "/members"), 401)
    refused(api.ask("DELETE", "/api-keys/77"), 404)


def test_a_key_is_named_anew_and_works_on(api: Caller) -> None:
    made = api.post("/api-keys", {"name": "shop", "scopes": ["read"]})
    path = f"/api-keys/{made['id']}"

    renamed = api.patch(path, {"name": "front"})

    del made["key"]
    assert renamed == api.get(path) == {**made, "name": "front"}
    for wrong, pointer in (({}, "/name"), ({"name": " "}, "/name"), ({"scopes": ["*"]}, "/scopes")):
        assert pointer in pointers(refused(api.ask("PATCH", path, wrong), 422))
    refused(api.ask("PATCH", "/api-keys/77", {"name": "x"}), 404)


def test_bad_keys_are_refused_by_field(api: Caller, clock: ManualClock) -> None:
    for body, pointer in (
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": " "}, "/name"),
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "scopes": ["everything"]}, "/scopes/0"),
        ({"name": "x", "expires_at": clock.now().isoformat()}, "/expires_at"),
        ({"name": "x", "expires_at": "tomorrow"}, "/expires_at"),
        ({"name": "x", "expires_at": "2027-01-01T00:00:00"}, "/expires_at"),
    ):
        assert pointers(refused(api.ask("POST", "/api-keys", body), 422)) == {pointer}
