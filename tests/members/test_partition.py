"""Mirrors members/partition.py: months of events on PostgreSQL, and forgetting."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, inspect, select, text

from core.clock import ManualClock
from core.db import Sessions, is_sqlite, read, write
from members.event import Event, EventTotal
from members.partition import forget_events, make_months
from members.tracking import ToldEvent, track
from tests.factories import Factory
from tests.waiting import until_waiting

ANA = {"email": "ana@example.com"}


@pytest.fixture
def make(sessions: Sessions, clock: ManualClock, client_id: int) -> Factory:
    return Factory(sessions, clock, client_id)


@pytest.fixture
def tell(make: Factory):
    """Tracks one event for each time."""

    def run(*times: datetime, start: int = 0, ours: bool = False):
        events = [
            ToldEvent("visit", f"v{start + n}", ANA, occurred_at=at, ours=ours)
            for n, at in enumerate(times)
        ]
        with write(make.sessions) as session:
            return track(session, make.clock, make.hasher, client_id=make.client_id, events=events)

    return run


DROP = "DO $$ BEGIN EXECUTE format('DROP TABLE %I', current_setting('echelonx.drop')); END $$"


def drop_months(sessions: Sessions) -> None:
    """Take every month's table away, with what it holds."""
    with write(sessions) as session:
        if is_sqlite(session):
            return
        for name in inspect(session.connection()).get_table_names():
            if name.startswith("events_2"):
                session.execute(select(func.set_config("echelonx.drop", name, True)))
                session.execute(text(DROP))


@pytest.fixture
def whole(sessions: Sessions):
    """No months before, as other tests' runners make theirs and tables are shared; none after."""
    drop_months(sessions)
    yield
    drop_months(sessions)


def count(sessions: Sessions) -> int:
    with read(sessions) as session:
        return session.scalar(select(func.count()).select_from(Event)) or 0


@pytest.mark.usefixtures("whole")
def test_waiting_events_move_to_their_months_and_none_is_lost(tell, sessions, clock) -> None:
    now = clock.now()
    tell(now, now - timedelta(days=40), datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC))

    for _ in range(2):
        with write(sessions) as session:
            make_months(session, clock)
    tell(now, now - timedelta(days=1), start=10)

    assert count(sessions) == 5
    with read(sessions) as session:
        if is_sqlite(session):
            return
        held = dict(
            session.execute(
                text("SELECT tableoid::regclass::text, count(*) FROM events GROUP BY 1")
            ).all()
        )
        tables = set(inspect(session.connection()).get_table_names())
    assert held == {"events_2026_11": 3, "events_2026_10": 1, "events_2026_09": 1}
    assert {"events_2026_12", "events_2027_01"} <= tables


@pytest.mark.usefixtures("whole")
def test_what_is_older_than_ten_years_gets_no_table(tell, sessions, clock) -> None:
    now = clock.now()
    assert tell(now - timedelta(days=3654)).new == 0
    tell(now - timedelta(days=5000), now - timedelta(days=300_000), ours=True)
    with write(sessions) as session:
        assert make_months(session, clock) in (0, 3)

    assert count(sessions) == 2


@pytest.mark.usefixtures("whole")
def test_who_reads_while_a_month_is_made_misses_nothing(tell, sessions, clock) -> None:
    tell(clock.now())
    with sessions() as session, ThreadPoolExecutor(1) as pool:
        if is_sqlite(session):
            return
        make_months(session, clock)
        reading = pool.submit(count, sessions)
        until_waiting(session, reading)
        session.commit()

        assert reading.result() == 1


def test_old_events_are_forgotten_but_stay_counted_and_known(tell, make, sessions, clock) -> None:
    now = clock.now()
    times = [now - timedelta(days=days) for days in (1, 50, 100, 150)]
    tell(*times)

    with write(sessions) as session:
        done = [
            forget_events(session, clock, client_id=make.client_id, older_than_days=60, limit=1)
            for _ in range(3)
        ]

    assert done == [1, 1, 0]
    assert count(sessions) == 2
    assert tell(*times).duplicates == 4
    with read(sessions) as session:
        assert session.scalars(select(EventTotal.count)).one() == 4
