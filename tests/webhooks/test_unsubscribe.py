"""Mirrors webhooks/unsubscribe.py."""

import pytest
from sqlalchemy import delete

from communications.communication import Communication, MessageType, Reason
from communications.event import CommunicationEvent
from communications.status import Status
from core.db import write
from members.address import MemberAddress
from members.consent import Consent, ConsentState, CurrentConsent
from members.member import Member
from members.suppression import Scope, Suppression, SuppressionReason

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def press(web, desk):
    """POST a message's unsubscribe link as a page or a mail program does."""

    def post(message: int, **kwargs):
        link = desk.urls.unsubscribe(message).removeprefix("https://mail.example.org/in")
        answer = web.post(link, **kwargs)
        assert answer.status_code == 200
        return answer

    return post


def test_it_says_which_message_proves_it(make, press, all_rows):
    message = make.message()
    press(message)
    [kept] = all_rows(Suppression)
    assert (kept.scope, kept.reason) == (Scope.MARKETING, SuppressionReason.UNSUBSCRIBED)
    assert (kept.masked, kept.evidence) == ("m***@e***.com", f"communication:{message}")
    [consent] = all_rows(Consent)
    assert (consent.state, consent.source) == (ConsentState.WITHDRAWN, "unsubscribe")
    [event] = all_rows(CommunicationEvent)
    assert (event.type, event.communication_id) == ("unsubscribed", message)


def test_it_changes_no_status(make, press, all_rows):
    message = make.message(status=Status.DELIVERED)
    press(message)
    assert [row.status for row in all_rows(Communication)] == [Status.DELIVERED]


def test_one_click_needs_no_page_no_cookie_and_no_redirect(make, press, all_rows):
    for kwargs in (
        {"data": ONE_CLICK},
        {"data": ONE_CLICK, "content_type": "multipart/form-data"},
    ):
        answer = press(make.message(), **kwargs)
        assert "Set-Cookie" not in answer.headers
    assert [row.source for row in all_rows(Consent)] == ["one_click", "one_click"]


@pytest.mark.parametrize(
    "kwargs",
    [{}, {"json": {"a": 1}}, {"data": b"\xff\x00", "content_type": "application/octet-stream"}],
)
def test_any_body_will_do(make, press, all_rows, kwargs):
    """B063."""
    press(make.message(), **kwargs)
    assert len(all_rows(Suppression)) == 1


def test_twice_is_once(make, press, all_rows):
    """B063."""
    message = make.message()
    press(message)
    press(message, data=ONE_CLICK)
    assert [len(all_rows(kind)) for kind in (Suppression, Consent, CommunicationEvent)] == [1] * 3


def test_it_holds_for_one_address_only(make, press, all_rows):
    """B063."""
    member = make.member()
    here, there = make.message(), make.message(member)
    press(here)
    assert [row.address_hash for row in all_rows(Suppression)] == [
        row.address_hash for row in all_rows(Communication) if row.id == here
    ]
    assert there not in [event.communication_id for event in all_rows(CommunicationEvent)]


def test_what_is_queued_to_the_address_is_skipped_unless_it_is_no_marketing(make, press, sessions):
    member = make.member()
    to = make.address(member)
    sent = make.message(member, to_address=to)
    queued = make.message(member, to_address=to, status=Status.QUEUED, rank=0)
    receipt = make.message(
        member,
        to_address=to,
        status=Status.QUEUED,
        rank=0,
        message_type=MessageType.TRANSACTIONAL,
    )
    press(sent)
    with sessions() as session:
        row = session.get_one(Communication, queued)
        assert (row.status, row.reason) == (Status.SKIPPED, Reason.SUPPRESSED)
        assert session.get_one(Communication, receipt).status is Status.QUEUED


def test_an_sms_page_stops_every_message_to_the_number(make, press, all_rows):
    answer = press(make.message(channel="sms"))
    assert "You will get no more text messages" in answer.text
    assert [(row.scope, row.channel) for row in all_rows(Suppression)] == [(Scope.ALL, "sms")]


def test_who_came_back_and_leaves_again_is_heard_again(make, press, sessions, all_rows):
    """B064."""
    message = make.message()
    press(message)
    with write(sessions) as session:
        session.execute(delete(Suppression))
        for state in session.query(CurrentConsent):
            state.state = ConsentState.GRANTED
    press(message)
    assert len(all_rows(Suppression)) == 1
    assert [row.state for row in all_rows(CurrentConsent)] == [ConsentState.WITHDRAWN]


def test_an_erased_person_gets_the_same_page(make, press, sessions, all_rows):
    """B064."""
    message = make.message()
    with write(sessions) as session:
        for model in (CurrentConsent, MemberAddress, Member):
            session.execute(delete(model))
        session.get_one(Communication, message).to_address = None
    answer = press(message)
    assert "You will get no more marketing emails" in answer.text
    assert len(all_rows(Suppression)) == 1
    assert all_rows(Consent) == []


def test_a_message_without_any_address_left_is_no_error(make, press, all_rows):
    message = make.message(make.member(), to_address=None)
    press(message)
    assert all_rows(Suppression) == []
