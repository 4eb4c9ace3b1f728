"""Mirrors api/segments.py and api/belonging.py."""

from typing import Any

from core.clock import ManualClock
from echelonx.tracking import Tracking
from tests.api.caller import Caller, pointers, refused, remedies
from tests.factories import Factory

VIP = {"tag": "vip"}
TEXT = 'has tag "vip"'


def test_a_rule_goes_in_as_text_or_json_and_comes_out_as_both(api: Caller) -> None:
    by_text = api.post("/segments", {"name": "A", "text": TEXT})
    by_json = api.post("/segments", {"name": "B", "rule": VIP})

    assert by_text["rule"] == by_json["rule"] == VIP
    assert by_text["text"] == by_json["text"] == TEXT
    assert api.get(f"/segments/{by_text['id']}") == by_text
    assert [one["name"] for one in api.get("/segments")["data"]] == ["A", "B"]


def test_a_rule_is_given_once(api: Caller) -> None:
    for body in ({"name": "A"}, {"name": "A", "rule": VIP, "text": TEXT}):
        assert pointers(refused(api.ask("POST", "/segments", body), 422)) == {"/rule"}


def test_a_rule_that_cannot_be_understood_is_refused_with_its_place(api: Caller) -> None:
    wrong = {"and": [VIP, {"field": "teir", "op": "=", "value": "premium"}]}

    problem = refused(api.ask("POST", "/segments", {"name": "A", "rule": wrong}), 422)

    assert pointers(problem) == {"/rule/and/1"}
    assert "tier" in remedies(problem)
    nobody = {"not": {"field": "tier", "op": "in", "value": ["premuim"]}}
    problem = refused(api.ask("POST", "/segments", {"name": "A", "rule": nobody}), 422)
    assert pointers(problem) == {"/rule/not"}
    assert "“premium”" in remedies(problem)


def test_a_taken_name_is_a_conflict(api: Caller) -> None:
    api.post("/segments", {"name": "A", "text": TEXT})

    problem = refused(api.ask("POST", "/segments", {"name": " A ", "text": TEXT}), 409)

    assert pointers(problem) == {"/name"}


def test_counts_say_how_many_each_channel_reaches(api: Caller, make: Factory) -> None:
    for number in range(3):
        api.post("/members", {"member_id": str(number), "tags": ["vip"]})
    api.post("/members", {"email": "ana@example.com", "phone": "+12015550123", "tags": ["vip"]})
    made = api.post("/segments", {"name": "A", "text": TEXT})
    expected = {"members": 4, "reach": {"email": 1, "sms": 1, "push": 0}}

    assert api.get(f"/segments/{made['id']}/count") == expected
    words = {"text": TEXT, "english": "Members who have the tag “vip”."}
    empty: dict[str, Any] = {"channels": [], "sample": [], "member": None}
    assert api.post("/segments/preview", {"text": TEXT}) == expected | words | empty
    assert api.post("/segments/preview", {"rule": VIP}) == expected | words | empty


def test_a_rule_over_an_unknown_segment_is_refused(api: Caller) -> None:
    refused(api.ask("POST", "/segments/preview", {"text": 'in segment "nobody"'}), 422)


def test_a_segment_changes(api: Caller) -> None:
    made = api.post("/segments", {"name": "A", "text": TEXT})

    changed = api.patch(f"/segments/{made['id']}", {"text": "everyone", "name": "All"})

    assert (changed["name"], changed["text"]) == ("All", "everyone")
    assert changed["version"] == 2
    both = {"text": "everyone", "rule": VIP}
    refused(api.ask("PATCH", f"/segments/{made['id']}", both), 422)


def test_a_deleted_segment_gives_its_name_back(api: Caller) -> None:
    made = api.post("/segments", {"name": "A", "text": TEXT})

    api.delete(f"/segments/{made['id']}")

    refused(api.ask("GET", f"/segments/{made['id']}"), 404)
    assert api.post("/segments", {"name": "A", "text": TEXT})["id"] != made["id"]


