"""Mirrors api/members.py."""

from communications.communication import Reason
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
    page = api.get(f"/members/{made['id']}")
    assert {name: page[name] for name in made if name != "addresses"} == {
        name: made[name] for name in made if name != "addresses"
    }


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


def test_a_change_of_what_somebody_else_changed_is_refused(api: Caller) -> None:
    made = api.ask("POST", "/members", ANA)
    path = f"/members/{made.get_json()['id']}"
    tag = made.headers["ETag"]
    assert api.ask("GET", path).headers["ETag"].startswith(f"{tag[:-1]}-")

    first = api.ask("PATCH", path, {"location": "Rome"}, headers={"If-Match": tag})
    assert first.status_code == 200
    refused(api.ask("PATCH", path, {"location": "Berlin"}, headers={"If-Match": tag}), 412)
    renewed = {"If-Match": first.headers["ETag"]}
    assert api.ask("PATCH", path, {"location": "Berlin"}, headers=renewed).status_code == 200


def test_a_members_page_shows_what_waits_and_what_forbids(api: Caller, make: Factory) -> None:
    made = api.post("/members", ANA)
    waiting = make.message(made["id"], status=Status.QUEUED, rank=0, sent_at=None)
    api.ask("POST", "/suppressions", {"channel": "sms", "address": ANA["phone"]})
    api.post(f"/members/{made['id']}/external-ids", {"system": "Shopify", "value": "7"})

    page = api.get(f"/members/{made['id']}")

    assert [one["id"] for one in page["upcoming"]] == [waiting]
    assert {a["channel"]: a["suppressed"] for a in page["addresses"]} == {
        "email": None,
        "sms": "all",
    }
    assert page["external_ids"] == [{"system": "shopify", "value": "7"}]


def test_a_list_may_be_counted_narrowed_and_asked_in_json(api: Caller) -> None:
    made = api.post("/members", ANA)
    api.post("/members", {"member_id": "shop-2"})

    rule = '{"field": "tier", "op": "=", "value": "premium"}'
    page = api.get("/members", match=rule, count=True, fields="email, tags")

    assert page["data"] == [
        {"id": made["id"], "version": 1, "email": "ana@example.com", "tags": ["vip"]}
    ]
    assert (page["count"], page["count_is_exact"]) == (1, True)
    assert "count" not in api.get("/members")
    assert "email" in remedies(refused(api.ask("GET", "/members", fields="emial"), 422))
    for wrong in ("{", "{}", '{"field": 1}'):
        assert api.ask("GET", "/members", match=wrong).status_code in (400, 422)


def test_members_are_searched(api: Caller) -> None:
    made = api.post("/members", ANA)

    found = api.get("/members/search", q="an")["data"]
    assert [(one["id"], one["found_by"]) for one in found] == [(made["id"], "name")]
    assert api.get("/members/search", q="nobody")["data"] == []
    refused(api.ask("GET", "/members/search"), 422)


def test_members_are_counted_with_the_list_behind_each_number(api: Caller) -> None:
    api.post("/members", ANA)
    api.post("/members", {"member_id": "shop-2"})

    found = api.get("/members/statistics")

    assert found["total"] == 2
    for group in ("by_status", "by_tier", "reachable", "consented"):
        for figure in found[group]:
            assert len(api.get("/members", match=figure["match"])["data"]) == figure["members"]


