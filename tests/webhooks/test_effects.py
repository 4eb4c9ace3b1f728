"""Mirrors communications/effects.py, through the door receipts come in by."""

import itertools

import pytest

from communications.communication import Communication, MessageType, Reason
from communications.status import Status
from core.db import write
from members.address import MemberAddress
from members.consent import Consent, CurrentConsent
from members.member import Member
from members.suppression import Suppression

KEYS = itertools.count()
TABLE = [
    # event of SendGrid, more of it, scope, reason, address, consent
    ("bounce", {}, "all", "bounced", "invalid", "granted"),
    ("dropped", {"reason": "Invalid"}, "all", "invalid", "invalid", "granted"),
    ("dropped", {"reason": "Bounced Address"}, "all", "invalid", "invalid", "granted"),
    ("spamreport", {}, "marketing", "complained", "active", "withdrawn"),
    ("unsubscribe", {}, "marketing", "unsubscribed", "active", "withdrawn"),
    ("group_unsubscribe", {}, "marketing", "unsubscribed", "active", "withdrawn"),
    (
        "dropped",
        {"reason": "Unsubscribed Address"},
        "marketing",
        "unsubscribed",
        "active",
        "withdrawn",
    ),
]


@pytest.fixture
def post(sendgrid, desk, work):
    """Post one event about a message and apply it."""

    def one(event: str, message: int, **more):
        sendgrid.post(
            {
                "event": event,
                "sg_event_id": f"key-{next(KEYS)}",
                "timestamp": 1795262400,
                "ex_ref": desk.references.make(message, 1),
            }
            | more
        )
        work()

    return one


@pytest.mark.parametrize(("event", "more", "scope", "reason", "state", "consent"), TABLE)
def test_each_receipt_has_its_effects(
    make, post, all_rows, event, more, scope, reason, state, consent
):
    message = make.message()
    post(event, message, **more)
    [found] = all_rows(Suppression)
    assert (found.scope, found.reason, found.channel) == (scope, reason, "email")
    assert found.evidence == f"communication:{message}"
    assert "@e***.com" in found.masked
    assert [row.state for row in all_rows(MemberAddress)] == [state]
    assert [row.state for row in all_rows(CurrentConsent)] == [consent]


@pytest.mark.parametrize(
    ("event", "more"),
    [
        ("processed", {}),
        ("deferred", {}),
        ("delivered", {}),
        ("open", {}),
        ("click", {}),
        ("bounce", {"type": "blocked", "status": "5.0.0"}),
        ("dropped", {"reason": "Spam Content"}),
        ("group_resubscribe", {}),
        ("account_status_change", {}),
    ],
)
def test_other_receipts_have_none(make, post, all_rows, event, more):
    post(event, make.message(), **more)
    assert all_rows(Suppression) == []
    assert all_rows(Consent) == []
    assert [row.state for row in all_rows(MemberAddress)] == ["active"]


def test_a_repeat_has_no_second_effect(make, post, all_rows):
    message = make.message()
    for _ in range(3):
        post("spamreport", message, sg_event_id="one")
    assert [len(all_rows(kind)) for kind in (Suppression, Consent)] == [1, 1]


@pytest.mark.parametrize(
    ("event", "receipts"), [("bounce", Status.SKIPPED), ("spamreport", Status.QUEUED)]
)
def test_what_is_queued_is_skipped_as_far_as_the_scope_goes(make, post, sessions, event, receipts):
    member = make.member()
    to = make.address(member)
    waiting = {"to_address": to, "status": Status.QUEUED, "rank": 0}
    sent = make.message(member, to_address=to)
    queued = make.message(member, **waiting)
    receipt = make.message(member, **waiting, message_type=MessageType.TRANSACTIONAL)
    elsewhere = make.message(status=Status.QUEUED, rank=0)
    post(event, sent)
    with sessions() as session:
        rows = {row.id: row for row in session.query(Communication)}
    assert (rows[queued].status, rows[queued].reason) == (Status.SKIPPED, Reason.SUPPRESSED)
    assert rows[receipt].status is receipts
    assert rows[elsewhere].status is Status.QUEUED


def test_an_opt_out_at_twilio_stops_the_number(make, twilio, desk, work, all_rows):
    message = make.message(channel="sms")
    twilio.status(desk.references.make(message, 1), "failed", ErrorCode="21610")
    work()
    [found] = all_rows(Suppression)
    assert (found.scope, found.reason, found.channel) == ("all", "stopped", "sms")
    assert [row.state for row in all_rows(CurrentConsent)] == ["withdrawn"]


def test_a_dead_number_is_marked(make, twilio, desk, work, all_rows):
    message = make.message(channel="sms")
    twilio.status(desk.references.make(message, 1), "undelivered", ErrorCode="30005")
    work()
    [found] = all_rows(Suppression)
    assert (found.scope, found.reason) == ("all", "invalid")
    assert [row.state for row in all_rows(MemberAddress)] == ["invalid"]


def test_another_clients_same_address_is_not_touched(make, post, all_rows):
    theirs = make.another_client()
    theirs.address(theirs.member(), value="ana@example.com")
    member = make.member()
    message = make.message(member, to_address=make.address(member, value="ana@example.com"))
    post("bounce", message)
    assert [row.client_id for row in all_rows(Suppression)] == [make.client_id]
    assert {row.client_id: row.state for row in all_rows(MemberAddress)} == {
        make.client_id: "invalid",
        theirs.client_id: "active",
    }


def test_an_erased_member_leaves_the_suppression(make, post, sessions, all_rows):
    message = make.message()
    with write(sessions) as session:
        for model in (CurrentConsent, MemberAddress, Member):
            session.query(model).delete()
        session.get_one(Communication, message).to_address = None
    post("spamreport", message)
    assert len(all_rows(Suppression)) == 1
    assert all_rows(Consent) == []


def test_many_at_once_are_all_carried_out(make, sendgrid, desk, work, all_rows):
    messages = [make.message() for _ in range(30)]
    sendgrid.post(
        *[
            {
                "event": ("bounce", "spamreport", "unsubscribe")[number % 3],
                "sg_event_id": f"many-{number}",
                "timestamp": 1795262400,
                "ex_ref": desk.references.make(message, 1),
            }
            for number, message in enumerate(messages)
        ]
    )
    work()
    reasons = [row.reason.value for row in all_rows(Suppression)]
    assert [reasons.count(name) for name in ("bounced", "complained", "unsubscribed")] == [10] * 3
