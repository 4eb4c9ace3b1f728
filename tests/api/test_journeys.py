"""Mirrors api/journeys.py and api/enrolments.py, and docs/reference/journeys-api.md."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from accounts.audit import AuditEntry
from campaigns.journeys.advance import advance
from core.clock import ManualClock
from core.db import Sessions, read, write
from echelonx.wiring import Services
from tests.api.caller import Caller, pointers, refused, remedies
from tests.api.test_providers import SMTP
from tests.api.test_reference import examples, play
from tests.api.test_templates import EMAIL

PAGE = Path(__file__).parents[2] / "docs/reference/journeys-api.md"
TEXT = 'journey "Gift"\n  when asked\n\n  send email "Gift" as gift\n  wait 1d\n'


@pytest.fixture
def draft(api: Caller) -> dict[str, Any]:
    """A journey that can be published, and one person."""
    api.post("/templates", EMAIL)
    api.post("/providers", SMTP)
    person = {"email": "ana@example.com", "consents": [{"channel": "email", "state": "granted"}]}
    api.post("/members", person)
    made: dict[str, Any] = api.post("/journeys", {"text": TEXT})
    return made


@pytest.fixture
def live(api: Caller, draft: dict[str, Any]) -> dict[str, Any]:
    """The same, published, with the one person inside."""
    made: dict[str, Any] = api.post(path(draft, "/publish"))
    api.post(path(draft, "/enrolments"), {"members": [1], "event": {"total": 12}})
    return made


def path(journey: dict[str, Any], deed: str = "") -> str:
    return f"/journeys/{journey['id']}{deed}"


def go_on(product: Services, journey: dict[str, Any]) -> None:
    with write(product.sessions) as session:
        advance(session, product.clock, product.hasher, journey_id=journey["id"])


def test_the_examples_of_the_page_work_in_their_order(api: Caller) -> None:
    assert play(api, examples(PAGE)) > 12


def test_a_draft_is_shown_in_every_form(api: Caller, draft: dict[str, Any]) -> None:
    assert (draft["name"], draft["status"], draft["version"], draft["revision"]) == (
        "Gift", "draft", None, 1,
    )  # fmt: skip
    assert (draft["draft"], draft["problem"]) == (TEXT, None)
    shown = draft["read"]
    assert [(step["key"], step["does"], step["line"]) for step in shown["steps"]] == [
        ("gift", "send", 4), ("wait-1d", "wait", 5),
    ]  # fmt: skip
    assert shown["steps"][0]["ways"] == {"next": "wait-1d"}
    assert [(one["code"], one["level"], one["line"]) for one in shown["findings"]] == [
        ("no_fallback", "warning", 4)
    ]
    assert api.get(path(draft)) == draft
    again = api.post("/journeys/check", {"journey": shown["journey"]})
    assert (again["text"], again["journey"]) == (shown["text"], shown["journey"])
    (row,) = api.get("/journeys", status="draft")["data"]
    assert (row["name"], row["inside"], row["stuck"]) == ("Gift", 0, 0)
    assert api.get("/journeys", status="active")["data"] == []


def test_json_is_as_good_as_text(api: Caller, draft: dict[str, Any]) -> None:
    journey = draft["read"]["journey"] | {"name": "Other"}
    made = api.post("/journeys", {"journey": journey})
    assert made["read"]["journey"] == journey
    for body in ({}, {"text": TEXT, "journey": journey}):
        assert pointers(refused(api.ask("POST", "/journeys", body), 422)) == {"/text"}
    wrong = journey | {"steps": [{"do": "snd"}]}
    assert "/steps/0" in str(refused(api.ask("POST", "/journeys", {"journey": wrong}), 422))


def test_what_cannot_be_read_is_told_with_its_line_and_the_nearest_word(api: Caller) -> None:
    text = TEXT.replace("send", "snd")
    problem = refused(api.ask("POST", "/journeys/check", {"text": text}), 422)
    assert problem["type"].endswith("journey")
    assert (problem["errors"][0]["line"], problem["errors"][0]["column"]) == (4, 3)
    assert "did you mean “send”?" in remedies(problem)

    kept = api.post("/journeys", {"text": text})["problem"]
    assert (kept["line"], kept["column"]) == (4, 3)
    assert "did you mean “send”?" in kept["remedy"]


def test_a_draft_may_be_wrong_while_it_is_worked_on(api: Caller, draft: dict[str, Any]) -> None:
    saved = api.patch(path(draft), {"text": "journey"})
    assert (saved["draft"], saved["read"]) == ("journey", None)
    assert saved["problem"]["line"] == 1
    refused(api.ask("POST", path(draft, "/publish")), 422)


def test_the_second_of_two_editors_is_told(api: Caller, draft: dict[str, Any]) -> None:
    etag = api.ask("GET", path(draft)).headers["ETag"]
    first = api.ask("PATCH", path(draft), {"text": TEXT}, {"If-Match": etag})
    assert (first.status_code, first.headers["ETag"]) == (200, '"2"')
    refused(api.ask("PATCH", path(draft), {"text": "x"}, {"If-Match": etag}), 412)


def test_the_plan_says_what_a_publish_would_do(api: Caller, live: dict[str, Any]) -> None:
    api.patch(path(live), {"text": TEXT.replace("wait 1d", "wait 2d").replace("as gift", "")})
    found = api.get(path(live, "/plan"))
    assert found["text"] == "renames gift to send-email-gift; changes wait 1d to wait 2d"
    assert (found["version"], found["inside"], found["problems"]) == (2, 1, [])
    assert [(one["step"], one["to"]) for one in found["stands"]] == [("gift", "send-email-gift")]
    assert found["entrances"] == [{"when": "asked", "members": 1}]
    assert api.get(path(live))["version"] == 1, "nothing was published"


def test_a_publish_that_is_blocked_lists_all_that_is_missing(
    api: Caller, draft: dict[str, Any]
) -> None:
    api.patch(path(draft), {"text": TEXT + '  send sms "none"\n'})
    problem = refused(api.ask("POST", path(draft, "/publish")), 409)
    assert {one["code"] for one in problem["errors"]} == {"no_template", "no_provider"}
    assert {one["code"] for one in api.get(path(draft, "/plan"))["problems"]} == {
        "no_template", "no_provider",
    }  # fmt: skip


def test_versions_are_listed_compared_and_restored(api: Caller, live: dict[str, Any]) -> None:
    api.patch(path(live), {"text": TEXT + '  tag "given"\n'})
    assert api.post(path(live, "/publish"))["version"] == 2
    assert [one["number"] for one in api.get(path(live, "/versions"))["data"]] == [2, 1]
    first = api.get(path(live, "/versions/1"))
    assert (first["number"], first["text"]) == (1, TEXT)
    assert [step["key"] for step in first["steps"]] == ["gift", "wait-1d"]
    told = api.get(path(live, "/diff"), **{"from": 1, "to": 2})
    assert told["text"] == 'adds tag "given" behind wait-1d'
    assert told["steps"] == {"gift": "gift", "wait-1d": "wait-1d"}
    restored = api.post(path(live, "/restore"), {"version": 1})
    assert (restored["draft"], restored["version"]) == (TEXT, 2)
    assert api.get(path(live, "/diff"), **{"from": 1})["text"] == "changes nothing"
    refused(api.ask("GET", path(live, "/versions/3")), 404)


def test_it_is_paused_drained_resumed_and_archived(
    api: Caller, live: dict[str, Any], sessions: Sessions
) -> None:
    assert (live["status"], live["version"]) == ("active", 1)
    for deed, status in (("pause", "paused"), ("drain", "draining"), ("resume", "active")):
        assert api.post(path(live, f"/{deed}"))["status"] == status
    assert api.get(path(live))["inside"] == 1
    ended = api.post(path(live, "/archive"))
    assert (ended["status"], ended["inside"]) == ("archived", 0)
    refused(api.ask("POST", path(live, "/resume")), 409)
    with read(sessions) as session:
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert [one for one in actions if one.startswith("journey.")] == [
        "journey.create", "journey.publish", "journey.pause", "journey.drain", "journey.resume",
        "journey.archive",
    ]  # fmt: skip


def test_people_inside_are_listed_with_their_story(
    api: Caller, live: dict[str, Any], product: Services
) -> None:
    go_on(product, live)
    (one,) = api.get(path(live, "/enrolments"))["data"]
    assert (one["member_id"], one["step"], one["because"]) == (1, "wait-1d", "waits 1d")
    assert api.get(path(live, "/enrolments"), step="gift")["data"] == []
    told = api.get(path(live, f"/enrolments/{one['id']}"))
    assert told["standing"] == one
    (sent,) = told["trail"]
    assert (sent["step"], sent["way"], sent["messages"][0]["status"]) == ("gift", "next", "queued")
    assert "ana@example.com" not in str(told)


def test_members_are_let_in_once(api: Caller, live: dict[str, Any]) -> None:
    segment = api.post("/segments", {"name": "All", "text": "everyone"})["id"]
    api.post("/members", {"member_id": "bo"})
    assert api.post(path(live, "/enrolments"), {"segment_id": segment}) == {
        "entered": [{"member_id": 2, "enrolment_id": 2}], "left_out": 1,
    }  # fmt: skip
    assert api.post(path(live, "/enrolments"), {"members": [1, 2]}) == {
        "entered": [], "left_out": 2,
    }  # fmt: skip
    keyed = api.post(path(live, "/enrolments"), {"members": [1], "key": "A-1"})
    assert len(keyed["entered"]) == 1
    for body in ({}, {"members": [1], "segment_id": segment}, {"members": []}):
        refused(api.ask("POST", path(live, "/enrolments"), body), 422)
    api.post(path(live, "/pause"))
    refused(api.ask("POST", path(live, "/enrolments"), {"members": [1]}), 409)


def test_people_are_skipped_moved_retried_and_taken_out(
    api: Caller, live: dict[str, Any], product: Services
) -> None:
    go_on(product, live)
    where = path(live, "/interventions")
    assert api.post(where, {"do": "move", "which": {"ids": [1]}, "to": "gift"}) == {"people": 1}
    assert api.post(where, {"do": "retry", "which": {"status": "stuck"}}) == {"people": 0}
    assert api.post(where, {"do": "skip", "which": {"step": "gift"}}) == {"people": 1}
    assert api.post(where, {"do": "exit", "which": {}}) == {"people": 1}
    assert refused(api.ask("POST", where, {"do": "skip", "which": {"ids": [1]}}), 409)[
        "type"
    ].endswith("enrolment_ended")
    refused(api.ask("POST", where, {"do": "skip", "which": {"ids": [9]}}), 404)
    for body in ({"do": "move", "which": {}}, {"do": "skip", "which": {}, "to": "gift"}):
        assert pointers(refused(api.ask("POST", where, body), 422)) == {"/to"}
    both = {"do": "skip", "which": {"ids": [1], "step": "gift"}}
    assert pointers(refused(api.ask("POST", where, both), 422)) == {"/which/ids"}
    trail = api.get(path(live, "/enrolments/1"))["trail"]
    assert [step["way"] for step in trail] == ["next", "moved", "skipped", "removed"]
    assert trail[1]["why"]["by"].startswith("key:")


def test_people_are_moved_to_another_version_after_a_look(
    api: Caller, live: dict[str, Any], product: Services, clock: ManualClock
) -> None:
    go_on(product, live)
    api.patch(path(live), {"text": TEXT.replace("wait 1d", 'tag "x"')})
    api.post(path(live, "/publish"))
    seen = api.get(path(live, "/move"), version=2)
    assert (seen["people"], [one["to"] for one in seen["stands"]]) == (1, [None])
    problem = refused(api.ask("POST", path(live, "/move"), {"version": 2}), 409)
    assert problem["errors"][0]["pointer"] == "/choices"
    body = {"version": 2, "choices": {"wait-1d": "tag-x"}}
    assert api.post(path(live, "/move"), body) == {"moved": 1, "ended": 0}
    go_on(product, live)
    assert api.get(path(live))["inside"] == 0


def test_results_add_up_and_lead_to_people(
    api: Caller, live: dict[str, Any], product: Services
) -> None:
    api.post("/members", {"member_id": "bo"})
    api.post(path(live, "/enrolments"), {"members": [2]})
    go_on(product, live)
    found = api.get(path(live, "/results"))
    assert found["totals"] == {
        "entered": 2, "inside": 2, "completed": 0, "goal": 0, "exited": 0, "stuck": 0,
    }  # fmt: skip
    gift, wait = found["versions"][0]["steps"]
    assert (gift["came"], gift["left"], wait["waiting"]) == (2, {"next": 2}, 2)
    assert gift["messages"]["skipped_reasons"] == {"no_address": 1}
    assert found["versions"][0]["messages"][0]["template"] == "Gift"
    assert found["conversion"] == [{"day": 0, "of": 2, "reached": 0}]
    (skipped,) = api.get(path(live, "/skipped"), reason="no_address", step="gift")["data"]
    assert (skipped["member"], skipped["channel"]) == ("bo", "email")
    assert api.get(path(live, "/results"), version=9)["versions"] == []


def test_the_campaign_of_a_journey_is_left_to_the_journey(
    api: Caller, live: dict[str, Any]
) -> None:
    (campaign,) = [
        one for one in api.get("/campaigns")["data"] if one["schedule_type"] == "triggered"
    ]
    path = f"/campaigns/{campaign['id']}"
    refused(api.ask("GET", f"{path}/preflight"), 409)
    for deed in ("launch", "pause", "resume", "cancel", "archive", "duplicate"):
        body = {} if deed == "duplicate" else None
        assert "journey" in refused(api.ask("POST", f"{path}/{deed}", body), 409)["detail"]
    refused(api.ask("PATCH", path, {"description": "mine"}), 409)
    (done,) = api.post("/campaigns/batch", {"ids": [campaign["id"]], "do": "pause"})["results"]
    assert not done["ok"]

    assert api.get(path) == campaign
