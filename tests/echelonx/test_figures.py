"""echelonx.figures: a large client's figures are counted beforehand, and say when."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from accounts import figures
from accounts.user import create_user
from accounts.user_queries import USERS, user_statistics
from core.clock import ManualClock
from core.db import Sessions, read, write
from echelonx.figures import next_figures
from members.statistics import MEMBERS, member_statistics
from tests.factories import Factory


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "FEW", 2)


def told(sessions: Sessions, clock: ManualClock, client_id: int) -> Mapping[str, Any]:
    with read(sessions) as session:
        return figures.figures(session, clock, MEMBERS, member_statistics, client_id)


def work(sessions: Sessions, clock: ManualClock) -> int:
    """Count what is due, as workers do; return how many clients' there were."""
    done = 0
    while True:
        with write(sessions) as session:
            if not next_figures(session, clock):
                return done
        done += 1


def test_of_few_they_are_always_those_of_now(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    make = Factory(sessions, clock, client_id)
    for number in (1, 2):
        make.member()
        assert work(sessions, clock) == 0
        assert told(sessions, clock, client_id)["total"] == number
        assert told(sessions, clock, client_id)["counted_at"] == clock.now()


def test_of_many_they_are_those_a_worker_counted_and_are_counted_anew(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    make = Factory(sessions, clock, client_id)
    other = make.another_client()
    for _ in range(3):
        make.member()
    other.member()
    assert told(sessions, clock, client_id)["total"] == 3  # no worker has come yet
    assert (work(sessions, clock), work(sessions, clock)) == (1, 0)

    began: datetime = clock.now()
    make.member()
    clock.advance(minutes=9)
    assert work(sessions, clock) == 0
    found = told(sessions, clock, client_id)
    assert (found["total"], found["counted_at"]) == (3, began)
    assert found["reachable"][0]["match"] == "reachable by email"
    assert told(sessions, clock, other.client_id)["total"] == 1

    clock.advance(minutes=1)
    assert work(sessions, clock) == 1
    assert told(sessions, clock, client_id)["total"] == 4


def test_old_ones_are_not_shown_and_small_clients_lose_them(
    sessions: Sessions, clock: ManualClock, client_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Factory(sessions, clock, client_id)
    for _ in range(3):
        make.member()
    work(sessions, clock)
    make.member()
    clock.advance(minutes=60)
    assert told(sessions, clock, client_id)["total"] == 4  # no worker was there for an hour

    work(sessions, clock)
    make.member()
    monkeypatch.setattr(figures, "FEW", 10)
    work(sessions, clock)
    assert told(sessions, clock, client_id)["total"] == 5


def test_everybodys_users_are_apart_from_each_clients_and_from_nobodys(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        for number in range(4):
            here = client_id if number else None
            create_user(session, clock, email=f"u{number}@example.com", client_id=here)
    assert work(sessions, clock) == 2
    clock.advance(minutes=1)
    with read(sessions) as session:
        for whose, total, age in ((client_id, 3, 1), (None, 4, 1), (0, 0, 0)):
            found = figures.figures(session, clock, USERS, user_statistics, whose)
            assert found["total"] == total
            assert found["counted_at"] == clock.now() - timedelta(minutes=age)
