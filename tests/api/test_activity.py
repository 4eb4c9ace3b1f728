"""Mirrors api/activity.py."""

from typing import Any

import pytest

from core.clock import ManualClock
from core.db import write
from echelonx.wiring import Services
from tests.api.caller import Caller, pointers, refused
from tests.api.conftest import CallerOf
from webhooks.dropped import Drop, note_drops


def event(number: int, **other: Any) -> dict[str, Any]:
    given = {"name": "purchase", "message_id": f"m{number}", "person": {"email": "ana@example.com"}}
    return given | other


def test_events_are_tracked_once_and_listed(api: Caller) -> None:
    first = api.post(
        "/events", {"events": [event(1, properties={"total": 9.5}), event(3, person={})]}
    )
    again = api.post("/events", {"events": [event(1), event(2)]})

    assert (first["new"], first["duplicates"]) == (1, 0)
    assert [(one["index"], one["error"]["pointer"]) for one in first["rejected"]] == [
        (1, "/events/1/person")
    ]
    assert (again["new"], again["duplicates"]) == (1, 1)
    member = api.get("/members", email="ana@example.com")["data"][0]
    page = api.get(f"/members/{member['id']}/events", limit=1)
    more = api.get(f"/members/{member['id']}/events", limit=1, cursor=page["next_cursor"])
    assert [one["message_id"] for one in page["data"] + more["data"]] == ["m2", "m1"]
    assert more["data"][0]["amount"] == "9.5000"


def test_a_bad_event_does_not_refuse_the_good_ones(api: Caller) -> None:
    nameless, nobody = event(2), event(4)
    del nameless["name"], nobody["person"]
    wrong = {
        "events": [
            event(1), nameless, event(3, person={"email": "gus@@example.com"}), nobody,
            "no object", event(5, occurred_at="yesterday", surprise=1), event(6), event(1),
        ]
    }  # fmt: skip

    told = api.post("/events", wrong)

    assert (told["new"], told["duplicates"]) == (2, 1)
    errors = [one["error"] for one in told["rejected"]]
    assert [one["index"] for one in told["rejected"]] == [1, 2, 3, 4, 5]
    assert [one["pointer"].removeprefix("/events") for one in errors] == [
        "/1/name", "/2/person/email", "/3/person", "/4", "/5/occurred_at",
    ]  # fmt: skip
    assert errors[0]["detail"] == "name is missing"
    assert "there is no field surprise here" in errors[4]["detail"]
    assert all(one["remedy"] and one["code"] == "invalid" for one in errors)
    [ana] = api.get("/members", email="ana@example.com")["data"]
    kept = api.get(f"/members/{ana['id']}/events")["data"]
    assert {one["message_id"] for one in kept} == {"m1", "m6"}


def test_events_none_of_which_can_be_kept_are_refused(api: Caller) -> None:
    problem = refused(
        api.ask("POST", "/events", {"events": [event(1, name=""), event(2, person={})]}), 422
    )

    assert pointers(problem) == {"/events/0/name", "/events/1/person"}
    assert api.get("/members")["data"] == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/events"),
        ({"events": []}, "/events"),
        ({"events": [event(n) for n in range(501)]}, "/events"),
        ({"events": [event(1, name="")]}, "/events/0/name"),
        ({"events": [event(1, surprise=1)]}, "/events/0/surprise"),
    ],
)
def test_a_set_that_cannot_be_read_is_refused_whole(
    body: dict[str, Any], pointer: str, api: Caller
) -> None:
    assert pointers(refused(api.ask("POST", "/events", body), 422)) == {pointer}


