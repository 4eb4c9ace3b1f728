"""Mirrors api/tiers.py."""

from typing import Any

import pytest

from core.clock import ManualClock
from tests.api.caller import Caller, good, pointers, refused

RULES = {
    "rules": [
        {"tier": "premium", "text": "total_spend >= 100", "grace_days": 10},
        {"tier": "elite", "rule": {"field": "total_spend", "op": ">=", "value": 1000}},
    ]
}


def spender(api: Caller, key: str, amount: str) -> dict[str, Any]:
    member = api.post("/members", {"member_id": key})
    order = {"member_id": member["id"], "order_id": key, "amount": amount, "currency": "EUR"}
    api.post("/orders", order)
    return member


def put(api: Caller, path: str, body: Any) -> Any:
    return good(api.ask("PUT", path, body))


def test_rules_are_shown_as_they_were_put(api: Caller) -> None:
    shown = put(api, "/tiers", RULES)

    assert shown == api.get("/tiers")
    tiers = {one["tier"]: one for one in shown["tiers"]}
    assert list(tiers) == ["executive", "elite", "premium", "basic"]
    assert tiers["elite"]["text"] == "total_spend >= 1000"
    assert (tiers["elite"]["grace_days"], tiers["premium"]["grace_days"]) == (30, 10)
    assert tiers["basic"]["rule"] is None


def test_an_evaluation_counts_first_and_then_does_it(api: Caller) -> None:
    put(api, "/tiers", RULES)
    ana = spender(api, "ana", "150")
    spender(api, "bo", "90")
    counted = api.post("/tiers/evaluate", {})

    assert counted["dry_run"] is True
    assert counted["changed"] == [{"from_tier": "basic", "to_tier": "premium", "members": 1}]
    assert api.get(f"/members/{ana['id']}")["tier"] == "basic"
    assert api.post("/tiers/evaluate", {"dry_run": False})["changed"] == counted["changed"]
    assert api.get(f"/members/{ana['id']}")["tier"] == "premium"
    assert api.post("/tiers/evaluate", {"dry_run": False})["changed"] == []
    (change,) = api.get(f"/members/{ana['id']}/tier-history")["data"]
    assert (change["reason"], change["rule"]) == ("rule", "total_spend >= 100")


def test_a_tier_is_given_by_hand_and_locked(api: Caller) -> None:
    put(api, "/tiers", RULES)
    ana = api.post("/members", {"member_id": "ana"})
    body = {"tier": "elite", "locked": True, "note": "a friend of the house"}

    assert put(api, f"/members/{ana['id']}/tier", body)["tier"] == "elite"
    assert api.post("/tiers/evaluate", {"dry_run": False})["locked"] == 1
    (change,) = api.get(f"/members/{ana['id']}/tier-history")["data"]
    assert change["note"] == "a friend of the house"
    assert change["actor"].startswith("key:")


def test_who_is_near_and_who_falls_page_by_page(api: Caller, clock: ManualClock) -> None:
    put(api, "/tiers", RULES)
    near = [spender(api, f"n{n}", "85")["id"] for n in range(3)]
    fallen = [spender(api, f"f{n}", "150")["id"] for n in range(3)]
    first = api.get("/tiers/near", tier="premium", limit=2)
    rest = api.get("/tiers/near", tier="premium", limit=2, cursor=first["next_cursor"])
    assert [one["id"] for one in first["data"] + rest["data"]] == near

    api.post("/tiers/evaluate", {"dry_run": False})
    for n in range(3):
        api.post(f"/orders/f{n}/refund", {"refund_id": f"r{n}"})
    api.post("/tiers/evaluate", {"dry_run": False})
    first = api.get("/tiers/falling", limit=2)
    rest = api.get("/tiers/falling", limit=2, cursor=first["next_cursor"])
    assert [one["id"] for one in first["data"] + rest["data"]] == fallen
    assert rest["next_cursor"] is None
    assert rest["data"][0]["falls_at"] == "2026-12-01T12:00:00+00:00"


GOOD = {"tier": "premium", "text": "everyone"}


@pytest.mark.parametrize(
    ("rules", "where"),
    [
        ([{"tier": "elite"}], "/rules/0/rule"),
        ([{"tier": "gold", "text": "everyone"}], "/rules/0/tier"),
        ([{"tier": "elite", "text": "everyone", "grace_days": -1}], "/rules/0/grace_days"),
        ([GOOD, {"tier": "elite", "text": "evryone"}], "/rules/1/text"),
        ([GOOD, {"tier": "elite", "rule": {"not": {}}}], "/rules/1/rule/not"),
        ([{"tier": "elite", "text": 'tier = "premium"'}], "/rules/0/text"),
        ([GOOD, GOOD], "/rules"),
    ],
)
def test_rules_that_cannot_be_are_refused(api: Caller, rules: Any, where: str) -> None:
    assert pointers(refused(api.ask("PUT", "/tiers", {"rules": rules}), 422)) == {where}


@pytest.mark.parametrize("cursor", ["x", "WzFd", "WyIyMDI2IiwxXQ", "WzEsMl0"])
def test_a_cursor_of_another_list_is_refused(api: Caller, cursor: str) -> None:
    refused(api.ask("GET", "/tiers/falling", cursor=cursor), 422)
    refused(api.ask("GET", "/tiers/near", tier="basic"), 422)