def test_a_preview_shows_numbers_and_persons(api: Caller) -> None:
    ana = api.post("/members", {"email": "ana@example.com", "tags": ["vip"]})
    api.post("/members", {"member_id": "bo", "tags": ["vip"]})

    found = api.post("/segments/preview", {"text": TEXT, "channels": ["email"], "sample": 5})

    (email,) = found["channels"]
    assert [(step["name"], step["members"]) for step in email["steps"]] == [
        ("matched", 2),
        ("audience", 2),
        ("has_address", 1),
        ("reachable", 1),
        ("not_suppressed", 1),
        ("consented", 0),
        ("will_receive", 0),
    ]
    assert email["will_receive"] == 0
    first, second = found["sample"]
    assert first["member"]["id"] == ana["id"]
    assert first["because"] == [{"english": "who have the tag “vip”", "found": "", "yes": True}]
    assert [first["receives"], second["receives"]] == [
        [{"channel": "email", "address": "a***@e***.com", "reason": "no_consent"}],
        [{"channel": "email", "address": None, "reason": "no_address"}],
    ]


def test_a_static_segment_keeps_who_was_meant(api: Caller) -> None:
    vip = api.post("/members", {"member_id": "a", "tags": ["vip"]})
    other = api.post("/members", {"member_id": "b"})
    frozen = api.post("/segments", {"name": "A", "text": TEXT, "kind": "static"})
    listed = api.post("/segments", {"name": "B", "kind": "static", "members": [other["id"]]})
    api.post(f"/members/{other['id']}/tags", {"add": ["vip"]})

    assert members(api, frozen["id"]) == [vip["id"]]
    assert members(api, listed["id"]) == [other["id"]]
    assert listed["text"] == 'in segment "B"'
    refused(api.ask("PATCH", f"/segments/{frozen['id']}", {"text": "everyone"}), 409)
    wrong = {"name": "C", "members": [other["id"]]}
    assert pointers(refused(api.ask("POST", "/segments", wrong), 422)) == {"/members"}
    unknown = {"name": "C", "kind": "static", "members": [other["id"] + 99]}
    refused(api.ask("POST", "/segments", unknown), 404)


def test_members_are_put_in_and_kept_out(api: Caller) -> None:
    vip = api.post("/members", {"member_id": "a", "tags": ["vip"]})["id"]
    other = api.post("/members", {"member_id": "b"})["id"]
    path = f"/segments/{api.post('/segments', {'name': 'A', 'text': TEXT})['id']}/pins"

    assert api.post(path, {"members": [other]}) == {"changed": 1}
    assert api.post(path, {"members": [vip], "pin": "exclude"}) == {"changed": 1}
    assert [(one["member_id"], one["pin"]) for one in api.get(path)["data"]] == [
        (vip, "exclude"),
        (other, "include"),
    ]
    assert members(api, 1) == [other]
    assert api.get("/segments/1/count")["members"] == 1

    api.delete(f"{path}/{other}")
    assert api.post(path, {"members": [vip], "pin": "none"}) == {"changed": 1}
    assert members(api, 1) == [vip]


def test_reach_and_sample_of_a_segment(api: Caller) -> None:
    api.post("/members", {"phone": "+12015550123", "tags": ["vip"]})
    path = f"/segments/{api.post('/segments', {'name': 'A', 'text': TEXT})['id']}"

    found = api.get(f"{path}/reach", channel="sms")
    (person,) = api.get(f"{path}/sample", channel="sms")["data"]

    assert (found["members"], found["capped"]) == (1, False)
    assert {step["name"]: step["lost"] for step in found["channels"][0]["steps"]}["consented"] == 1
    assert person["receives"][0]["reason"] == "no_consent"
    refused(api.ask("GET", f"{path}/reach", channel="voice"), 422)
    refused(api.ask("GET", f"{path}/sample", limit="21"), 422)


def test_what_uses_a_segment_is_told_and_kept(api: Caller) -> None:
    made = api.post("/segments", {"name": "A", "text": TEXT})
    outer = api.post("/segments", {"name": "B", "text": 'in segment "A"'})
    path = f"/segments/{made['id']}"

    (use,) = api.get(f"{path}/usage")["data"]
    assert (use["kind"], use["id"], use["direct"]) == ("segment", outer["id"], True)
    problem = refused(api.ask("DELETE", path), 409)
    assert "B" in problem["detail"]
    api.patch(path, {"name": "Z"})
    assert api.get(f"/segments/{outer['id']}")["text"] == 'in segment "Z"'


