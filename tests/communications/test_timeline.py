"""Mirrors communications/timeline.py and standstill.py."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.adapter import EventType, ProviderEvent
from channels.outcome import Accepted, NotSent
from communications.account import pause_account, resume_account
from communications.claim import Claimed
from communications.errors import CommunicationNotFoundError
from communications.ledger import intend
from communications.receipt import learn_facts
from communications.rest import rest_account
from communications.settle import Settled, settle
from communications.standstill import (
    KEPT,
    forget_standstills,
    pause_began,
    pause_ended,
    standstills,
)
from communications.timeline import NOT_RECORDED, Moment, Wait, explained, timeline
from core.clock import ManualClock
from core.db import Sessions, read, write

HOUR = 3600.0
RETRIED = "it could not be sent (connection refused), and was to be tried again"
Story = Callable[[int], list[Moment]]


@pytest.fixture
def story(sessions: Sessions, clock: ManualClock, client_id: int) -> Story:
    """Tell a message's story."""

    def told(communication_id: int) -> list[Moment]:
        with read(sessions) as session:
            return timeline(session, clock, client_id, communication_id)

    return told


@pytest.fixture
def send(
    sessions: Sessions, clock: ManualClock, account_id: int, take: Callable[..., list[Claimed]]
) -> Callable[..., None]:
    """Send what is due, with this outcome."""

    def run(outcome: Any) -> None:
        rows = take(owner="w")
        with write(sessions) as session:
            ids = [row.id for row in rows]
            intend(session, clock, ids=ids, owner="w", lease_seconds=120)
            settle(
                session, clock, account_id=account_id,
                results=[Settled(row, outcome) for row in rows],
            )  # fmt: skip

    return run


@pytest.fixture
def hear(sessions: Sessions, clock: ManualClock, client_id: int) -> Callable[..., None]:
    """Hear of a message from its provider; `after` seconds from now, by its own clock."""

    def run(communication_id: int, kind: EventType, after: float = 0, **more: Any) -> None:
        at = clock.now() + timedelta(seconds=after)
        event = ProviderEvent(kind, f"{kind}", at, None, None, "", **more)
        with write(sessions) as session:
            told = {communication_id: event}
            learn_facts(session, clock, client_id=client_id, told=told, source="sendgrid")

    return run


def waits(told: list[Moment]) -> list[tuple[str, list[tuple[float, str]]]]:
    return [(one.what, [(wait.seconds, wait.why) for wait in one.waits]) for one in told]


def test_a_story_is_told_in_the_order_of_time_with_what_was_between(
    make_rows, send, hear, clock, story
) -> None:
    (made,) = make_rows()
    send(NotSent("connection refused"))
    clock.advance(seconds=60)
    send(Accepted("x"))
    clock.advance(seconds=2)
    hear(made, EventType.DELIVERED)
    clock.advance(seconds=1)
    hear(made, EventType.OPENED, machine=True)
    clock.advance(hours=3)
    hear(made, EventType.CLICKED)

    assert waits(story(made)) == [
        ("decided", []),
        ("not_sent", []),
        (
            "accepted",
            [(60, "it could not be sent (connection refused), and was to be tried again")],
        ),
        ("sent", []),
        ("delivered", [(2, "with the provider")]),
        ("opened", []),
        ("clicked", [(3 * HOUR + 1, "until a link in it was followed")]),
    ]


