"""Mirrors api/shelf.py, and in campaigns/ what it puts away and looks back with."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update
from sqlalchemy.orm import Session

from campaigns.campaign import Campaign, CampaignStatus
from campaigns.run import Run, RunStatus
from campaigns.shelf import Deed, do_all
from channels.channel import Channel
from communications.communication import Communication, Reason
from communications.status import Status
from core.clock import ManualClock
from core.db import Sessions, write
from members.order import Order, OrderKind
from tests.api.caller import Caller, good, refused
from tests.api.test_templates import EMAIL
from tests.factories import Factory


@pytest.fixture
def campaign(api: Caller, make: Factory) -> int:
    """A draft to one person that can be launched."""
    make.account("smtp", Channel.EMAIL, {})
    make.address(make.member())
    template = api.post("/templates", EMAIL)
    body = {
        "name": "Tea", "type": "email", "target_audience": {"rule": "everyone"}, "budget": "90.00",
        "tags": ["tea"], "variants": [{"channel": "email", "template_id": template["id"]}],
    }  # fmt: skip
    return int(api.post("/campaigns", body)["id"])


def completed(sessions: Sessions, clock: ManualClock, client_id: int, campaign_id: int) -> int:
    """Make a draft a campaign that is over; return its run."""
    with write(sessions) as session:
        session.execute(
            update(Campaign)
            .where(Campaign.id == campaign_id)
            .values(status=CampaignStatus.COMPLETED, launched_at=clock.now())
        )
        run = Run(
            client_id=client_id, campaign_id=campaign_id, occurrence_key="once",
            status=RunStatus.DONE, audience={}, last_member_id=0, started_at=clock.now(),
            finished_at=clock.now(),
            plan={
                "message_type": "marketing", "priority": 2,
                "channels": {
                    "email": {"template_version_id": 1, "provider_account_id": 1, "fields": []}
                },
            },
        )  # fmt: skip
        session.add(run)
        session.flush()
        return run.id


def test_a_copy_is_a_draft_that_starts_by_hand(api: Caller, campaign: int) -> None:
    later = {"schedule_type": "scheduled", "scheduled_at": "2026-12-01T09:00:00Z"}
    api.patch(f"/campaigns/{campaign}", later)
    api.post(f"/campaigns/{campaign}/launch")

    first = api.post(f"/campaigns/{campaign}/duplicate", {})
    second = api.post(f"/campaigns/{campaign}/duplicate", {})
    named = api.post(f"/campaigns/{campaign}/duplicate", {"name": "Coffee"})

    assert [one["name"] for one in (first, second, named)] == [
        "Tea (copy)", "Tea (copy 2)", "Coffee",
    ]  # fmt: skip
    assert (first["status"], first["schedule_type"], first["scheduled_at"]) == (
        "draft", "immediate", None,
    )  # fmt: skip
    assert (first["budget"], first["tags"]) == ("90.0000", ["tea"])
    assert len(first["variants"]) == 1
    refused(api.ask("POST", f"/campaigns/{campaign}/duplicate", {"name": "Coffee"}), 409)
    [waits] = api.get("/campaigns/scheduled")["data"]
    assert (waits["campaign"]["id"], waits["local"]) == (campaign, "2026-12-01T09:00:00+00:00")
    assert waits["channels"] == ["email"]


def test_what_is_over_can_be_put_away_and_what_is_under_way_cannot_be_deleted(
    api: Caller, make: Factory, sessions: Sessions, clock: ManualClock, campaign: int
) -> None:
    refused(api.ask("POST", f"/campaigns/{campaign}/archive"), 409)
    run = completed(sessions, clock, make.client_id, campaign)
    assert api.post(f"/campaigns/{campaign}/archive")["status"] == "archived"
    assert api.post(f"/campaigns/{campaign}/restore")["status"] == "completed"
    waits = make.message(run_id=run, campaign_id=campaign, status=Status.QUEUED, sent_at=None)

    refused(api.ask("DELETE", f"/campaigns/{campaign}"), 409)
    with write(sessions) as session:
        session.get_one(Communication, waits).status = Status.DELIVERED
    api.delete(f"/campaigns/{campaign}")

    refused(api.ask("GET", f"/campaigns/{campaign}"), 404)
    assert api.get("/communications", campaign_id=campaign)["data"][0]["id"] == waits


def test_many_campaigns_are_changed_at_once_or_only_tried(
    api: Caller, campaign: int, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    twin, over = (api.post(f"/campaigns/{campaign}/duplicate", {})["id"] for _ in range(2))
    completed(sessions, clock, client_id, over)
    change = {"ids": [campaign, twin, over], "do": "update", "changes": {"priority": "urgent"}}

    def ask(**more: Any) -> tuple[bool, list[bool], list[str]]:
        told = api.post("/campaigns/batch", {**change, **more})
        ids = (campaign, twin)
        found = [api.get(f"/campaigns/{one}")["priority"] for one in ids]
        return told["applied"], [one["ok"] for one in told["results"]], found

    assert ask(dry_run=True) == (False, [True, True, False], ["medium", "medium"])
    assert ask(all_or_nothing=True) == (False, [True, True, False], ["medium", "medium"])
    assert ask() == (True, [True, True, False], ["urgent", "urgent"])
    gone = api.post("/campaigns/batch", {"ids": [twin, campaign], "do": "archive"})
    errors = [one["error"] for one in gone["results"]]
    assert [one["code"] for one in errors] == ["campaign_state"] * 2
    assert [one["pointer"] for one in errors] == ["/ids/0", "/ids/1"]
    assert all(one["remedy"] for one in errors)
    assert api.post("/campaigns/batch", {"ids": [twin], "do": "delete"})["applied"]
    refused(api.ask("GET", f"/campaigns/{twin}"), 404)


def test_many_are_locked_in_one_order_and_answered_in_the_askers(
    api: Caller, sessions: Sessions, clock: ManualClock, client_id: int, campaign: int
) -> None:
    twin = api.post(f"/campaigns/{campaign}/duplicate", {})["id"]
    locked: list[int] = []
    with write(sessions) as session:

        @event.listens_for(session, "before_flush")
        def note(flushing: Session, context: object, instances: object) -> None:
            locked.extend(one.id for one in flushing.dirty if isinstance(one, Campaign))

        done = do_all(
            session, clock, client_id=client_id, campaign_ids=[twin, campaign], deed=Deed.UPDATE,
            changes={"priority": "urgent"},
        )  # fmt: skip

    assert [one.campaign_id for one in done] == [twin, campaign]
    assert list(dict.fromkeys(locked)) == sorted((campaign, twin))


def test_money_is_held_against_cost_with_an_interval(
    api: Caller, make: Factory, sessions: Sessions, clock: ManualClock, campaign: int
) -> None:
    api.patch(f"/campaigns/{campaign}", {"cost_per_message": "0.50"})
    completed(sessions, clock, make.client_id, campaign)
    paid = {"cost": "1.00", "currency": "EUR", "campaign_id": campaign}
    sent = [make.message(**paid) for _ in range(19)] + [make.message(campaign_id=campaign)]
    with write(sessions) as session:
        orders = [(OrderKind.ORDER, "10")] * 10 + [(OrderKind.REFUND, "-10")]
        for number, (kind, amount) in enumerate(orders):
            session.add(
                Order(
                    client_id=make.client_id, member_id=1, order_id=f"o{number}", kind=kind,
                    amount=amount, currency="EUR", occurred_at=clock.now(),
                    communication_id=sent[number], created_at=clock.now(),
                )
            )  # fmt: skip

    told = api.get(f"/campaigns/{campaign}/roi")

    assert (told["model"], told["currency"], told["lift"]) == ("last_click", "EUR", None)
    assert (told["messages"], told["unpriced"], told["orders"]) == (20, 1, 10)
    assert [float(told[name]) for name in ("cost", "estimated", "revenue")] == [19.0, 0.5, 90.0]
    assert told["return_on_cost"] == pytest.approx((90 - 19.5) / 19.5)
    assert told["break_even_orders"] == 2
    assert 0 < float(told["low"]) < 90 < float(told["high"])
    lines = api.get(f"/campaigns/{campaign}/timeline")
    whats = [one["what"] for one in lines["happenings"]]
    assert whats[0] == "created"
    assert {"launched", "run_started", "run_done"} <= set(whats)
    assert lines["volume"] == [{"hour": "2026-11-21T12:00:00+00:00", "sent": 20}]


def test_advice_has_its_evidence_and_none_is_given_without(
    api: Caller, make: Factory, sessions: Sessions, clock: ManualClock, campaign: int
) -> None:
    assert api.get(f"/campaigns/{campaign}/suggestions")["data"] == []
    run = completed(sessions, clock, make.client_id, campaign)
    mine = {"run_id": run, "campaign_id": campaign, "template_version_id": 1}
    at = clock.now() + timedelta(hours=6)
    for _ in range(30):
        make.message(status=Status.READ, read_at=at, **mine)
    for _ in range(20):
        make.message(status=Status.BOUNCED, **mine)
    for _ in range(10):
        make.message(
            make.member(), status=Status.SKIPPED, reason=Reason.NO_CONSENT, sent_at=None, **mine
        )

    told = {one["code"]: one for one in api.get(f"/campaigns/{campaign}/suggestions")["data"]}

    assert set(told) == {"skipped_no_consent", "bounced", "hour"}
    assert told["bounced"]["evidence"] == {"bounced": 20, "settled": 50}
    assert told["hour"]["evidence"]["hour"] == 18
    assert api.get(f"/campaigns/{campaign}/engagement")["read"] == 30
    [trial] = api.get(f"/campaigns/{campaign}/experiment")["trials"]
    [arm] = trial["arms"]
    assert (trial["channel"], trial["verdict"], trial["leader"]) == ("email", "no_test", None)
    assert (arm["assigned"], arm["messages"], arm["goals"], arm["rate"]) == (60, 50, 0, 0.0)
    assert arm["low"] == 0.0
    assert 0.0 < arm["high"] < 0.2
    assert good(api.ask("GET", "/campaigns"))["data"]
