"""Mirrors api/segments.py."""

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
    assert api.post("/segments/preview", {"text": TEXT}) == expected
    assert api.post("/segments/preview", {"rule": VIP}) == expected


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
