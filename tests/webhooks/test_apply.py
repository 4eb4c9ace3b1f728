"""Mirrors webhooks/apply.py."""

import itertools
import json
import random
import threading
from collections.abc import Callable

import pytest
from sqlalchemy.exc import OperationalError

from channels.adapter import EventType, ProviderEvent
from communications.account import ProviderAccount
from communications.communication import Communication
from communications.event import CommunicationEvent, EventState
from communications.status import Status
from core.db import write
from members.suppression import Suppression
from webhooks.apply import storable
from webhooks.inbox import InboxItem, InboxState

AT = 1795262400
"""Noon on 21 November 2026, as the clock of tests."""


@pytest.fixture
def told(desk):
    """One event of SendGrid's about a message."""
    ids = itertools.count()

    def make_event(event: str, message: int, /, **more):
        return {
            "event": event,
            "sg_event_id": f"id-{next(ids)}",
            "timestamp": AT,
            "email": "m1@example.com",
            "ex_ref": desk.references.make(message, 1),
        } | more

    return make_event


@pytest.fixture
def row(sessions):
    def read(message: int) -> Communication:
        with sessions() as session:
            return session.get_one(Communication, message)

    return read


def test_a_stored_request_becomes_facts_and_is_marked(make, sendgrid, told, work, row, all_rows):
    message = make.message()
    sendgrid.post(told("delivered", message), told("open", message))
    work()

    assert row(message).status is Status.READ
    [item] = all_rows(InboxItem)
    assert (item.state, item.events, item.duplicates) == (InboxState.APPLIED, 2, 0)
    assert {event.inbox_id for event in all_rows(CommunicationEvent)} == {item.id}


def test_there_is_no_work_when_nothing_is_stored(step_once):
    assert step_once() is False


def test_a_set_is_taken_at_a_time_until_there_is_none(make, sendgrid, told, step_once, all_rows):
    for _ in range(3):
        sendgrid.post(told("delivered", make.message()))
    assert [step_once(limit=2), step_once(limit=2), step_once(limit=2)] == [True, True, False]


def test_the_same_event_in_another_request_is_a_duplicate(make, sendgrid, told, work, all_rows):
    event = told("delivered", make.message())
    sendgrid.post(event)
    sendgrid.post(event, told("processed", make.message()))
    work()
    assert [(item.events, item.duplicates) for item in all_rows(InboxItem)] == [(1, 0), (2, 1)]


def test_each_event_46_times_and_shuffled_counts_once(make, sendgrid, told, work, all_rows):
    messages = [make.message() for _ in range(10)]
    events = [
        told(kind, message)
        for message in messages
        for kind in ("processed", "delivered", "open", "click")
    ]
    many = events * 46
    random.Random(7).shuffle(many)
    for start in range(0, len(many), 92):
        sendgrid.post(*many[start : start + 92])
    work()

    items = all_rows(InboxItem)
    assert sum(item.events for item in items) == len(many)
    assert sum(item.events - item.duplicates for item in items) == len(events)
    assert len(all_rows(CommunicationEvent)) == len(events)
    assert {row.status for row in all_rows(Communication)} == {Status.CLICKED}


def test_every_order_of_five_events_ends_alike(make, sendgrid, desk, work, all_rows):
    kinds = ("processed", "deferred", "delivered", "open", "spamreport")
    orders = list(itertools.permutations(range(len(kinds))))
    messages = [make.message() for _ in orders]
    for position in range(len(kinds)):
        sendgrid.post(
            *[
                {
                    "event": kinds[order[position]],
                    "sg_event_id": f"{message}-{kinds[order[position]]}",
                    "timestamp": AT + order[position],
                    "ex_ref": desk.references.make(message, 1),
                }
                for message, order in zip(messages, orders, strict=True)
            ]
        )
    work()
    rows = all_rows(Communication)
    outcomes = {(row.status, row.rank, row.sent_at, row.delivered_at, row.read_at) for row in rows}
    assert len(outcomes) == 1
    assert rows[0].status is Status.READ
    assert len(all_rows(Suppression)) == len(orders)


