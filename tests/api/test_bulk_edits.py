"""Mirrors api/bulk_edits.py."""

from core.clock import ManualClock
from core.db import Sessions, write
from members.bulk import advance_bulk
from tests.api.caller import Caller, pointers, refused


def work(sessions: Sessions, clock: ManualClock) -> None:
    """What a worker does."""
    more = True
    while more:
        with write(sessions) as session:
            more = advance_bulk(session, clock)


def test_many_are_tried_changed_followed_and_changed_back(
    api: Caller, sessions: Sessions, clock: ManualClock
) -> None:
    ids = [api.post("/members", {"member_id": f"m{number}"})["id"] for number in range(3)]
    body = {"text": 'tier = "basic"', "changes": {"tier": "elite", "add_tags": ["vip"]}}

    tried = api.post("/bulk-edits/preview", body)
    assert tried["total"] == 3
    assert tried["sample"][0] == {
        "member_id": ids[0],
        "changed": {"tier": ["basic", "elite"], "tags": [[], ["vip"]]},
    }
    started = api.post("/bulk-edits", body)
    assert (started["status"], started["total"], started["changed"]) == ("queued", 3, 0)
    refused(api.ask("POST", f"/bulk-edits/{started['id']}/undo"), 409)
    work(sessions, clock)

    done = api.get(f"/bulk-edits/{started['id']}")
    assert (done["status"], done["changed"], done["failed"]) == ("done", 3, 0)
    assert api.get(f"/bulk-edits/{started['id']}/errors")["data"] == []
    assert api.get(f"/members/{ids[0]}")["tags"] == ["vip"]
    api.post(f"/bulk-edits/{started['id']}/undo")
    work(sessions, clock)
    assert api.get("/bulk-edits")["data"][0]["status"] == "undone"
    assert api.get(f"/members/{ids[0]}")["tier"] == "basic"


def test_what_cannot_be_said_of_many_is_refused_by_field(api: Caller) -> None:
    for body, pointer in (
        ({"changes": {"tier": "elite"}}, "/ids"),
        ({"ids": [1], "text": "everyone", "changes": {"tier": "elite"}}, "/ids"),
        ({"ids": [1], "changes": {"email": "a@example.com"}}, "/changes/email"),
        ({"ids": [1], "changes": {}}, "/changes"),
    ):
        problem = refused(api.ask("POST", "/bulk-edits", body), 422)
        assert pointers(problem) == {pointer}
