"""Mirrors api/reports.py and what it counts with; docs/reference/reports.md works."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from channels.adapter import EventType
from channels.channel import Channel
from communications.communication import Communication, Direction, MessageType, Reason
from communications.event import CommunicationEvent
from communications.response import intent
from communications.status import Rank, Status
from core.clock import ManualClock
from core.db import Sessions, read, write
from tests.api.caller import Caller, refused, remedies
from tests.api.test_reference import examples, play
from tests.factories import Factory
from webhooks import retention

MINUTE = timedelta(minutes=1)
PAGE = Path(__file__).parents[2] / "docs/reference/reports.md"


def told(
    sessions: Sessions, clock: ManualClock, message: int, kind: EventType, **values: Any
) -> None:
    """One event about a message."""
    with write(sessions) as session:
        row = session.get_one(Communication, message)
        session.add(
            CommunicationEvent(
                client_id=row.client_id, communication_id=message, source="sendgrid", type=kind,
                dedup_key=f"{message}:{kind}:{values}", occurred_at=clock.now(),
                received_at=clock.now(), **values,
            )
        )  # fmt: skip


def test_the_numbers_add_up_and_say_what_they_are_divided_by(
    api: Caller, make: Factory, sessions: Sessions, clock: ManualClock
) -> None:
    account = make.account("sendgrid", Channel.EMAIL, {})
    nothing = {"sent_at": None, "rank": 0}
    seen = {"provider_account_id": account, "campaign_id": 7}
    delivered = [
        make.message(status=Status.DELIVERED, delivered_at=clock.now(), **seen) for _ in range(3)
    ]
    make.message(status=Status.CLICKED, clicked_at=clock.now(), **seen)
    make.message(status=Status.SENT, **seen)
    make.message(status=Status.BOUNCED, **seen)
    make.message(status=Status.FAILED, reason=Reason.UNDELIVERED, **seen)
    make.message(status=Status.FAILED, reason=Reason.REJECTED, **seen | nothing)
    make.message(status=Status.UNKNOWN, **seen | nothing)
    make.message(status=Status.SKIPPED, reason=Reason.NO_CONSENT, **seen | nothing)
    make.message(channel="sms", campaign_id=8)
    make.message(created_at=clock.now() - timedelta(days=40))
    told(sessions, clock, delivered[0], EventType.COMPLAINED)

    mail, sms = api.get("/communications/statistics")["data"]

    assert (mail["key"], mail["messages"], sms["key"], sms["messages"]) == ("email", 10, "sms", 1)
    assert (mail["accepted"], mail["delivered"], mail["clicked"]) == (7, 4, 1)
    assert mail["rate"] == pytest.approx(4 / 7)
    assert mail["maturity"] == pytest.approx(6 / 7)
    assert (mail["complained"], mail["complaint_rate"], mail["complaints"]) == (1, 0.25, "few")
    parts = ("skipped", "queued", "unknown", "refused", "accepted")
    assert [mail[name] for name in parts] == [1, 0, 1, 1, 7]
    for row in (mail, sms):
        assert row["messages"] == sum(row[name] for name in parts)
        assert row["accepted"] == sum(
            row[name] for name in ("delivered", "bounced", "undelivered", "pending")
        )
    assert (sms["rate"], sms["remarkable"]) == (0.0, False)

    def keys(**query: Any) -> dict[str, int]:
        data = api.get("/communications/statistics", **query)["data"]
        return {row["key"]: row["messages"] for row in data}

    assert keys(by="campaign") == {"7": 10, "8": 1}
    assert keys(by="domain") == {"example.com": 10, None: 1}
    assert keys(by="provider", campaign_id=7) == {str(account): 10}
    assert keys(by="day") == {"2026-11-21": 11}
    assert keys(by="day", since="2026-01-01T00:00:00Z") == {"2026-11-21": 11, "2026-10-12": 1}


def test_a_group_far_below_the_others_is_remarkable(
    api: Caller, make: Factory, sessions: Sessions, clock: ManualClock
) -> None:
    good = [make.message(campaign_id=1, status=Status.DELIVERED) for _ in range(50)]
    for _ in range(50):
        make.message(campaign_id=2, status=Status.BOUNCED)
    told(sessions, clock, good[0], EventType.COMPLAINED)

    one, two = api.get("/communications/statistics", by="campaign")["data"]

    assert [(row["key"], row["remarkable"]) for row in (one, two)] == [("1", False), ("2", True)]
    assert one["complaints"] == "too_many"
    listed = api.get("/communications/spam-reports")["data"]
    assert [(row["communication_id"], row["campaign_id"]) for row in listed] == [(good[0], 1)]


def test_costs_are_exact_and_say_what_has_no_price_yet(api: Caller, make: Factory) -> None:
    for cost in ("0.1", "0.2", None):
        paid = {"cost": cost, "currency": "USD", "segments": 2} if cost else {}
        make.message(channel="sms", **paid)

    costs = api.get("/communications/costs")["data"]

    found = {row["currency"]: (row["amount"], row["priced"], row["unpriced"]) for row in costs}
    assert found == {"USD": ("0.300000", 2, 0), None: (None, 0, 1)}
    assert next(row for row in costs if row["currency"])["segments"] == 4


def test_people_and_machines_are_told_apart(
    api: Caller, make: Factory, sessions: Sessions, clock: ManualClock
) -> None:
    at = clock.now()
    url = "https://shop.example.com/tea"
    read_it = make.message(status=Status.READ, rank=Rank.READ, read_at=at + MINUTE)
    clicked = make.message(
        status=Status.CLICKED,
        rank=Rank.CLICKED,
        read_at=at + 5 * MINUTE,
        clicked_at=at + 3 * MINUTE,
    )
    scanned = make.message(status=Status.DELIVERED, machine_read=True, machine_clicked=True)
    make.message(status=Status.REPLIED, replied_at=at + 9 * MINUTE, channel="sms")
    told(sessions, clock, scanned, EventType.OPENED, machine=True)
    told(sessions, clock, read_it, EventType.OPENED)
    told(sessions, clock, clicked, EventType.CLICKED, detail=url)
    told(sessions, clock, scanned, EventType.CLICKED, machine=True, detail=url)
    for text in ("Yes please", "STOP", "How much?", "no", "Thanks"):
        make.message(
            make.member(), channel="sms", direction=Direction.INBOUND, content=text, sent_at=None
        )

    found = api.get("/communications/engagement")

    numbers = ("delivered", "read", "clicked", "replied", "machine_read", "machine_clicked")
    assert [found[name] for name in numbers] == [4, 3, 1, 1, 1, 1]
    assert found["links"] == [{"url": url, "clicked": 1}]
    assert (found["seconds"], found["sample"]) == (180.0, 3)
    assert (found["timezone"], found["hours"][12]) == ("UTC", 3)
    answers = api.get("/communications/responses", channel="sms")
    assert (answers["rate"], answers["seconds"], answers["sample"]) == (1.0, 540.0, 5)
    assert answers["intents"] == {"yes": 1, "stop": 1, "question": 1, "no": 1, "other": 1}
    assert intent("") == "other"
    assert api.get("/communications/responses", channel="push")["rate"] is None


def test_links_are_of_the_newest_messages_in_which_somebody_did_something(
    api: Caller,
    make: Factory,
    sessions: Sessions,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("communications.response.SAMPLE", 3)
    at = clock.now()
    older = make.message(status=Status.CLICKED, clicked_at=at)
    unsent = make.message(status=Status.CLICKED, clicked_at=at, sent_at=None)
    newer = make.message(status=Status.CLICKED, clicked_at=at)
    make.message(status=Status.READ, read_at=at)
    make.message(status=Status.DELIVERED)
    for message, path in ((older, "a"), (unsent, "b"), (newer, "b"), (newer, "c")):
        url = f"https://shop.example.com/{path}"
        told(sessions, clock, message, EventType.CLICKED, detail=url)
        told(sessions, clock, message, EventType.OPENED, detail=url)

    found = api.get("/communications/engagement")

    links = [(link["url"][-1], link["clicked"]) for link in found["links"]]
    assert (found["clicked"], found["sample"], links) == (3, 2, [("b", 2), ("c", 1)])


def test_an_opt_out_shows_its_way_and_what_still_left(
    api: Caller, make: Factory, clock: ManualClock
) -> None:
    ana = api.post("/members", {"email": "ana@example.com"})["id"]
    word = {"channel": "email", "state": "withdrawn", "source": "phone call"}
    api.post(f"/members/{ana}/consents", word)
    clock.advance(minutes=1)
    make.message(ana, to_address="ana@example.com")
    make.message(ana, to_address="ana@example.com", message_type=MessageType.TRANSACTIONAL)

    [said] = api.get("/communications/opt-outs")["data"]

    assert (said["member_id"], said["channel"], said["source"]) == (ana, "email", "phone call")
    assert said["sent_after"] == 1
    api.post(f"/members/{ana}/consents", {**word, "state": "granted", "topic": "news"})
    clock.advance(minutes=1)
    make.message(ana, to_address="ana@example.com")
    clock.advance(minutes=1)
    api.post(f"/members/{ana}/consents", {**word, "state": "granted"})
    clock.advance(minutes=1)
    make.message(ana, to_address="ana@example.com")
    assert [one["sent_after"] for one in api.get("/communications/opt-outs")["data"]] == [2]


def test_failures_are_sent_again_once_they_are_mended(
    api: Caller, make: Factory, sessions: Sessions, clock: ManualClock
) -> None:
    account = make.account("twilio", Channel.SMS, {})
    failed = {
        "channel": "sms", "status": Status.FAILED, "rank": 0, "reason": Reason.REJECTED,
        "sent_at": None, "provider_account_id": account, "error_message": "no",
    }  # fmt: skip
    spam = [make.message(error_code="30007", tries=1, **failed) for _ in range(3)]
    out = make.message(error_code="21610", **failed)
    doubted = make.message(error_code="30007", open_attempts=1, **failed)
    late = {"status": Status.FAILED, "reason": Reason.UNDELIVERED, "rank": Rank.UNDELIVERED}
    make.message(channel="sms", error_code="30007", **late)

    groups = api.get("/communications/failures")["data"]
    asked = {"filter": {"error_code": "30007"}}

    names = ("error_code", "reason", "rows", "retryable")
    assert [tuple(row[name] for name in names) for row in groups] == [
        ("30007", "rejected", 4, 3),
        ("21610", "rejected", 1, 0),
        ("30007", "undelivered", 1, 0),
    ]
    assert groups[0]["cause"] == "the carrier filtered it as spam"
    told = {"rows": 3, "content_removed": 0, "dry_run": True}
    assert api.post("/communications/retry", asked) == told
    for count, status in ((2, 409), (0, 422)):
        body = {**asked, "dry_run": False, "count": count}
        refused(api.ask("POST", "/communications/retry", body), status)
    hopeless = {"filter": {"error_code": "21610"}}
    assert "START" in str(refused(api.ask("POST", "/communications/retry", hopeless), 409))
    clock.advance(hours=1)
    body = {**asked, "dry_run": False, "count": 3}
    assert api.post("/communications/retry", body) == told | {"dry_run": False}
    with read(sessions) as session:
        rows = {row.id: row for row in session.scalars(select(Communication))}
    for one in spam:
        assert (rows[one].status, rows[one].reason, rows[one].tries) == ("queued", None, 0)
        assert rows[one].not_before == clock.now()
    assert {rows[one].status for one in (out, doubted)} == {Status.FAILED}
    assert api.post("/communications/retry", asked)["rows"] == 0
    with write(sessions) as session:
        session.execute(update(Communication).values(status=Status.SENT))
    assert api.get("/communications/failures")["data"] == []


def test_what_was_emptied_is_counted_and_not_sent_again(
    api: Caller, make: Factory, sessions: Sessions, clock: ManualClock
) -> None:
    failed = {
        "channel": "sms", "status": Status.FAILED, "rank": 0, "reason": Reason.REJECTED,
        "sent_at": None, "content": "Hello", "subject": None, "error_code": "30007",
    }  # fmt: skip
    old = make.message(**failed)
    clock.advance(days=181)
    forget_content(sessions, clock)
    asked = {"filter": {"error_code": "30007"}}
    ask = {**asked, "dry_run": False, "count": 1}

    assert api.post("/communications/retry", asked)["content_removed"] == 1
    problem = refused(api.ask("POST", "/communications/retry", ask), 409)
    assert problem["type"].endswith("content_removed")
    assert "another campaign" in remedies(problem)

    new = make.message(**failed)
    group = api.get("/communications/failures")["data"][0]
    assert (group["rows"], group["retryable"], group["content_removed"]) == (2, 1, 1)
    told = {"rows": 1, "content_removed": 1}
    assert api.post("/communications/retry", asked) == told | {"dry_run": True}
    assert api.post("/communications/retry", ask) == told | {"dry_run": False}
    shown = {one: api.get(f"/communications/{one}") for one in (old, new)}
    assert (shown[old]["status"], shown[new]["status"]) == ("failed", "queued")
    assert (shown[old]["content"], shown[new]["content"]["text"]) == ({}, "Hello")
    assert shown[old]["content_removed_at"].startswith(str(clock.now().date()))
    assert shown[new]["content_removed_at"] is None


def forget_content(sessions: Sessions, clock: ManualClock) -> None:
    more = True
    while more:
        with write(sessions) as session:
            more = retention.step(session, clock)


def test_the_examples_of_the_page_work(api: Caller) -> None:
    assert play(api, examples(PAGE)) == 6
