"""Mirrors webhooks/replies.py."""

import pytest
from sqlalchemy import select, true

from campaigns.decision import decisions
from channels.channel import Channel
from communications.communication import Communication, Direction, MessageType
from communications.event import CommunicationEvent
from communications.status import Status
from core.db import write
from members.consent import Consent, ConsentState, CurrentConsent
from members.edit import delete_member
from members.erasure import erase
from members.suppression import Scope, Suppression, SuppressionReason, suppress
from webhooks.inbox import InboxItem

ANA = "+12015550123"


@pytest.fixture
def message(make):
    member = make.member()
    return make.message(member, "sms", to_address=make.address(member, "sms", ANA))


@pytest.fixture
def hear(twilio, work):
    """Receive one inbound message and apply it."""
    numbers = iter(range(1000))

    def one(body: str, sender: str = ANA, **more: str):
        answer = twilio.inbound(sender, body, sid=f"SM{next(numbers)}", **more)
        assert answer.status_code == 200
        work()

    return one


@pytest.fixture
def inbound(all_rows):
    def rows():
        return [row for row in all_rows(Communication) if row.direction is Direction.INBOUND]

    return rows


@pytest.fixture
def status(sessions):
    def read(message: int) -> Status:
        with sessions() as session:
            return session.get_one(Communication, message).status

    return read


def test_a_reply_is_a_row_and_a_fact(message, hear, inbound, status, sessions, clock):
    hear("Yes please 😀")
    [row] = inbound()
    assert (row.content, row.from_address, row.to_address) == ("Yes please 😀", ANA, "+15005550006")
    assert (row.status, row.run_id, row.delivered_at) == (Status.DELIVERED, None, clock.now())
    with sessions() as session:
        assert row.member_id == session.get_one(Communication, message).member_id
    assert status(message) is Status.REPLIED


def test_the_latest_message_is_the_one_replied_to(make, message, hear, status, sessions):
    with sessions() as session:
        member = session.get_one(Communication, message).member_id
    later = make.message(member, "sms", to_address=ANA)
    unsent = make.message(member, "sms", to_address=ANA, status=Status.QUEUED, sent_at=None)
    hear("ok")
    assert [status(each) for each in (message, later, unsent)] == [
        Status.SENT,
        Status.REPLIED,
        Status.QUEUED,
    ]


def test_a_stop_holds_for_everybody_at_the_number(make, message, hear, sessions):
    make.address(make.member(), "sms", ANA)
    hear("STOP")
    with sessions() as session:
        rows = decisions([true()], channel=Channel.SMS, message_type=MessageType.MARKETING)
        assert [row.reason for row in session.execute(select(rows))] == ["suppressed"] * 2


def test_told_twice_is_one_row(message, twilio, work, inbound, all_rows):
    for extra in ("1", "2"):
        twilio.inbound(ANA, "hello", sid="SM77", NumSegments=extra)
        work()
    assert len(inbound()) == 1
    assert len(all_rows(CommunicationEvent)) == 1


@pytest.mark.parametrize("sender", ["+12015550199", "12345", "BANK", "whatsapp:+12015550123", ""])
def test_a_stranger_is_filed_without_a_member(message, hear, inbound, status, sender):
    hear("who is this?", sender)
    [row] = inbound()
    assert (row.member_id, row.from_address) == (None, sender)
    assert status(message) is Status.SENT


@pytest.mark.parametrize("before", [None, *SuppressionReason])
def test_who_was_erased_and_writes_again_is_heard_without_a_number(
    make, hear, inbound, all_rows, sessions, clock, before
):
    """Nothing stored tells who it was: neither the row nor the request that told it."""
    ana = make.member()
    make.message(ana, "sms", to_address=make.address(ana, "sms", ANA))
    with write(sessions) as session:
        if before is not None:
            suppress(
                session, clock, client_id=make.client_id, channel="sms", masked="+1•••0123",
                address_hash=make.hasher.hash(make.client_id, "sms", ANA),
                scope=Scope.ALL, reason=before,
            )  # fmt: skip
        delete_member(session, clock, client_id=make.client_id, id=ana)
        erase(session, clock, make.hasher, client_id=make.client_id, id=ana)
    hear("Who is this?")
    hear("Hello", sender="+12015550199")
    assert [(row.content, row.from_address, row.member_id) for row in inbound()] == [
        ("Who is this?", None, None),
        ("Hello", "+12015550199", None),
    ]
    assert [bool(item.request) for item in all_rows(InboxItem)] == [False, True]
    [kept] = all_rows(Suppression)
    assert (kept.reason, kept.masked) == (SuppressionReason.ERASED, "erased")


