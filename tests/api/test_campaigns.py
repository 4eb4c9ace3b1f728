"""Mirrors api/campaigns.py."""

from typing import Any

import pytest
from sqlalchemy import select

from accounts.audit import AuditEntry
from campaigns.fan_out import step
from core.clock import ManualClock
from core.db import Sessions, read
from echelonx.wiring import Services
from scheduling.bell import LocalBell
from tests.api.caller import Caller, pointers, refused, remedies
from tests.api.test_providers import SMTP
from tests.api.test_templates import EMAIL


@pytest.fixture
def draft(api: Caller) -> dict[str, Any]:
    """A campaign that can be launched, for one person."""
    template = api.post("/templates", EMAIL)
    api.post("/providers", SMTP)
    person = {"email": "ana@example.com", "consents": [{"channel": "email", "state": "granted"}]}
    api.post("/members", person)
    return api.post(
        "/campaigns",
        {
            "name": "Gift",
            "type": "email",
            "target_audience": {"rule": {"everyone": True}},
            "variants": [{"channel": "email", "template_id": template["id"]}],
            "budget": "12.50",
        },
    )


def path(campaign: dict[str, Any], deed: str = "") -> str:
    return f"/campaigns/{campaign['id']}{deed}"


def test_a_draft_comes_back_as_it_was_given(api: Caller, draft: dict[str, Any]) -> None:
    assert (draft["status"], draft["schedule_type"], draft["category"]) == (
        "draft", "immediate", "marketing",
    )  # fmt: skip
    assert draft["budget"] == "12.5000"
    assert draft["variants"] == [
        {
            "channel": "email", "template_id": 1, "provider_account_id": None, "name": "A",
            "weight": 1,
        }
    ]  # fmt: skip
    assert api.get(path(draft)) == draft
    assert api.get("/campaigns", status="draft", type="email")["data"] == [draft]
    assert api.get("/campaigns", status="active")["data"] == []


def test_the_audience_may_be_a_segment_or_a_rule_as_text(api: Caller) -> None:
    segment = api.post("/segments", {"name": "A", "text": 'tier = "premium"'})
    for number, audience in enumerate(
        ({"segment_id": segment["id"]}, {"rule": 'tier = "premium"'})
    ):
        body = {"name": f"C{number}", "type": "sms", "target_audience": audience}
        assert api.post("/campaigns", body)["target_audience"] in (
            {"segment_id": segment["id"]},
            {"rule": segment["rule"]},
        )


@pytest.mark.parametrize(
    ("rule", "where"), [("evryone", ""), ({"not": {"tga": "vip"}}, "/not"), ('in segment "B"', "")]
)
def test_a_rule_that_means_nobody_knows_whom_is_refused_where_it_is(
    api: Caller, rule: Any, where: str
) -> None:
    body = {"name": "C", "type": "sms", "target_audience": {"rule": rule}}

    problem = refused(api.ask("POST", "/campaigns", body), 422)

    assert pointers(problem) == {f"/target_audience/rule{where}"}


def test_bad_details_are_refused_by_field(api: Caller, draft: dict[str, Any]) -> None:
    good = {"name": "C", "type": "email", "target_audience": {"rule": "everyone"}}
    for field, value in {
        "name": "",
        "type": "fax",
        "target_audience": {"nobody": 1},
        "variants": [{"channel": "sms", "template_id": 1}],
        "schedule_type": "whenever",
        "scheduled_at": "2026-11-28T09:00:00",
        "budget": "1e400",
        "priority": 3,
    }.items():
        problem = refused(api.ask("POST", "/campaigns", {**good, field: value}), 422)
        assert {one.split("/")[1] for one in pointers(problem)} == {field}


@pytest.mark.parametrize("field", ["budget", "cost_per_message", "expected_revenue"])
def test_money_is_never_less_than_nothing(api: Caller, field: str) -> None:
    body = {"name": "C", "type": "email", "target_audience": {"rule": "everyone"}, field: -10}

    assert pointers(refused(api.ask("POST", "/campaigns", body), 422)) == {f"/{field}"}


@pytest.mark.parametrize(
    ("changes", "status", "pointer"),
    [
        ({"target_audience": {"rule": "everybody"}}, 422, "/target_audience/rule"),
        (
            {"target_audience": {"rule": {"not": {"everybody": True}}}},
            422,
            "/target_audience/rule/not",
        ),
        ({"target_audience": {"segment_id": 99}}, 404, "/target_audience/segment_id"),
        ({"variants": [{"channel": "email", "template_id": 99}]}, 404, "/variants/0/template_id"),
        (
            {"variants": [{"channel": "email", "template_id": 1, "provider_account_id": 99}]},
            404,
            "/variants/0/provider_account_id",
        ),
    ],
)
def test_what_is_wrong_inside_a_field_is_pointed_at(
    api: Caller, draft: dict[str, Any], changes: dict[str, Any], status: int, pointer: str
) -> None:
    problem = refused(api.ask("PATCH", path(draft), changes), status)

    assert pointers(problem) == {pointer}


