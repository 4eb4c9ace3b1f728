"""Mirrors webhooks/replay.py."""

import itertools

import pytest

from accounts.audit import AuditEntry
from channels.adapter import EventType
from communications.account import ProviderAccount
from communications.communication import Communication
from communications.event import CommunicationEvent
from communications.status import Status
from core.db import write
from tests.factories import Factory
from webhooks.inbox import InboxItem, InboxState
from webhooks.receiver import Receivers
from webhooks.replay import (
    Choice,
    StoredRequestNotFoundError,
    contents,
    matching,
    replay,
    stocks,
    stored,
    troubles,
)

DEAD = Choice(states=(InboxState.DEAD,))
AT = 1795262400


@pytest.fixture
def told(desk):
    ids = itertools.count()

    def make_event(event: str, message: int):
        return {
            "event": event,
            "sg_event_id": f"id-{next(ids)}",
            "timestamp": AT,
            "email": "m1@example.com",
            "ex_ref": desk.references.make(message, 1),
        }

    return make_event


@pytest.fixture
def again(desk, client_id):
    """Put back what a choice means; returns how many."""

    def put_back(choice: Choice = DEAD, client: int = client_id) -> int:
        with write(desk.sessions) as session:
            expected = matching(session, client, choice)
            ids = replay(session, desk.clock, client_id=client, actor="cli", choice=choice)
        assert len(ids) == expected
        return expected

    return put_back


@pytest.fixture
def give_up(sessions):
    """Mark every stored request dead, as five failures would."""

    def mark() -> None:
        with write(sessions) as session:
            for item in session.query(InboxItem):
                item.state, item.tries, item.error = InboxState.DEAD, 5, "KeyError"

    return mark


def test_what_was_dead_is_applied_after_all(
    make, sendgrid, told, work, again, give_up, all_rows, desk
):
    message = make.message()
    sendgrid.post(told("delivered", message))
    give_up()
    work()
    assert all_rows(InboxItem)[0].state is InboxState.DEAD

    assert again() == 1
    work()

    [item] = all_rows(InboxItem)
    assert (item.state, item.tries, item.error) == (InboxState.APPLIED, 0, None)
    assert all_rows(Communication)[0].status is Status.DELIVERED


def test_applying_again_changes_nothing(make, sendgrid, twilio, told, work, again, all_rows, desk):
    message, text = make.message(), make.message(channel="sms")
    sendgrid.post(told("delivered", message), told("open", message), told("spamreport", message))
    twilio.status(desk.references.make(text, 1), "delivered")
    twilio.inbound("+12015550001", "STOP")
    twilio.inbound("+12015550002", "hello")
    work()
    before = facts(all_rows)

    desk.clock.advance(hours=1)
    assert again(Choice(states=(InboxState.APPLIED,))) == 4
    work()

    assert facts(all_rows) == before
    assert {item.state for item in all_rows(InboxItem)} == {InboxState.APPLIED}
    assert all(item.duplicates == item.events for item in all_rows(InboxItem))


def facts(all_rows) -> list[object]:
    rows = [(r.status, r.rank, r.direction, r.delivered_at) for r in all_rows(Communication)]
    return [rows, [(e.type, e.dedup_key) for e in all_rows(CommunicationEvent)]]


def test_what_waits_is_left_alone(make, sendgrid, told, again):
    sendgrid.post(told("delivered", make.message()))

    assert again(Choice(states=tuple(InboxState))) == 0


def test_a_choice_is_by_account_time_and_id(
    make, sendgrid, twilio, told, desk, again, give_up, all_rows
):
    start = desk.clock.now()
    sendgrid.post(told("delivered", make.message()))
    desk.clock.advance(hours=1)
    sendgrid.post(told("open", make.message()))
    twilio.status(desk.references.make(make.message(channel="sms"), 1), "delivered")
    later = desk.clock.now()
    first, second, third = (item.id for item in all_rows(InboxItem))

    def meant(**values: object) -> list[int]:
        give_up()
        with write(desk.sessions) as session:
            choice = Choice(**values)
            return list(
                replay(session, desk.clock, client_id=make.client_id, actor="cli", choice=choice)
            )

    assert meant() == [first, second, third]
    assert meant(account_id=sendgrid.account_id) == [first, second]
    assert meant(since=later) == [second, third]
    assert meant(until=later) == [first]
    assert meant(since=start, until=later) == [first]
    assert meant(ids=(first, third)) == [first, third]
    assert meant(states=(InboxState.APPLIED,)) == []


def test_another_clients_requests_are_not_there(make, sendgrid, told, again, give_up, desk):
    sendgrid.post(told("delivered", make.message()))
    give_up()
    with write(desk.sessions) as session:
        [item] = session.query(InboxItem)
        with pytest.raises(StoredRequestNotFoundError):
            stored(session, make.client_id + 1, item.id)
        assert stocks(session, make.client_id + 1) == []
        assert list(troubles(session, make.client_id + 1, limit=9)) == []

    other, all_of_them = make.another_client().client_id, Choice(ids=[item.id])
    assert [again(client=other), again(all_of_them, client=other)] == [0, 0]
    assert again(client=make.client_id) == 1


def test_a_replay_is_audited(make, sendgrid, told, again, give_up, all_rows):
    sendgrid.post(told("delivered", make.message()))
    give_up()
    again()

    [entry] = all_rows(AuditEntry)
    assert (entry.actor, entry.action) == ("cli", "webhook.replay")
    assert entry.detail == {"requests": 1, "ids": [all_rows(InboxItem)[0].id], "states": ["dead"]}


def test_stocks_and_troubles(make: Factory, sendgrid, told, work, give_up, desk, client_id):
    sendgrid.post(told("delivered", make.message()), told("open", make.message()))
    work()
    give_up()
    sendgrid.post(told("delivered", make.message()))

    with desk.sessions() as session:
        kept = {one.state: (one.requests, one.events) for one in stocks(session, client_id)}
        [trouble] = troubles(session, client_id, limit=9)

    assert kept == {InboxState.DEAD: (1, 2), InboxState.NEW: (1, 0)}
    assert trouble.error == "KeyError"


def test_contents_are_read_as_applying_reads_them(make, sendgrid, told, desk, sessions):
    sendgrid.post(told("open", make.message()))
    receivers = Receivers(desk.vault, desk.egress)
    with sessions() as session:
        [item] = session.query(InboxItem)
        found = contents(session, desk.vault, receivers, item)

    assert [event.type for event in found.events] == [EventType.OPENED]
    assert found.trouble is None
    assert found.webhook.method == "POST"


def test_contents_nobody_understands_are_shown_all_the_same(
    make, sendgrid, told, desk, sessions, monkeypatch
):
    sendgrid.post(told("open", make.message()))
    receivers = Receivers(desk.vault, desk.egress)
    with sessions() as session:
        [item] = session.query(InboxItem)
        kind = type(receivers.of(session.get_one(ProviderAccount, sendgrid.account_id)))
        monkeypatch.setattr(kind, "parse", lambda *_: {}["missing"])
        found = contents(session, desk.vault, receivers, item)

    assert (list(found.events), found.trouble) == ([], "KeyError")