@pytest.mark.parametrize("body", ["STOP", "stop", " Stop. ", "UNSUBSCRIBE", "Cancel", "opt out"])
def test_stop_stops_everything_to_the_number(message, hear, inbound, status, all_rows, body):
    hear(body)
    [row] = inbound()
    [kept] = all_rows(Suppression)
    assert (kept.scope, kept.reason) == (Scope.ALL, SuppressionReason.STOPPED)
    assert kept.evidence == f"communication:{row.id}"
    [consent] = all_rows(Consent)
    assert (consent.state, consent.source) == (ConsentState.WITHDRAWN, "stop")
    assert consent.proof["text"] == body
    assert status(message) is Status.SENT


def test_stop_skips_what_is_queued_of_any_kind(make, message, hear, status, sessions):
    with sessions() as session:
        member = session.get_one(Communication, message).member_id
    queued = make.message(
        member,
        "sms",
        to_address=ANA,
        status=Status.QUEUED,
        rank=0,
        message_type=MessageType.TRANSACTIONAL,
    )
    hear("STOP")
    assert status(queued) is Status.SKIPPED


def test_stop_holds_for_a_number_nobody_has(make, hear, all_rows):
    hear("STOP", "+12015550177")
    assert [row.address_hash for row in all_rows(Suppression)] == [make.hash("sms", "+12015550177")]
    assert all_rows(Consent) == []


def test_stop_speaks_for_everyone_who_shares_the_number(make, message, hear, all_rows):
    make.address(make.member(), "sms", ANA)
    hear("STOP")
    assert [row.state for row in all_rows(CurrentConsent)] == [ConsentState.WITHDRAWN] * 2


def test_stop_is_for_this_client_only(make, message, hear, all_rows):
    theirs = make.another_client()
    theirs.address(theirs.member(), "sms", ANA)
    hear("STOP")
    assert {row.client_id for row in all_rows(Suppression)} == {make.client_id}
    states = {row.client_id: row.state for row in all_rows(CurrentConsent)}
    assert states[theirs.client_id] is ConsentState.GRANTED


def test_start_takes_a_stop_back_with_the_text_as_proof(message, hear, all_rows):
    hear("STOP")
    hear("START")
    assert all_rows(Suppression) == []
    assert [row.state for row in all_rows(CurrentConsent)] == [ConsentState.GRANTED]
    last = all_rows(Consent)[-1]
    assert (last.source, last.proof["text"]) == ("start", "START")


def test_start_does_not_raise_the_dead(make, message, twilio, desk, work, hear, all_rows):
    twilio.status(desk.references.make(message, 1), "undelivered", ErrorCode="30005")
    work()
    hear("START")
    assert [row.reason for row in all_rows(Suppression)] == [SuppressionReason.INVALID]


def test_help_is_a_row_and_nothing_else(message, hear, inbound, status, all_rows):
    hear("HELP")
    assert len(inbound()) == 1
    assert status(message) is Status.SENT
    assert all_rows(Suppression) == all_rows(Consent) == all_rows(CommunicationEvent) == []


def test_twilios_reading_wins_over_the_words(message, hear, status, all_rows):
    hear("ARRET", OptOutType="STOP")
    assert len(all_rows(Suppression)) == 1
    hear("STOP", OptOutType="HELP")
    hear("weiter", OptOutType="START")
    assert all_rows(Suppression) == []


def test_a_sentence_with_stop_in_it_is_a_reply(message, hear, status, all_rows):
    hear("please stop by tomorrow")
    assert status(message) is Status.REPLIED
    assert all_rows(Suppression) == []


@pytest.mark.parametrize("body", ["", "\x00", "a\x00b", "x" * 10_000, "'; DROP TABLE members; --"])
def test_odd_texts_are_kept_as_far_as_they_can_be(message, hear, inbound, body):
    hear(body)
    [row] = inbound()
    assert row.content == body.replace("\x00", "")[:4000]


def test_many_replies_are_one_status(message, hear, inbound, status):
    for number in range(5):
        hear(f"message {number}")
    assert len(inbound()) == 5
    assert status(message) is Status.REPLIED
