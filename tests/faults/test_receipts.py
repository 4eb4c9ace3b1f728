"""Receipts that come often, in any order, or before we know what we sent (F20, F21, F22)."""

import itertools
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from channels.adapter import EventType, ProviderEvent
from channels.channel import Channel
from communications.communication import Communication
from communications.event import CommunicationEvent, EventState
from communications.fold import Evidence, fold, locked
from communications.receipt import retry_parked
from communications.status import Rank, Status
from core.clock import ManualClock
from core.db import Sessions, write
from tests.factories import Factory
from tests.webhooks.conftest import Desk
from tests.webhooks.providers import SendGrid, Twilio
from webhooks import receive
from webhooks.apply import Applier, step
from webhooks.inbox import InboxItem

AT = 1795262400
"""Noon on 21 November 2026, as the clock of tests."""
COPIES = 46
STAGES = ("processed", "deferred", "delivered", "open", "click", "spamreport", "unsubscribe")
SEVEN = (
    EventType.SENT,
    EventType.DEFERRED,
    EventType.DELIVERED,
    EventType.OPENED,
    EventType.CLICKED,
    EventType.COMPLAINED,
    EventType.UNSUBSCRIBED,
)
TEN = (*SEVEN, EventType.BOUNCED_SOFT, EventType.BOUNCED_HARD, EventType.UNDELIVERED)
LEARNT = ("status", "rank", "sent_at", "delivered_at", "read_at", "clicked_at", "replied_at")
LEARNT += ("failed_at", "reason", "error_message")


@pytest.fixture
def desk(sessions: Sessions, clock: ManualClock) -> Desk:
    return Desk(sessions, clock)


@pytest.fixture
def make(sessions: Sessions, clock: ManualClock, client_id: int) -> Factory:
    return Factory(sessions, clock, client_id)


@pytest.fixture
def web(desk: Desk) -> Any:
    app = Flask("test")
    app.register_blueprint(receive.blueprint(desk))
    return app.test_client()


@pytest.fixture
def work(desk: Desk) -> Callable[[], None]:
    """Apply all that is stored."""
    applier = Applier.of(desk)

    def until_done() -> None:
        while step(desk.sessions, desk.clock, applier):
            pass

    return until_done


def sent(make: Factory, count: int, channel: Channel, **values: Any) -> list[int]:
    """Messages that a provider has accepted, made all at once."""
    row = {
        "client_id": make.client_id,
        "channel": channel,
        "status": Status.SENT,
        "rank": Rank.SENT,
        "sent_at": make.clock.now(),
        "not_before": make.clock.now(),
        "created_at": make.clock.now(),
        "updated_at": make.clock.now(),
    }
    with write(make.sessions) as session:
        rows = [Communication(**(row | values)) for _ in range(count)]
        session.add_all(rows)
        session.flush()
        return [one.id for one in rows]


def event(desk: Desk, message: int, stage: str, at: int) -> dict[str, Any]:
    return {
        "event": stage,
        "sg_event_id": f"{message}-{stage}",
        "timestamp": AT - 3600 + at,
        "email": f"m{message}@example.com",
        "ex_ref": desk.references.make(message, 1),
    }


def learnt(sessions: Sessions, ids: list[int]) -> list[tuple[Any, ...]]:
    """What the rows know, in the order of `ids`."""
    columns = [getattr(Communication, name) for name in LEARNT]
    with sessions() as session:
        found = session.execute(select(Communication.id, *columns)).all()
    by_id = {row[0]: tuple(row[1:]) for row in found}
    return [by_id[one] for one in ids]


def count(sessions: Sessions, column: Any, *terms: Any) -> int:
    with sessions() as session:
        return session.scalar(select(column).where(*terms)) or 0


def parked(sessions: Sessions) -> int:
    return count(
        sessions,
        func.count(CommunicationEvent.id),
        CommunicationEvent.state == EventState.PARKED,
    )