def test_a_taken_name_is_a_conflict(api: Caller, draft: dict[str, Any]) -> None:
    body = {"name": "Gift", "type": "email", "target_audience": {"rule": "everyone"}}

    assert pointers(refused(api.ask("POST", "/campaigns", body), 409)) == {"/name"}


def test_the_preflight_says_what_would_happen(api: Caller, draft: dict[str, Any]) -> None:
    found = api.get(path(draft, "/preflight"))

    assert (found["audience"], found["reach"], found["blockers"]) == (1, {"email": 1}, [])
    assert [one["code"] for one in found["warnings"]] == ["no_client_address"]
    assert found["warnings"][0]["remedy"]


def test_launching_twice_is_launching_once(api: Caller, draft: dict[str, Any]) -> None:
    first = api.ask("POST", path(draft, "/launch"))
    second = api.ask("POST", path(draft, "/launch"))

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.get_json() == second.get_json()
    launched = first.get_json()
    assert launched["campaign"]["status"] == "active"
    assert launched["run"]["status"] == "running"
    assert [run["id"] for run in api.get(path(draft, "/runs"))["data"]] == [launched["run"]["id"]]


def test_a_launch_rings_once_it_is_in_the_database(
    api: Caller, draft: dict[str, Any], product: Services
) -> None:
    assert isinstance(product.bell, LocalBell)
    rung = product.bell.subscribe()
    rung.clear()

    api.post(path(draft, "/launch"))

    assert rung.is_set()


def test_a_blocked_launch_says_everything_that_is_wrong(api: Caller) -> None:
    body = {"name": "C", "type": "email", "target_audience": {"rule": "everyone"}}
    made = api.post("/campaigns", body)

    problem = refused(api.ask("POST", path(made, "/launch")), 409)

    assert problem["type"].endswith("launch_blocked")
    assert {one["code"] for one in problem["errors"]} == {"empty_audience", "no_template"}
    assert pointers(problem) == {"/target_audience", "/variants"}
    assert all(one["remedy"] for one in problem["errors"])
    assert api.get(path(made))["status"] == "draft"


def test_a_scheduled_launch_is_planned_and_has_no_run_yet(
    api: Caller, draft: dict[str, Any], clock: ManualClock
) -> None:
    later = {"schedule_type": "scheduled", "scheduled_at": "2026-11-28T09:00:00+01:00"}
    assert api.patch(path(draft), later)["scheduled_at"] == "2026-11-28T08:00:00+00:00"

    launched = api.post(path(draft, "/launch"))

    assert launched["run"] is None
    assert launched["campaign"]["status"] == "active"
    assert api.post(path(draft, "/cancel"))["status"] == "draft"


def test_a_launched_campaign_keeps_what_was_promised(api: Caller, draft: dict[str, Any]) -> None:
    api.post(path(draft, "/launch"))

    problem = refused(api.ask("PATCH", path(draft), {"target_audience": {"rule": "everyone"}}), 409)

    assert pointers(problem) == {"/target_audience"}
    assert remedies(problem)
    assert api.patch(path(draft), {"name": "Renamed"})["name"] == "Renamed"


def test_a_campaign_pauses_resumes_and_ends(
    api: Caller, draft: dict[str, Any], sessions: Sessions
) -> None:
    api.post(path(draft, "/launch"))

    assert api.post(path(draft, "/pause"))["status"] == "paused"
    assert api.post(path(draft, "/pause"))["status"] == "paused"
    assert api.post(path(draft, "/resume"))["status"] == "active"
    assert api.post(path(draft, "/cancel"))["status"] == "completed"
    refused(api.ask("POST", path(draft, "/resume")), 409)
    with read(sessions) as session:
        deeds = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert [deed for deed in deeds if deed.startswith("campaign.")] == [
        "campaign.create", "campaign.launch", "campaign.pause", "campaign.pause",
        "campaign.resume", "campaign.cancel",
    ]  # fmt: skip


def test_a_draft_cannot_be_paused(api: Caller, draft: dict[str, Any]) -> None:
    assert remedies(refused(api.ask("POST", path(draft, "/pause")), 409)) == "launch it first"


def test_statistics_add_up(
    api: Caller, draft: dict[str, Any], sessions: Sessions, clock: ManualClock
) -> None:
    assert api.get(path(draft, "/statistics")) == {"run": None, "channels": {}, "total": {}}
    api.post("/members", {"member_id": "nobody"})
    api.post(path(draft, "/launch"))
    while step(sessions, clock):
        pass

    numbers = api.get(path(draft, "/statistics"))

    email = numbers["channels"]["email"]
    parts = ("sent", "skipped", "failed", "unknown", "queued")
    assert email["audience"] == sum(email[part] for part in parts) == 2
    assert email["skipped_reasons"] == {"no_address": 1}
    assert numbers["total"]["audience"] == 2