def test_orders_and_refunds_count_once(api: Caller) -> None:
    ana = api.post("/members", {"email": "ana@example.com"})["id"]
    order = {"member_id": ana, "order_id": "A-1", "amount": "49.90", "currency": "EUR"}
    first = api.post("/orders", order)
    again = api.post("/orders", order)
    back = api.post("/orders/A-1/refund", {"refund_id": "R-1"})

    assert (first["new"], again["new"]) == (True, False)
    assert (back["kind"], back["amount"], back["refund_of"]) == ("refund", "-49.9000", "A-1")
    assert api.get(f"/members/{ana}")["total_spend"] == "0.0000"
    refused(api.ask("POST", "/orders", order | {"amount": "50"}), 409)
    refused(api.ask("POST", "/orders", order | {"order_id": "A-2", "amount": "-1"}), 422)
    refused(api.ask("POST", "/orders/A-9/refund", {"refund_id": "R-2"}), 404)


@pytest.mark.parametrize(
    "member",
    [
        {"member_id": "C-7"},
        {"member_id": " c-7 "},
        {"email": "ana@Example.com"},
        {"phone": "+1 201 555 0123"},
    ],
)
def test_an_order_names_its_member_as_an_event_does(member: dict[str, str], api: Caller) -> None:
    ana = api.post(
        "/members", {"member_id": "C-7", "email": "ana@example.com", "phone": "+12015550123"}
    )["id"]
    order = {"order_id": "A-1", "amount": "49.90", "currency": "EUR"}

    assert api.post("/orders", order | {"member": member})["member_id"] == ana
    assert api.post("/orders", order | {"member": {"id": ana}})["new"] is False
    assert api.post("/orders", order | {"member_id": ana})["new"] is False


def test_an_order_of_somebody_new_makes_a_member_and_one_of_nobody_is_refused(api: Caller) -> None:
    order = {"order_id": "A-1", "amount": "5", "currency": "EUR"}

    made = api.post("/orders", order | {"member": {"email": "new@example.com"}})

    assert api.get(f"/members/{made['member_id']}")["email"] == "new@example.com"
    for wrong, pointer in (
        ({}, "/member"),
        ({"member": {}}, "/member"),
        ({"member": {"email": "new@example.com"}, "member_id": 1}, "/member"),
        ({"member": {"email": "gus@@example.com"}}, "/member/email"),
        ({"member": {"anonymous_id": "x"}}, "/member/anonymous_id"),
    ):
        problem = refused(api.ask("POST", "/orders", order | {"order_id": "A-2"} | wrong), 422)
        assert pointers(problem) == {pointer}
    refused(api.ask("POST", "/orders", order | {"order_id": "A-2", "member": {"id": 999}}), 404)


def test_referrals_are_a_tree_with_revenue(api: Caller) -> None:
    ana, ben = (api.post("/members", {"email": f"{n}@example.com"})["id"] for n in ("ana", "ben"))
    assert api.get(f"/members/{ana}/referrals")["code"] is None
    code = api.post(f"/members/{ana}/referral-code", {})["code"]

    api.post(f"/members/{ben}/referrer", {"code": code})
    order = {"member_id": ben, "order_id": "B-1", "amount": "100", "currency": "EUR"}
    api.post("/orders", order)

    found = api.get(f"/members/{ana}/referrals")
    assert found["levels"] == [{"depth": 1, "members": 1, "bought": 1, "revenue": "100.0000"}]
    assert (found["code"], found["commission"], found["currency"]) == (code, "10.0000", "EUR")
    refused(api.ask("POST", f"/members/{ana}/referrer", {"code": code}), 409)


def test_dropped_events_are_told_to_their_client_alone(
    api: Caller, stranger: Caller, product: Services, clock: ManualClock, client_id: int
) -> None:
    drop = Drop("track", "nobody", "give userId or anonymousId", "m1")
    with write(product.sessions) as session:
        note_drops(session, clock, client_id=client_id, drops=[drop])

    assert [one["reason"] for one in api.get("/dropped-events")["data"]] == ["nobody"]
    assert stranger.get("/dropped-events")["data"] == []


def test_a_write_key_tells_events_and_nothing_else(caller_of: CallerOf, client_id: int) -> None:
    site = caller_of(client_id, scopes=("events:write",))

    refused(site.ask("GET", "/members"), 403)
    refused(site.ask("POST", "/orders", {}), 403)
    refused(site.ask("POST", "/api-keys", {}), 403)