def test_an_edit_is_weighed_before_it_is_saved(api: Caller) -> None:
    for tags in (["vip"], ["lead"], []):
        api.post("/members", {"tags": tags, "member_id": f"m{tags}"})
    path = f"/segments/{api.post('/segments', {'name': 'A', 'text': TEXT})['id']}"

    found = api.post(f"{path}/effect", {"text": 'not has tag "vip"'})

    assert found == {"segment": {"added": 2, "removed": 1, "members": 2}, "uses": []}
    assert api.get(path)["text"] == TEXT


def test_who_came_and_went_is_told_of_tracked_segments(
    api: Caller, make: Factory, clock: ManualClock
) -> None:
    vip = api.post("/members", {"member_id": "a", "tags": ["vip"]})["id"]
    made = api.post("/segments", {"name": "A", "text": TEXT, "tracked": True})
    path = f"/segments/{made['id']}"
    look(make, clock)
    api.post(f"/members/{vip}/tags", {"remove": ["vip"]})
    look(make, clock)

    (stay,) = api.get(f"{path}/history")["data"]
    assert (stay["member_id"], stay["segment"], stay["reason"], stay["left_reason"]) == (
        vip, "A", "start", "change",
    )  # fmt: skip
    assert api.get(f"/members/{vip}/segments/history")["data"] == [stay]
    assert api.get(f"/members/{vip}/segments")["data"] == []
    assert api.patch(path, {"tracked": False})["tracked"] is False


def test_a_member_is_told_its_segments_and_why(api: Caller) -> None:
    vip = api.post("/members", {"member_id": "a", "tags": ["vip"]})["id"]
    api.post("/segments", {"name": "A", "text": TEXT})
    api.post("/segments", {"name": "B", "text": 'tier = "elite"'})

    (found,) = api.get(f"/members/{vip}/segments")["data"]

    assert (found["name"], found["pinned"], found["since"]) == ("A", False, None)
    assert [one["english"] for one in found["because"]] == ["who have the tag “vip”"]


def test_a_member_is_judged_by_a_segment_or_by_a_rule_not_saved(api: Caller) -> None:
    vip = api.post("/members", {"member_id": "a", "tags": ["vip"]})["id"]
    other = api.post("/members", {"member_id": "b"})["id"]
    path = f"/segments/{api.post('/segments', {'name': 'A', 'text': TEXT})['id']}/members"

    inside, outside = api.get(f"{path}/{vip}"), api.get(f"{path}/{other}")
    tried = api.post("/segments/preview", {"text": 'tier = "elite"', "member": vip})["member"]

    assert (inside["belongs"], outside["belongs"]) == (True, False)
    assert inside["english"] == "Members who have the tag “vip”."
    assert outside["because"] == [{"english": "who have the tag “vip”", "found": "", "yes": False}]
    assert (tried["belongs"], tried["because"][0]["found"]) == (False, "it is “basic”")
    refused(api.ask("GET", f"{path}/{other + 99}"), 404)
    refused(api.ask("GET", f"/segments/99/members/{vip}"), 404)
    refused(api.ask("POST", "/segments/preview", {"text": TEXT, "member": 999}), 404)


def test_a_pin_is_a_reason_that_names_its_segment(api: Caller) -> None:
    other = api.post("/members", {"member_id": "b"})["id"]
    path = f"/segments/{api.post('/segments', {'name': 'A', 'text': TEXT})['id']}"
    api.post(f"{path}/pins", {"members": [other]})

    found = api.get(f"{path}/members/{other}")

    assert found["belongs"]
    assert [one["english"] for one in found["because"]] == [
        "who are put into the segment “A” by hand"
    ]
    assert found["english"] == (
        "Members who have the tag “vip” or who are put into the segment “A” by hand."
    )