def test_what_stood_still_is_named_and_the_rest_is_not_guessed(
    make_rows, send, sessions, clock, client_id, account_id, story
) -> None:
    (made,) = make_rows(campaign_id=5)
    (other,) = make_rows(campaign_id=6)
    campaign = {"client_id": client_id, "subject": "campaign:5"}
    clock.advance(seconds=30)
    with write(sessions) as session:
        pause_began(session, clock, **campaign, actor="user:7")
    clock.advance(hours=7)
    with write(sessions) as session:
        told = {"reason": "the key was refused", "actor": None}
        pause_account(session, clock, account_id=account_id, **told)
    clock.advance(hours=1)
    with write(sessions) as session:
        pause_ended(session, clock, **campaign)
    clock.advance(hours=1)
    with write(sessions) as session:
        resume_account(session, clock, account_id=account_id)
        rest_account(
            session, clock, account_id=account_id, seconds=10, reason="429 Too Many", strike=False
        )
    clock.advance(seconds=4)
    with write(sessions) as session:
        rest_account(
            session, clock, account_id=account_id, seconds=8, reason="429 again", strike=False
        )
    clock.advance(seconds=8)
    send(Accepted("x"))

    assert waits(story(made))[1] == ("sent", [
        (30, NOT_RECORDED),
        (8 * HOUR, "the campaign paused by user:7"),
        (HOUR, "the provider account paused: the key was refused"),
        (12, "the provider account rested: 429 Too Many"),
    ])  # fmt: skip
    assert [why for _, why in waits(story(other))[1][1]] == [
        NOT_RECORDED, "the provider account paused: the key was refused",
        "the provider account rested: 429 Too Many",
    ]  # fmt: skip


def test_what_still_waits_says_what_for(make_rows, sessions, clock, account_id, story) -> None:
    due = clock.now() + timedelta(hours=2)
    (later,) = make_rows(not_before=due)
    (held,) = make_rows(held="poison")
    clock.advance(hours=1)
    with write(sessions) as session:
        pause_account(session, clock, account_id=account_id, reason="by hand", actor="cli")
    clock.advance(hours=2)

    *_, last = story(later)
    assert (last.what, last.at) == ("waiting", clock.now())
    assert [(wait.seconds, wait.why) for wait in last.waits] == [
        (HOUR, f"it was not to leave before {due:%Y-%m-%d %H:%M} UTC"),
        (2 * HOUR, "the provider account paused by cli: by hand"),
    ]
    assert (story(held)[-1].detail, story(held)[-1].waits[0].why) == ("poison", NOT_RECORDED)


def test_a_receipt_that_is_late_or_of_another_clock_says_so_and_stands_where_it_belongs(
    make_rows, send, hear, clock, story
) -> None:
    (made,) = make_rows()
    clock.advance(seconds=1)
    send(Accepted("x"))
    hear(made, EventType.DELIVERED, after=-120)
    clock.advance(hours=3)
    hear(made, EventType.OPENED, after=-3 * HOUR + 5)

    told = [one for one in story(made) if one.source == "sendgrid"]
    assert [one.what for one in story(made)] == ["decided", "sent", "delivered", "opened"]
    delivered, opened = told
    assert delivered.ahead_seconds == 119
    assert delivered.told_at is not None
    assert (opened.ahead_seconds, opened.told_at) == (None, clock.now())


def test_a_story_is_its_clients_own(make_rows, sessions, clock, client_id) -> None:
    (made,) = make_rows()
    with read(sessions) as session, pytest.raises(CommunicationNotFoundError):
        timeline(session, clock, client_id + 1, made)


def test_what_stood_still_is_forgotten_after_half_a_year(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    began = clock.now()
    which = {"client_id": client_id, "subject": "campaign:1"}
    with write(sessions) as session:
        pause_began(session, clock, **which)
        clock.advance(hours=1)
        pause_ended(session, clock, **which)
        pause_began(session, clock, **which)
    clock.advance(seconds=KEPT.total_seconds() + 1)
    with write(sessions) as session:
        assert forget_standstills(session, clock) == 1
        left = standstills(session, client_id, ["campaign:1"], began, clock.now())
        assert [one.ended_at for one in left] == [None]


NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTES = st.integers(-90, 90).map(lambda minutes: NOON + timedelta(minutes=minutes))
WAITS = st.lists(
    st.tuples(MINUTES, MINUTES).map(lambda pair: Wait(min(pair), max(pair), "known")), max_size=5
)


@given(WAITS)
def test_every_minute_is_explained_once(known: list[Wait]) -> None:
    end = NOON + timedelta(hours=1)
    found = explained(NOON, end, known)

    assert [found[0].since, *(one.until for one in found)] == [
        *(one.since for one in found), end,
    ]  # fmt: skip
    for one in found:
        middle = one.since + (one.until - one.since) / 2
        covered = any(wait.since <= middle < wait.until for wait in known)
        assert covered is (one.why != NOT_RECORDED)
