"""communications.day: what is kept of each day adds up to a recount of the log."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from random import Random
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from channels.channel import Channel
from communications.communication import Communication, Direction, Reason
from communications.day import COUNTS, KEYS, MessageDay, join_message_days, kept, recounted
from communications.report import By, Chosen, conditions, costs, counts_of, report
from communications.status import Status
from core import rollup
from core.clock import ManualClock
from core.db import Sessions, read, write
from tests.conftest import only_postgresql

C = Communication
MADE = 60


@pytest.fixture
def session(sessions: Sessions, client_id: int) -> Iterator[Session]:
    assert client_id  # is there before this one writes
    with write(sessions) as session:
        yield session


def drawn(draw: Random, clock: ManualClock, client_id: int) -> dict[str, object]:
    """A message as it may stand in the log."""
    at = clock.now() - timedelta(seconds=draw.randint(0, 4 * 86_400))
    status = draw.choice([one for one in Status if one is not Status.SENDING])
    seen = draw.choice([None, at + timedelta(hours=1)])
    return {
        "client_id": client_id,
        "member_id": draw.randint(1, 1_000),
        "campaign_id": draw.choice([None, 1, 2]),
        "channel": draw.choice([Channel.EMAIL, Channel.SMS]),
        "direction": draw.choice([*Direction, Direction.OUTBOUND]),
        "to_address": draw.choice([None, "ana@shop.example", "jo@example.com", "+15550100"]),
        "provider_account_id": draw.choice([None, 1, 2]),
        "status": status,
        "reason": draw.choice(list(Reason)) if status is Status.SKIPPED else None,
        "sent_at": draw.choice([None, at]),
        "read_at": seen,
        "clicked_at": draw.choice([None, seen]),
        "replied_at": draw.choice([None, seen]),
        "machine_read": draw.choice([False, True]),
        "machine_clicked": draw.choice([False, True]),
        "cost": draw.choice([None, Decimal("0.0075"), Decimal("0.000001")]),
        "currency": draw.choice([None, "USD", "EUR"]),
        "segments": draw.choice([None, 1, 3]),
        "not_before": at,
        "created_at": at,
        "updated_at": at,
    }


@pytest.fixture
def draw() -> Random:
    return Random(6)


@pytest.fixture
def log(session: Session, clock: ManualClock, client_id: int, draw: Random) -> Session:
    """A log that was written, changed and written again."""
    session.execute(insert(C), [drawn(draw, clock, client_id) for _ in range(MADE)])
    changed(session, draw)
    session.execute(insert(C), [drawn(draw, clock, client_id) for _ in range(MADE)])
    return session


def changed(session: Session, draw: Random) -> None:
    """Let some of it go on, change its price, lose its address, and disappear."""
    ids = session.scalars(select(C.id)).all()
    told = {"status": Status.CLICKED, "clicked_at": datetime(2026, 11, 21, tzinfo=UTC)}
    values = (
        told, {"cost": Decimal("0.5"), "currency": "USD"}, {"to_address": None}, {"token": 9},
        {"machine_read": True}, {"machine_clicked": True},
    )  # fmt: skip
    for each in values:
        some = draw.sample(list(ids), 20)
        session.execute(update(C).where(C.id.in_(some)).values(**each))
    session.execute(delete(C).where(C.id.in_(draw.sample(list(ids), 10))))


def summed(session: Session, *, of_the_log: bool) -> dict[tuple[object, ...], tuple[int, ...]]:
    rows = (recounted() if of_the_log else kept()).subquery()
    keys = [rows.c[name] for name in KEYS]
    sums = [func.sum(rows.c[name]) for name in COUNTS]
    found = session.execute(select(*keys, *sums).group_by(*keys)).all()
    every = {tuple(row[: len(KEYS)]): tuple(int(n) for n in row[len(KEYS) :]) for row in found}
    return {key: counts for key, counts in every.items() if any(counts)}


@only_postgresql  # SQLite counts the log each time
def test_what_is_kept_adds_up_to_the_log_whatever_was_done_to_it(
    log: Session, draw: Random
) -> None:
    for _ in range(3):
        changed(log, draw)
        assert summed(log, of_the_log=False) == summed(log, of_the_log=True)


@only_postgresql  # SQLite counts the log each time
def test_joined_rows_say_the_same_in_fewer(log: Session, draw: Random) -> None:
    apart = log.scalar(select(func.count(MessageDay.id))) or 0
    assert not join_message_days(log)
    assert summed(log, of_the_log=False) == summed(log, of_the_log=True)
    assert 0 < (log.scalar(select(func.count(MessageDay.id))) or 0) < apart
    changed(log, draw)
    join_message_days(log)
    assert summed(log, of_the_log=False) == summed(log, of_the_log=True)
    log.execute(delete(C))
    join_message_days(log)
    assert log.scalar(select(func.count(MessageDay.id))) == 0


@pytest.mark.parametrize(
    "values",
    [
        {"token": C.token + 1, "owner": "me"},
        {"status": Status.SENDING, "lease_until": C.created_at},
    ],
    ids=["claim", "intent"],
)
@only_postgresql  # SQLite counts the log each time
def test_what_changes_no_count_is_not_added_up(log: Session, values: dict[str, Any]) -> None:
    """Every message is claimed and intended: adding up would make either a sixth dearer."""
    with log.begin_nested() as nested:
        log.execute(update(C).where(C.status == Status.QUEUED).values(held=None))
        for statement in REFUSING:
            log.execute(text(statement))
        changed = update(C).where(C.status == Status.QUEUED).values(**values).returning(C.id)
        assert log.scalars(changed).all()
        with pytest.raises(DBAPIError, match="added up"), log.begin_nested():
            log.execute(update(C).values(status=Status.SENT))
        nested.rollback()


REFUSING = (
    """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'added up'; END $$
    """,
    "CREATE TRIGGER refuse BEFORE INSERT ON message_days EXECUTE FUNCTION refuse()",
)


@only_postgresql  # SQLite counts the log each time
def test_whoever_joins_does_so_alone(log: Session, sessions: Sessions, client_id: int) -> None:
    """Two at once would wait for each other's rows, the first for the second's and it for those."""
    log.commit()
    with write(sessions) as first, write(sessions) as second:
        assert not join_message_days(first)
        second.execute(text("SET LOCAL lock_timeout = '1s'"))
        assert not join_message_days(second), "it waits for nobody"
    with read(sessions) as session:
        assert session.scalar(select(func.count()).where(~MessageDay.joined)) == 0


@only_postgresql  # SQLite counts the log each time
def test_one_busy_client_keeps_no_other_from_being_joined(
    log: Session, clock: ManualClock, client_id: int, draw: Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    join_message_days(log)
    monkeypatch.setattr(rollup, "LOOKED_AT", 2)
    for ago in range(3):
        at = clock.now() - timedelta(days=ago)
        for _ in range(3):
            log.execute(insert(C), drawn(draw, clock, client_id) | {"created_at": at})
    rounds = 1
    while join_message_days(log):
        rounds += 1
    assert rounds > 1
    assert log.scalar(select(func.count()).where(~MessageDay.joined)) == 0


ENDS = [None, 0, 5, 11.99, 12, 12.01, 24, 36, 47, 60, 84, 100]
"""Hours before noon; 12, 36, 60 and 84 are midnights."""


def test_a_period_counts_what_lies_in_it_to_the_second(
    log: Session, clock: ManualClock, client_id: int
) -> None:
    for hours in product(ENDS, ENDS):
        since, until = (
            None if ago is None else clock.now() - timedelta(hours=ago) for ago in hours
        )
        for which in (Chosen(since, until), Chosen(since, until, 1, Channel.EMAIL)):
            counts = counts_of(log, client_id, which)
            found = log.scalar(select(func.coalesce(func.sum(counts.c.messages), 0)))
            meant = select(func.count()).select_from(C).where(*conditions(client_id, which))
            assert (hours, found) == (hours, log.scalar(meant))


@pytest.mark.parametrize("by", By)
def test_a_report_and_its_costs_are_those_of_a_recount(
    log: Session, client_id: int, by: By, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = Chosen()
    found = report(log, client_id, which, by), costs(log, client_id, which, by)
    monkeypatch.setattr("communications.report.is_sqlite", lambda _: True)
    assert found == (report(log, client_id, which, by), costs(log, client_id, which, by))
    assert sum(row.messages for row in found[0]) > MADE