@pytest.mark.parametrize("kinds", list(itertools.permutations(("bounce", "open", "unsubscribe"))))
def test_effects_too_do_not_depend_on_the_order(make, sendgrid, told, work, all_rows, kinds):
    message = make.message()
    for kind in kinds:
        sendgrid.post(told(kind, message))
        work()
    found = sorted((row.scope.value, row.reason.value) for row in all_rows(Suppression))
    assert found == [("all", "bounced"), ("marketing", "unsubscribed")]


class TestOthers:
    def test_another_tenants_message_is_not_touched(
        self, make, sendgrid, told, work, row, all_rows
    ):
        """B029."""
        theirs = make.another_client()
        message = theirs.message()
        answer = sendgrid.post(told("bounce", message), told("spamreport", message))
        work()
        assert answer.status_code == 204
        assert row(message).status is Status.SENT
        assert all_rows(Suppression) == []
        assert {event.communication_id for event in all_rows(CommunicationEvent)} == {None}

    @pytest.mark.parametrize("reference", ["", "x", "0" * 40, "1", "-1", "é", "\u0000", "\ud800"])
    def test_an_unknown_message_has_no_effect(
        self, make, sendgrid, told, work, row, all_rows, reference
    ):
        """B029: the same answer, and no effect."""
        message = make.message()
        answer = sendgrid.post(told("bounce", message, ex_ref=reference))
        work()
        assert answer.status_code == 204
        assert row(message).status is Status.SENT
        assert all_rows(Suppression) == []
        assert [item.state for item in all_rows(InboxItem)] == [InboxState.APPLIED]

    def test_a_guessed_number_is_no_reference(self, make, sendgrid, told, work, row):
        """B029."""
        message = make.message()
        sendgrid.post(told("bounce", message, ex_ref=str(message), communication_id=message))
        work()
        assert row(message).status is Status.SENT


class TestOddContent:
    @pytest.mark.parametrize("text", ["\u0000", "\ud800", "a\u0000b\udfff", "x" * 5000, "'; --"])
    def test_texts_no_database_holds_do_not_stop_the_rest(
        self, make, sendgrid, told, work, row, all_rows, text
    ):
        """B028: signed, they are a provider's words, and its other events must not be lost."""
        message = make.message()
        odd = told("bounce", message, reason=text, sg_event_id=text, status=text, email=text)
        sendgrid.post(odd, told("delivered", make.message()))
        work()
        assert row(message).status is Status.BOUNCED
        assert [item.state for item in all_rows(InboxItem)] == [InboxState.APPLIED]
        assert len(all_rows(CommunicationEvent)) == 2

    @pytest.mark.parametrize(
        "at", [-1, 0, 1e18, 253402300799, -(10**30), "x", "", None, [], {}, True, 1e308]
    )
    def test_a_time_that_cannot_be_is_replaced_by_ours(
        self, make, sendgrid, told, work, row, clock, at
    ):
        """B029."""
        message = make.message(sent_at=None, delivered_at=None)
        sendgrid.post(told("delivered", message, timestamp=at))
        work()
        assert (row(message).status, row(message).delivered_at) == (Status.DELIVERED, clock.now())

    @pytest.mark.parametrize("item", [None, 1, "x", [], {}, {"event": {}}, {"event": ["open"]}])
    def test_an_odd_item_does_not_spoil_the_batch(
        self, make, sendgrid, told, work, row, all_rows, item
    ):
        message = make.message()
        sendgrid.post_bytes(json.dumps([item, told("delivered", message)]).encode())
        work()
        assert row(message).status is Status.DELIVERED
        assert [item.state for item in all_rows(InboxItem)] == [InboxState.APPLIED]

    def test_duplicate_keys_and_nan_are_read_somehow(self, sendgrid, work, all_rows):
        """B028: signed, like those above."""
        body = b'[{"event":"open","event":"click","timestamp":NaN,"sg_event_id":"1"}]'
        assert sendgrid.post_bytes(body).status_code == 204
        work()
        assert [item.state for item in all_rows(InboxItem)] == [InboxState.APPLIED]

    def test_an_event_is_only_changed_where_it_must(self):
        clean = ProviderEvent(EventType.SENT, "k", None, None, None, "é")
        assert storable(clean) == clean
        dirty = ProviderEvent(EventType.SENT, "k\x00", None, None, None, "s", text="\ud800x")
        assert storable(dirty).dedup_key == "k"
        assert storable(dirty).text == "?x"


