"""Mirrors communications/news.py: what becomes of messages is told, once, and with the fact."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, select

from accounts.endpoint import add_endpoint
from accounts.outbox import EndpointDelivery
from channels.adapter import EventType, ProviderEvent
from channels.outcome import Accepted, Ambiguous, NotSent, Outcome, Rejected
from communications.communication import Reason
from communications.ledger import skip_queued
from communications.reaper import reap
from communications.receipt import learn_facts
from communications.settle import Settled, settle
from core.clock import ManualClock
from core.db import Sessions, write
from core.secret import Vault
from tests.conftest import NOON
from tests.factories import KEY, MovingClock

Told = list[tuple[str, str]]


@pytest.fixture
def clock() -> ManualClock:
    """What is told is what was written a moment ago, not what is written at this very look."""
    return MovingClock(NOON)


@pytest.fixture
def listen(sessions: Sessions, clock: ManualClock, client_id: int) -> Callable[..., int]:
    def to(*types: str) -> int:
        with write(sessions) as session:
            return add_endpoint(
                session, clock, Vault(KEY), client_id=client_id, url="https://crm.example.com",
                types=types or ["communication.*"],
            ).id  # fmt: skip

    return to


@pytest.fixture
def told(sessions: Sessions) -> Callable[[], Told]:
    """What is to be told: the kind and the message's status by then, in the order of telling."""

    def read() -> Told:
        with sessions() as session:
            rows = session.scalars(select(EndpointDelivery).order_by(EndpointDelivery.id))
            return [(row.type.value.partition(".")[2], row.data["status"]) for row in rows]

    return read


@pytest.fixture
def settled(sessions: Sessions, clock: ManualClock, account_id: int) -> Callable[..., None]:
    def run(rows: list[Any], outcome: Outcome) -> None:
        with write(sessions) as session:
            results = [Settled(row, outcome) for row in rows]
            settle(session, clock, account_id=account_id, results=results)

    return run


@pytest.fixture
def learn(sessions: Sessions, clock: ManualClock, client_id: int) -> Callable[..., None]:
    """Fold one event each about messages."""

    def run(kind: EventType, *ids: int, key: str = "", **more: Any) -> None:
        told = {
            one: ProviderEvent(
                type=kind, dedup_key=f"{one}-{kind}-{key}", occurred_at=clock.now(),
                reference=None, provider_id=None, provider_status="", **more,
            )
            for one in ids
        }  # fmt: skip
        with write(sessions) as session:
            learn_facts(session, clock, client_id=client_id, told=told, source="test")

    return run


def test_each_stage_is_told_once(listen, told, sending, settled, learn) -> None:
    listen()
    (sent,) = sending()
    settled([sent], Accepted("m-1"))
    learn(EventType.SENT, sent.id)
    learn(EventType.OPENED, sent.id, key="a")
    learn(EventType.OPENED, sent.id, key="b")
    learn(EventType.DELIVERED, sent.id)
    learn(EventType.CLICKED, sent.id, key="robot", machine=True)
    learn(EventType.CLICKED, sent.id)
    assert told() == [
        ("sent", "sent"), ("read", "read"), ("delivered", "read"), ("clicked", "clicked"),
    ]  # fmt: skip


def test_what_goes_wrong_is_told(listen, told, sending, settled, learn, sessions, clock) -> None:
    listen()
    bounced, refused, lost, back, gone = sending(5)
    settled([bounced], Accepted("m-1"))
    learn(EventType.BOUNCED_HARD, bounced.id, code="550")
    settled([refused], Rejected("21211", "not a number"))
    settled([lost], Ambiguous("timeout"))
    settled([back], NotSent("busy"))
    clock.advance(seconds=121)
    with write(sessions) as session:
        reap(session, clock)
    assert told() == [
        ("sent", "sent"), ("bounced", "bounced"), ("failed", "failed"), ("unknown", "unknown"),
        ("unknown", "unknown"),
    ]  # fmt: skip
    assert gone.id


def test_what_is_skipped_is_told_with_why(listen, told, make_rows, sessions, clock, client_id):
    listen("communication.skipped")
    make_rows(3)
    with write(sessions) as session:
        skip_queued(session, clock, reason=Reason.CANCELLED, client_id=client_id)
    assert told() == [("skipped", "skipped")] * 3
    with sessions() as session:
        row = session.scalars(select(EndpointDelivery).limit(1)).one()
    assert (row.data["reason"], row.data["channel"]) == ("cancelled", "email")
    assert "@" not in str(row.data)


def test_a_set_of_facts_is_one_statement_and_none_where_nobody_listens(
    listen, told, make_rows, learn, sessions
) -> None:
    written: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "endpoint" in statement:
            written.append(statement)

    engine = sessions.kw["bind"]
    ids = make_rows(50, status="sent", rank=1)
    event.listen(engine, "before_cursor_execute", note)
    learn(EventType.DELIVERED, *ids)
    assert len(written) == 1, "the look whether anybody listens"
    listen()
    listen("communication.delivered", "member.*")
    written.clear()
    learn(EventType.OPENED, *ids)
    learn(EventType.DELIVERED, *ids, key="again")
    event.remove(engine, "before_cursor_execute", note)
    assert len([one for one in written if one.startswith("INSERT")]) == 1
    assert told() == [("read", "read")] * 50


def test_what_is_taken_back_is_not_told(listen, told, make_rows, sessions, clock) -> None:
    listen()
    make_rows(1)
    with sessions() as session:
        skip_queued(session, clock, reason=Reason.CANCELLED, client_id=1)
        session.rollback()
    assert told() == []
