"""core.bisection: where a moment lies, in few looks however long the table is."""

from collections.abc import Iterator
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import event, insert
from sqlalchemy.orm import Session

from accounts.audit import AuditEntry
from core.bisection import RIGHT, SLACK, WRONG, first_since, last_before
from core.clock import ManualClock
from core.db import Sessions, write

ROWS = 20 * SLACK
HOLE = 97


@pytest.fixture
def session(sessions: Sessions) -> Iterator[Session]:
    with write(sessions) as session:
        yield session


@pytest.fixture
def log(session: Session, clock: ManualClock) -> Session:
    """A table whose ids rise with time: what has id n is n seconds younger; with holes."""
    session.execute(
        insert(AuditEntry),
        [
            {"id": n, "actor": "cli", "action": "a.b", "at": clock.now() + timedelta(seconds=n)}
            for n in range(1, ROWS + 1, HOLE)
        ],
    )
    return session


@pytest.mark.parametrize("second", [-10, 0, 1, SLACK, ROWS // 2, ROWS - 1, ROWS, ROWS + 10])
def test_no_row_before_it_is_as_young_and_it_is_near(
    log: Session, clock: ManualClock, second: int
) -> None:
    moment = clock.now() + timedelta(seconds=second)
    found = first_since(log, AuditEntry.id, AuditEntry.at, moment, wrong=RIGHT)
    assert found <= max(second, 0)
    assert found >= min(second, ROWS) - 2 * SLACK - HOLE


def test_it_is_never_before_where_it_is_to_begin(log: Session, clock: ManualClock) -> None:
    for second in (0, ROWS // 2, ROWS + 1):
        moment = clock.now() + timedelta(seconds=second)
        found = first_since(log, AuditEntry.id, AuditEntry.at, moment, after=ROWS - 7)
        assert found >= ROWS - 7


def test_an_empty_table_begins_where_it_is_asked_to(session: Session, clock: ManualClock) -> None:
    assert first_since(session, AuditEntry.id, AuditEntry.at, clock.now()) == 0
    assert first_since(session, AuditEntry.id, AuditEntry.at, clock.now(), after=9) == 9


def test_it_is_one_statement(log: Session, clock: ManualClock) -> None:
    told: list[str] = []
    connection = log.connection()
    event.listen(connection, "before_cursor_execute", lambda *given: told.append(given[2]))
    first_since(log, AuditEntry.id, AuditEntry.at, clock.now() + timedelta(seconds=ROWS // 2))
    assert len(told) == 1


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_missed_where_clocks_were_wrong(
    session: Session, clock: ManualClock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.bisection.SLACK", 1)
    draw = Random(seed)
    off = WRONG.total_seconds()
    times = [
        clock.now() + timedelta(minutes=10 * n, seconds=draw.choice([-off, 0, off, 0]))
        for n in range(300)
    ]
    rows = [{"id": n, "actor": "cli", "action": "a.b", "at": at} for n, at in enumerate(times, 1)]
    session.execute(insert(AuditEntry), rows)
    for moment in times[::7]:
        young = min(n for n, at in enumerate(times, 1) if at >= moment)
        old = [n for n, at in enumerate(times, 1) if at < moment]
        first = first_since(session, AuditEntry.id, AuditEntry.at, moment)
        last = last_before(session, AuditEntry.id, AuditEntry.at, moment)
        assert young - 40 <= first <= young
        assert max(old, default=0) <= last <= max(old, default=0) + 40