def test_a_builder_is_told_the_words_there_are(api: Caller, make: Factory) -> None:
    member = api.post(
        "/members", {"member_id": "a", "tags": ["vip"], "attributes": {"city": "Porto", "n": 2}}
    )["id"]
    api.post(f"/members/{member}/external-ids", {"system": "shopify", "value": "7"})
    api.post("/segments", {"name": "A", "text": TEXT})
    bought = {
        "person": {"member_id": "a"},
        "name": "purchase",
        "properties": {"total": 3, "gift": True},
    }
    api.post("/events", {"events": [bought | {"message_id": "e1"}]})

    words = api.get("/segments/vocabulary")

    fields = {field["name"]: field for field in words["fields"]}
    assert fields["tier"]["choices"] == ["basic", "premium", "elite", "executive"]
    assert (fields["last_active"]["kind"], "in the last" in fields["last_active"]["ops"]) == (
        "instant", True,
    )  # fmt: skip
    assert words["attributes"] == [
        {"name": "city", "kinds": ["text"]}, {"name": "n", "kinds": ["number"]}
    ]  # fmt: skip
    assert words["events"] == [
        {
            "name": "purchase",
            "properties": [
                {"name": "gift", "kinds": ["true or false"]},
                {"name": "total", "kinds": ["number"]},
            ],
        }
    ]
    assert (words["tags"], words["segments"], words["external_ids"]) == (
        ["vip"],
        ["A"],
        ["shopify"],
    )


def test_whoever_writes_a_segments_name_is_told_how_to_mean_it(api: Caller) -> None:
    api.post("/segments", {"name": "Warm leads", "text": TEXT})

    for text in ("Warm leads", '"warm leads"', "Warm leeds"):
        problem = refused(api.ask("POST", "/segments/preview", {"text": text}), 422)
        assert 'in segment "Warm leads"' in remedies(problem)
    problem = refused(
        api.ask("POST", "/segments/preview", {"text": 'in segment "Worm leads"'}), 422
    )
    assert "“Warm leads”" in remedies(problem)


def members(api: Caller, segment_id: int) -> list[int]:
    return [one["id"] for one in api.get(f"/segments/{segment_id}/members")["data"]]


def look(make: Factory, clock: ManualClock) -> None:
    tracking = Tracking(make.sessions, clock)
    while tracking.unit():
        pass


def test_no_rule_refers_to_a_segment_by_number(api: Caller, stranger: Caller) -> None:
    """`#7` is the engine's own word: it would outlive the segment, whoever's it is (B043)."""
    foreign = stranger.post("/segments", {"name": "Theirs", "text": "everyone"})["id"]
    own = api.post("/segments", {"name": "Ours", "text": "everyone"})["id"]
    tier = {"tier": "elite", "grace_days": 1}
    for reference in (f"#{foreign}", f"#{own}", f"#{own}+", f"#{own}-"):
        text, rule = f'in segment "{reference}"', {"segment": reference}
        audience = {"name": "C", "type": "email", "target_audience": {"rule": rule}}
        for method, path, body in (
            ("POST", "/segments", {"name": "A", "text": text}),
            ("POST", "/segments", {"name": "A", "rule": {"not": rule}}),
            ("POST", "/segments/preview", {"text": text}),
            ("POST", f"/segments/{own}/effect", {"text": text}),
            ("PATCH", f"/segments/{own}", {"text": text}),
            ("POST", "/campaigns", audience),
            ("POST", "/bulk-edits", {"text": text, "changes": {"tier": "elite"}}),
            ("POST", "/exports", {"of": "members", "match": text}),
            ("PUT", "/tiers", {"rules": [{**tier, "text": text}]}),
        ):
            problem = refused(api.ask(method, path, body), 422)
            assert f"{reference} is no segment's name" in problem["detail"], (method, path)
            assert remedies(problem), (method, path)
        refused(api.ask("GET", "/members", match=text), 422)
        draft = f'journey "J{reference}"\n  when asked\n  exit when {text}\n  wait 1d\n'
        path = f"/journeys/{api.post('/journeys', {'text': draft})['id']}/publish"
        assert "is no segment's name" in str(refused(api.ask("POST", path), 409))