def test_f20_each_event_comes_up_to_46_times_and_counts_once(
    make: Factory, desk: Desk, web: Any, work: Callable[[], None], sessions: Sessions
) -> None:
    chance = random.Random(20)
    sendgrid = SendGrid(make, web)
    once, often = (sent(make, 40, Channel.EMAIL) for _ in range(2))
    chosen = [STAGES[: chance.randint(1, len(STAGES))] for _ in once]

    def told(messages: list[int]) -> list[dict[str, Any]]:
        return [
            event(desk, message, stage, STAGES.index(stage))
            for message, stages in zip(messages, chosen, strict=True)
            for stage in stages
        ]

    def post(events: list[dict[str, Any]]) -> None:
        for start in range(0, len(events), 100):
            assert sendgrid.post(*events[start : start + 100]).status_code == 204

    many = [one for one in told(often) for _ in range(chance.randint(1, COPIES))]
    chance.shuffle(many)
    post(told(once))
    post(many)
    work()

    distinct = 2 * len(told(once))
    assert learnt(sessions, often) == learnt(sessions, once)
    assert count(sessions, func.count(CommunicationEvent.id)) == distinct
    assert count(sessions, func.sum(InboxItem.events)) == len(many) + len(told(once))
    assert count(sessions, func.sum(InboxItem.events - InboxItem.duplicates)) == distinct


def in_turn(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    orders: dict[int, tuple[EventType, ...]],
) -> None:
    """Tell each message its events one after the other, all messages in step."""
    turns = max(map(len, orders.values()))
    for turn in range(turns):
        with write(sessions) as session:
            rows = locked(session, client_id, orders)
            fold(
                session,
                clock,
                rows,
                [evidence(clock, one, kinds[turn]) for one, kinds in orders.items()],
            )


def evidence(clock: ManualClock, message: int, kind: EventType) -> Evidence:
    """One event of a message; its time depends on its kind alone, so it may be told any time."""
    at = clock.now() + timedelta(minutes=TEN.index(kind))
    told = ProviderEvent(
        type=kind,
        dedup_key=f"{message}-{kind}",
        occurred_at=at,
        reference=None,
        provider_id=None,
        provider_status=kind.value,
    )
    return Evidence(told, told.dedup_key, at, message)


def test_f21_all_5040_orders_of_seven_events_end_in_one_status(
    make: Factory, sessions: Sessions, clock: ManualClock
) -> None:
    orders = list(itertools.permutations(SEVEN))
    messages = sent(make, len(orders), Channel.EMAIL)

    in_turn(sessions, clock, make.client_id, dict(zip(messages, orders, strict=True)))

    assert len(orders) == 5040
    assert len(set(learnt(sessions, messages))) == 1


def test_f21_twenty_random_orders_of_200_stories_end_alike(
    make: Factory, sessions: Sessions, clock: ManualClock
) -> None:
    chance = random.Random(21)
    stories = [tuple(chance.sample(TEN, 7)) for _ in range(200)]
    orders: dict[int, tuple[EventType, ...]] = {}
    twins: list[list[int]] = []
    for story in stories:
        twenty = sent(make, 20, Channel.EMAIL)
        twins.append(twenty)
        orders |= {one: tuple(chance.sample(story, len(story))) for one in twenty}

    in_turn(sessions, clock, make.client_id, orders)

    known = dict(zip(orders, learnt(sessions, list(orders)), strict=True))
    assert [len({known[one] for one in twenty}) for twenty in twins] == [1] * 200


@pytest.fixture
def early(make: Factory, web: Any) -> tuple[Twilio, list[int]]:
    """2,000 messages in a provider's hands whose id is not committed yet."""
    twilio = Twilio(make, web)
    return twilio, sent(make, 2000, Channel.SMS, provider_account_id=twilio.account_id)


def test_f22_what_comes_before_our_commit_is_not_lost(
    early: tuple[Twilio, list[int]],
    make: Factory,
    desk: Desk,
    work: Callable[[], None],
    sessions: Sessions,
    clock: ManualClock,
) -> None:
    twilio, messages = early
    chance = random.Random(22)
    for number in chance.sample(range(len(messages)), len(messages)):
        # Without our reference in the URL only the provider's id tells whom it is about.
        form = {"MessageSid": f"SM{number:032d}", "MessageStatus": "delivered"}
        assert twilio.post(**form).status_code == 200
    work()
    assert parked(sessions) == len(messages)
    assert set(learnt(sessions, messages)) == set(learnt(sessions, messages[:1]))

    with write(sessions) as session:
        session.execute(
            update(Communication),
            [{"id": one, "provider_id": f"SM{n:032d}"} for n, one in enumerate(messages)],
        )
    for _ in range(10):
        with write(sessions) as session:
            if not retry_parked(session, clock):
                break

    assert parked(sessions) == 0
    assert {row[0] for row in learnt(sessions, messages)} == {Status.DELIVERED}
