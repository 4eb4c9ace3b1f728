"""Mirrors api/members.py."""

from communications.queries import communication
from communications.status import Status
from core.db import Sessions, read
from tests.api.caller import Caller, pointers, refused, remedies
from tests.factories import Factory

ANA = {
    "member_id": "Shop-1",
    "first_name": "Ana",
    "email": "Ana@Example.COM",
    "phone": "(201) 555-0123",
    "tier": "premium",
    "total_spend": "12.50",
    "date_of_birth": "1990-01-31",
    "timezone": "Europe/Berlin",
    "attributes": {"city": "Berlin", "visits": 3},
    "tags": ["VIP"],
    "consents": [{"channel": "email", "state": "granted", "wording": "Yes, please"}],
}


def test_a_member_comes_back_in_normal_form(api: Caller) -> None:
    made = api.post("/members", ANA)

    assert made["member_id"] == "shop-1"
    assert made["email"] == "ana@example.com"
    assert made["phone"] == "+12015550123"
    assert made["full_name"] == "Ana"
    assert made["total_spend"] == "12.5000"
    assert made["attributes"] == {"city": "Berlin", "visits": 3}
    assert made["tags"] == ["vip"]
    assert made["version"] == 1
    assert {(a["channel"], a["value"]) for a in made["addresses"]} == {
        ("email", "ana@example.com"),
        ("sms", "+12015550123"),
    }
    assert made["consents"][0]["state"] == "granted"
    assert api.get(f"/members/{made['id']}") == made


def test_a_taken_member_id_is_a_conflict(api: Caller) -> None:
    api.post("/members", ANA)

    problem = refused(api.ask("POST", "/members", {"member_id": "SHOP-1"}), 409)

    assert pointers(problem) == {"/member_id"}
    assert remedies(problem)


def test_bad_details_are_refused_by_field(api: Caller) -> None:
    for field, value in {
        "email": "nobody",
        "phone": "12345",
        "timezone": "Mars/North",
        "tier": "gold",
        "total_spend": "1e400",
        "last_active": "9999-12-31T23:59:59-12:00",
        "date_of_birth": "31.01.1990",
        "tags": ["x" * 65],
        "first_name": "x" * 101,
    }.items():
        problem = refused(api.ask("POST", "/members", {field: value}), 422)
        assert {one.split("/")[1] for one in pointers(problem)} == {field}


def test_a_change_keeps_the_rest(api: Caller) -> None:
    made = api.post("/members", ANA)

    changed = api.patch(f"/members/{made['id']}", {"last_name": "Li", "attributes": {"size": "M"}})

    assert changed["last_name"] == "Li"
    assert changed["email"] == made["email"]
    assert changed["attributes"] == {"city": "Berlin", "visits": 3, "size": "M"}
    assert changed["version"] > made["version"]


def test_null_empties_a_field(api: Caller) -> None:
    made = api.post("/members", ANA)

    assert api.patch(f"/members/{made['id']}", {"timezone": None})["timezone"] is None


def test_a_member_id_cannot_change(api: Caller) -> None:
    made = api.post("/members", ANA)

    refused(api.ask("PATCH", f"/members/{made['id']}", {"member_id": "other"}), 422)


def test_members_are_found_by_email_and_by_their_own_id(api: Caller) -> None:
    made = api.post("/members", ANA)
    api.post("/members", {"member_id": "shop-2"})

    assert api.get("/members", email="ANA@example.com")["data"] == [made]
    assert api.get("/members", member_id=" shop-1 ")["data"] == [made]
    assert api.get("/members", member_id="nobody")["data"] == []
    assert api.get("/members", email="nobody@example.com")["data"] == []


def test_members_are_found_by_a_rule(api: Caller) -> None:
    made = api.post("/members", ANA)
    api.post("/members", {"member_id": "shop-2"})

    assert [m["id"] for m in api.get("/members", match='has tag "vip"')["data"]] == [made["id"]]
    problem = refused(api.ask("GET", "/members", match='has tga "vip"'), 422)
    assert "tag" in remedies(problem)


def test_two_filters_at_once_are_refused(api: Caller) -> None:
    answer = api.ask("GET", "/members", email="a@example.com", member_id="7")

    assert pointers(refused(answer, 422)) == {"query:/member_id"}


def test_a_withdrawn_consent_is_the_last_word(api: Caller) -> None:
    made = api.post("/members", ANA)

    after = api.post(f"/members/{made['id']}/consents", {"channel": "email", "state": "withdrawn"})

    assert [(c["channel"], c["state"]) for c in after["consents"]] == [("email", "withdrawn")]


def test_a_deleted_member_is_gone_and_gets_nothing(
    api: Caller, make: Factory, sessions: Sessions
) -> None:
    made = api.post("/members", ANA)
    waiting = make.message(made["id"], status=Status.QUEUED, rank=0, sent_at=None)

    api.delete(f"/members/{made['id']}")

    refused(api.ask("GET", f"/members/{made['id']}"), 404)
    assert api.get("/members")["data"] == []
    with read(sessions) as session:
        row = communication(session, make.client_id, waiting)
        assert (row.status, row.reason) == ("skipped", "member_deleted")
    assert api.post("/members", ANA)["id"] != made["id"]
