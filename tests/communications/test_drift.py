"""Mirrors communications/drift.py and echelonx/commands/recount.py."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random
from threading import Event

import pytest
from sqlalchemy import insert, select, text, update

from communications.communication import Communication
from communications.day import join_message_days
from communications.drift import correct, days_of, drift, is_watched, sampled
from communications.status import Status
from core.clock import ManualClock
from core.db import Sessions, is_sqlite, read, write
from tests.communications.test_day import drawn, summed
from tests.conftest import only_postgresql

C = Communication


@pytest.fixture
def draw() -> Random:
    return Random(7)


@pytest.fixture
def logged(sessions: Sessions, clock: ManualClock, client_id: int, draw: Random) -> None:
    with write(sessions) as session:
        session.execute(insert(C), [drawn(draw, clock, client_id) for _ in range(60)])


@pytest.fixture
def recount(sessions: Sessions, client_id: int) -> Callable[[], int]:
    """Correct each day in its own transaction; return how many rows were wrong."""

    def run() -> int:
        with read(sessions) as session:
            days = list(days_of(session, client_id))
        rows = 0
        for day in days:
            with write(sessions) as session:
                rows += correct(session, client_id, day)
        return rows

    return run


PAST_TRIGGERS = {
    "truncated": "TRUNCATE message_days",
    "restored": "DELETE FROM message_days WHERE id % 2 = 0",
    "copied": "SET LOCAL session_replication_role = replica;"
    "UPDATE communications SET status = 'failed' WHERE id % 3 = 0;"
    "DELETE FROM communications WHERE id % 5 = 0",
}


@pytest.mark.parametrize("how", PAST_TRIGGERS)
@pytest.mark.usefixtures("logged")
@only_postgresql  # SQLite counts the log each time
def test_what_went_past_the_triggers_is_corrected_once(
    how: str, sessions: Sessions, client_id: int, recount: Callable[[], int]
) -> None:
    with write(sessions) as session:
        for statement in PAST_TRIGGERS[how].split(";"):
            session.execute(text(statement))
    with read(sessions) as session:
        assert summed(session, of_the_log=False) != summed(session, of_the_log=True)
        differing = sum(drift(session, client_id, day) for day in days_of(session, client_id))

    assert recount() == differing > 0

    with write(sessions) as session:
        assert summed(session, of_the_log=False) == summed(session, of_the_log=True)
        join_message_days(session)
        assert summed(session, of_the_log=False) == summed(session, of_the_log=True)
    assert recount() == 0


@pytest.mark.usefixtures("logged")
@only_postgresql  # SQLite counts the log each time
def test_it_is_exact_while_others_write_and_join_and_correct(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    draw: Random,
    recount: Callable[[], int],
) -> None:
    """Somebody writes all the time, and has an open transaction at every moment of the recount."""
    over, writing = Event(), Event()

    def write_on() -> int:
        rounds = 0
        while not over.is_set():
            with write(sessions) as session:
                session.execute(insert(C), [drawn(draw, clock, client_id) for _ in range(3)])
                some = draw.sample(list(session.scalars(select(C.id))), 10)
                values = {"status": draw.choice([Status.SENT, Status.FAILED])}
                session.execute(update(C).where(C.id.in_(some)).values(**values))
                rounds += 1
            if rounds % 5 == 0:
                with write(sessions) as session:
                    join_message_days(session)
            writing.set()
        return rounds

    with write(sessions) as session:
        session.execute(text("TRUNCATE message_days"))
    with ThreadPoolExecutor(3) as pool:
        writer = pool.submit(write_on)
        writing.wait(60)
        with write(sessions) as session:
            session.execute(insert(C), drawn(draw, clock, client_id))
            both = [pool.submit(recount) for _ in range(2)]
            assert sum(one.result() for one in both) > 0
        over.set()
        assert writer.result() > 0

    with read(sessions) as session:
        assert summed(session, of_the_log=False) == summed(session, of_the_log=True)


@pytest.mark.usefixtures("logged")
def test_few_days_are_sampled_and_among_them_the_ends(
    sessions: Sessions, client_id: int, clock: ManualClock
) -> None:
    with read(sessions) as session:
        days = list(days_of(session, client_id))
        some = sampled(session)

    assert days[-1] == clock.now().date()
    assert days[0] >= (clock.now() - timedelta(days=4)).date()
    assert {(client_id, days[0]), (client_id, days[-1])} <= set(some)
    assert len(some) <= 3


def test_nobody_counts_when_the_triggers_are_off(sessions: Sessions) -> None:
    with sessions() as session:
        assert is_watched(session)
        if not is_sqlite(session):
            session.execute(text("ALTER TABLE communications DISABLE TRIGGER USER"))
            assert not is_watched(session)
        session.rollback()