class TestUnreadable:
    def break_settings(self, sessions, clock, sendgrid, config=b"broken"):
        with write(sessions) as session:
            account = session.get_one(ProviderAccount, sendgrid.account_id)
            kept, account.config = account.config, config
            clock.advance(seconds=1)
            account.updated_at = clock.now()
        return kept

    def test_an_item_nobody_can_read_holds_up_no_other(
        self, make, web, sendgrid, sessions, clock, told, work, row, all_rows
    ):
        other = type(sendgrid)(make, web)
        first, second = make.message(), make.message()
        sendgrid.post(told("delivered", first))
        other.post(told("delivered", second))
        self.break_settings(sessions, clock, sendgrid)
        work()
        assert (row(first).status, row(second).status) == (Status.SENT, Status.DELIVERED)
        assert [item.state for item in all_rows(InboxItem)] == [
            InboxState.NEW,
            InboxState.APPLIED,
        ]

    def test_it_is_applied_once_it_can_be_read(
        self, make, sendgrid, sessions, clock, told, work, row
    ):
        message = make.message()
        sendgrid.post(told("delivered", message))
        kept = self.break_settings(sessions, clock, sendgrid)
        work()
        self.break_settings(sessions, clock, sendgrid, kept)
        clock.advance(minutes=2)
        work()
        assert row(message).status is Status.DELIVERED

    def test_after_five_tries_it_is_dead_and_names_no_content(
        self, make, sendgrid, sessions, clock, told, work, all_rows
    ):
        sendgrid.post(told("delivered", make.message()))
        self.break_settings(sessions, clock, sendgrid)
        for _ in range(8):
            work()
            clock.advance(days=1)
        [item] = all_rows(InboxItem)
        assert (item.state, item.tries, item.error) == (InboxState.DEAD, 5, "SealedError")

    def test_a_database_that_is_away_costs_no_try(
        self, make, sendgrid, told, work, fail_on, all_rows
    ):
        sendgrid.post(told("delivered", make.message()))
        fail_on("INSERT INTO communication_events")
        with pytest.raises(OperationalError):
            work()
        [item] = all_rows(InboxItem)
        assert (item.state, item.tries) == (InboxState.NEW, 0)


def in_threads(count: int, step: Callable[[], bool]) -> None:
    """Step in several threads until there is no work, as pumps do."""

    def work_on() -> None:
        for _ in range(200):
            try:
                if not step():
                    return
            except OperationalError:  # a deadlock: the pump comes again, and so do we
                continue

    threads = [threading.Thread(target=work_on) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_several_workers_at_once_apply_everything_once(make, sendgrid, told, step_once, all_rows):
    messages = [make.message() for _ in range(8)]
    for kind in ("processed", "delivered", "open", "spamreport", "bounce", "unsubscribe"):
        for message in messages:
            sendgrid.post(told(kind, message), told("deferred", messages[0]))

    in_threads(4, lambda: step_once(limit=3))

    items = all_rows(InboxItem)
    assert {item.state for item in items} == {InboxState.APPLIED}
    assert [item.duplicates for item in items] == [0] * len(items)
    assert {row.status for row in all_rows(Communication)} == {Status.READ}
    assert len(all_rows(Suppression)) == 2 * len(messages)


def test_twilio_receipts_are_matched_by_the_reference_in_the_url(make, twilio, desk, work, row):
    message = make.message(channel="sms")
    reference = desk.references.make(message, 1)
    for status in ("delivered", "sent", "queued", "delivered"):
        assert twilio.status(reference, status).status_code == 200
    work()
    assert row(message).status is Status.DELIVERED


def test_acks_of_the_clients_app_are_matched_too(make, fcm, desk, work, row):
    message = make.message(channel="push")
    reference = desk.references.make(message, 1)
    fcm.post([{"ref": reference, "event": "opened", "at": AT}])
    fcm.post([{"ref": reference, "event": "delivered", "at": AT}])
    work()
    assert row(message).status is Status.READ


def test_an_event_nobody_knows_is_kept(make, sendgrid, told, work, row, all_rows):
    message = make.message()
    sendgrid.post(told("teleported", message))
    work()
    assert row(message).status is Status.SENT
    [event] = all_rows(CommunicationEvent)
    assert (event.type, event.provider_status) == ("unrecognised", "teleported")
    assert event.state is EventState.APPLIED
