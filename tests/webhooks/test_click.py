"""Mirrors webhooks/click.py."""

import itertools
from collections.abc import Callable

import pytest
from sqlalchemy import select

from communications.communication import Communication
from communications.event import CommunicationEvent
from communications.status import Status
from core.clock import ManualClock
from core.db import Sessions, write
from tests.factories import Factory
from webhooks.click import Click, note, settle

Note = Callable[..., None]


@pytest.fixture
def click_on(sessions: Sessions, clock: ManualClock, client_id: int) -> Note:
    def click(message: int, position: int = 0, *, machine: bool = False) -> None:
        with write(sessions) as session:
            row = {
                "client_id": client_id,
                "communication_id": message,
                "position": position,
                "machine": machine,
                "at": clock.now(),
            }
            note(session, [row])

    return click


@pytest.fixture
def judge(sessions: Sessions, clock: ManualClock) -> Callable[[], int]:
    def settle_all() -> int:
        with write(sessions) as session:
            return settle(session, clock)

    return settle_all


@pytest.fixture
def verdicts(sessions: Sessions) -> Callable[[], list[tuple[str, bool]]]:
    """(link, machine) of each click that became a fact."""

    def read() -> list[tuple[str, bool]]:
        with sessions() as session:
            query = select(CommunicationEvent.code, CommunicationEvent.machine)
            return sorted((row[0], row[1]) for row in session.execute(query))

    return read


@pytest.fixture
def status(sessions: Sessions) -> Callable[[int], Status]:
    def read(message: int) -> Status:
        with sessions() as session:
            return session.get_one(Communication, message).status

    return read


def test_a_click_is_a_fact_after_two_quiet_seconds(make: Factory, clock, click_on, judge, status):
    message = make.message()
    click_on(message)

    clock.advance(seconds=1.9)
    assert (judge(), status(message)) == (0, Status.SENT)
    clock.advance(seconds=0.1)
    assert (judge(), status(message)) == (1, Status.CLICKED)


def test_the_time_of_a_click_is_when_it_happened(make, sessions, clock, click_on, judge):
    message, at = make.message(), clock.now()
    click_on(message)
    clock.advance(minutes=5)
    judge()
    with sessions() as session:
        assert session.get_one(Communication, message).clicked_at == at


def test_all_links_at_once_are_a_machines_the_first_too(
    make, clock, click_on, judge, verdicts, status
):
    message = make.message()
    for position in range(3):
        click_on(message, position)
        clock.advance(seconds=0.4)
    clock.advance(seconds=2)
    judge()
    assert verdicts() == [("0", True), ("1", True), ("2", True)]
    assert status(message) is Status.SENT


def test_a_slow_scanner_is_seen_as_a_chain(make, clock, click_on, judge, verdicts):
    message = make.message()
    for position in range(5):
        click_on(message, position)
        clock.advance(seconds=1.5)
        judge()
    clock.advance(seconds=2)
    judge()
    assert verdicts() == [(str(position), True) for position in range(5)]


def test_two_links_with_a_pause_between_are_a_persons(make, clock, click_on, judge, verdicts):
    message = make.message()
    click_on(message, 0)
    clock.advance(seconds=2)
    click_on(message, 1)
    clock.advance(seconds=2)
    judge()
    assert verdicts() == [("0", False), ("1", False)]


def test_the_same_link_twice_is_one_fact(make, clock, click_on, judge, verdicts):
    message = make.message()
    for _ in range(3):
        click_on(message, 0)
        click_on(message, 0)
        clock.advance(seconds=5)
        judge()
    assert verdicts() == [("0", False)]


def test_a_person_after_a_machine_still_counts(make, clock, click_on, judge, verdicts, status):
    message = make.message()
    for position in (0, 1):
        click_on(message, position)
    clock.advance(seconds=3)
    judge()
    click_on(message, 1)
    clock.advance(seconds=3)
    judge()
    assert verdicts() == [("0", True), ("1", False), ("1", True)]
    assert status(message) is Status.CLICKED


def test_a_known_machine_says_nothing_about_a_person_on_the_same_link(
    make, clock, click_on, judge, verdicts
):
    message = make.message()
    click_on(message, 0, machine=True)
    click_on(message, 0)
    clock.advance(seconds=3)
    judge()
    assert verdicts() == [("0", False), ("0", True)]


def test_messages_are_judged_apart(make, clock, click_on, judge, verdicts):
    for position, message in enumerate([make.message(), make.message()]):
        click_on(message, position)
    clock.advance(seconds=3)
    judge()
    assert verdicts() == [("0", False), ("1", False)]


def test_following_one_link_for_ever_fills_no_table(make, sessions, click_on, all_rows):
    message = make.message()
    for _ in range(50):
        click_on(message, 0)
    assert len(all_rows(Click)) == 1


def test_a_limit_leaves_the_rest_for_the_next_time(make, sessions, clock, click_on, all_rows):
    for message in [make.message() for _ in range(3)]:
        click_on(message)
    clock.advance(seconds=3)
    left = []
    for _ in itertools.repeat(None, 3):
        with write(sessions) as session:
            settle(session, clock, limit=1)
        left.append(len(all_rows(Click)))
    assert left == [2, 1, 0]