def test_addresses_tags_notes_and_history_of_a_member(api: Caller) -> None:
    path = f"/members/{api.post('/members', ANA)['id']}"
    added = api.post(f"{path}/addresses", {"channel": "email", "value": "Two@example.com"})
    assert (added["value"], added["is_primary"]) == ("two@example.com", False)
    assert api.post(f"{path}/addresses/{added['id']}/primary")["is_primary"] is True
    assert api.get(path)["email"] == "two@example.com"
    api.delete(f"{path}/addresses/{added['id']}")
    assert api.get(path)["email"] == "ana@example.com"

    assert api.post(f"{path}/tags", {"add": ["New"], "remove": ["vip"]})["tags"] == ["new"]
    note = api.post(f"{path}/notes", {"text": "Likes tea"})
    assert note["author"].startswith("key:")
    assert api.get(f"{path}/notes")["data"] == [note]
    api.delete(f"{path}/notes/{note['id']}")
    assert api.get(f"{path}/notes")["data"] == []

    history = api.get(f"{path}/changes")["data"]
    assert {"tags": [["vip"], ["new"]]} in [one["changed"] for one in history]
    assert all(one["actor"].startswith("key:") for one in history)
    api.delete(f"{path}/external-ids/shopify")
    refused(api.ask("POST", f"{path}/addresses", {"channel": "email", "value": "x"}), 422)


def test_two_members_become_one_and_two_again(api: Caller) -> None:
    ana = api.post("/members", ANA)
    twin = api.post("/members", {"member_id": "old", "last_name": "Li", "tags": ["b"]})

    done = api.post("/merges", {"survivor_id": ana["id"], "absorbed_id": twin["id"]})

    assert api.get("/members", member_id="OLD")["data"][0]["id"] == ana["id"]
    gone = refused(api.ask("GET", f"/members/{twin['id']}"), 404)
    assert str(ana["id"]) in str(gone)
    assert [one["id"] for one in api.get("/merges")["data"]] == [done["id"]]
    assert api.post(f"/merges/{done['id']}/undo")["undone_at"]
    assert api.get("/members", member_id="old")["data"][0]["id"] == twin["id"]
    refused(api.ask("POST", f"/merges/{done['id']}/undo"), 409)
    refused(api.ask("POST", "/merges", {"survivor_id": 1, "absorbed_id": 1}), 409)


def test_a_deleted_member_is_forgotten_with_a_receipt(api: Caller) -> None:
    path = f"/members/{api.post('/members', ANA)['id']}"
    refused(api.ask("POST", f"{path}/erasure"), 409)
    api.delete(path)

    receipt = api.post(f"{path}/erasure")

    assert receipt["erased"]["addresses"] == 2
    assert api.get("/erasures")["data"] == [receipt]
    refused(api.ask("POST", f"{path}/erasure"), 409)


def test_a_timeline_tells_what_was_skipped_and_why(api: Caller, make: Factory) -> None:
    made = api.post("/members", ANA)
    make.message(made["id"], status=Status.SKIPPED, reason=Reason.CAPPED, sent_at=None)
    path = f"/members/{made['id']}/timeline"
    api.post(f"/members/{made['id']}/notes", {"text": "Likes tea"})

    first = api.get(path, limit=1)
    rest = api.get(path, cursor=first["next_cursor"])["data"]

    told = [*first["data"], *rest]
    assert {one["kind"] for one in told} == {"message", "note", "consent"}
    assert [one["detail"]["reason"] for one in told if one["kind"] == "message"] == ["capped"]
    assert {one["kind"] for one in api.get(path, kind="note")["data"]} == {"note"}
    for cursor in ("WzFd", "WyJhIiwxXQ", "WyIyMDI2LTAxLTAxIiwieCIsMV0"):
        refused(api.ask("GET", path, cursor=cursor), 422)


def test_an_address_that_may_not_be_a_persons_is_flagged(api: Caller) -> None:
    made = api.post("/members", {"email": "Info@shop.de", "phone": "+12015550123"})

    shown = api.get(f"/members/{made['id']}")

    assert {one["channel"]: one["doubt"] for one in shown["addresses"]} == {
        "email": "role",
        "sms": None,
    }


def test_nobody_was_won_for_less_than_nothing(api: Caller) -> None:
    body = {"email": "neg@example.com", "acquisition_cost": -5}

    assert pointers(refused(api.ask("POST", "/members", body), 422)) == {"/acquisition_cost"}
