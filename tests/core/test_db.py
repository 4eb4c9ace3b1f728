"""Mirrors core/db.py."""

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from accounts.client import Client
from core.clock import ManualClock
from core.db import Sessions, is_sqlite, open_engine, over_deadlocks, read, write


def new_client(name: str, at: datetime) -> Client:
    return Client(name=name, created_at=at, updated_at=at)


def test_write_commits_at_its_end(sessions: Sessions, clock: ManualClock) -> None:
    with write(sessions) as session:
        session.add(new_client("kept", clock.now()))

    assert names(sessions) == ["kept"]


def test_write_leaves_nothing_behind_after_an_error(sessions: Sessions, clock: ManualClock) -> None:
    def fail() -> None:
        with write(sessions) as session:
            session.add(new_client("lost", clock.now()))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert names(sessions) == []


def test_what_is_read_is_not_kept(sessions: Sessions, clock: ManualClock) -> None:
    with read(sessions) as session:
        assert session.scalar(select(func.count()).select_from(Client)) == 0

    assert names(sessions) == []


def test_an_instant_comes_back_aware_and_in_utc(sessions: Sessions) -> None:
    there = datetime(2026, 11, 21, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    with write(sessions) as session:
        session.add(new_client("x", there))

    with read(sessions) as session:
        stored = session.scalars(select(Client.created_at)).one()
    assert stored == there
    assert stored.tzinfo is UTC
    assert stored.hour == 12


def test_an_instant_without_a_zone_is_refused(sessions: Sessions) -> None:
    naive = datetime(2026, 11, 21, 12)  # noqa: DTZ001  (the mistake under test)
    with pytest.raises(StatementError, match="needs a time zone"), write(sessions) as session:
        session.add(new_client("x", naive))


def test_an_intent_survives_a_power_cut(engine: Engine) -> None:
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            settings = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            }
            assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
        else:
            assert connection.scalar(text("SHOW synchronous_commit")) == "on"
            assert connection.scalar(text("SHOW TimeZone")) == "UTC"


def test_two_writers_take_turns(sessions: Sessions, clock: ManualClock, client_id: int) -> None:
    def rename() -> None:
        for _ in range(20):
            with write(sessions) as session:
                found = session.scalars(
                    select(Client).where(Client.id == client_id).with_for_update()
                ).one()
                found.notes = str(int(found.notes or 0) + 1)

    threads = [threading.Thread(target=rename) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with read(sessions) as session:
        assert session.scalars(select(Client.notes)).one() == "80"


def test_a_reader_never_waits_for_a_writer(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as writing:
        writing.add(new_client("unseen", clock.now()))
        writing.flush()

        assert names(sessions) == ["Elevate"]


def test_a_plain_postgresql_url_uses_psycopg() -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1:1/nothing")

    assert engine.url.drivername == "postgresql+psycopg"
    engine.dispose()


def test_a_session_knows_its_database(sessions: Sessions, database_url: str) -> None:
    with read(sessions) as session:
        assert is_sqlite(session) == database_url.startswith("sqlite")


def names(sessions: Sessions) -> list[str]:
    with read(sessions) as session:
        return list(session.scalars(select(Client.name).order_by(Client.id)))


def test_work_over_many_rows_outlives_a_deadlock(sessions: Sessions, clock: ManualClock) -> None:
    with write(sessions) as session:
        if is_sqlite(session):
            return  # one writer at a time
        clients = [new_client(name, clock.now()) for name in ("a", "b")]
        session.add_all(clients)
        session.flush()
        ids = [one.id for one in clients]
    first, second = (threading.Barrier(2, timeout=30) for _ in range(2))
    tries: list[int] = []

    def rename(session: Session, number: int, name: str) -> None:
        session.execute(update(Client).where(Client.id == ids[number]).values(name=name))

    def other() -> None:
        with write(sessions) as session:
            session.execute(text("SET LOCAL deadlock_timeout = '60s'"))
            rename(session, 0, "other")
            first.wait()
            second.wait()
            rename(session, 1, "other")

    def many(session: Session) -> None:
        rename(session, 1, "many")
        tries.append(1)
        if len(tries) == 1:
            first.wait()
            second.wait()
        rename(session, 0, "many")

    thread = threading.Thread(target=other)
    thread.start()
    with write(sessions) as session:
        session.execute(text("SET LOCAL deadlock_timeout = '50ms'"))
        over_deadlocks(session, lambda: many(session))
    thread.join()

    assert len(tries) > 1, "there was no deadlock"
    with read(sessions) as session:
        assert set(session.scalars(select(Client.name).where(Client.id.in_(ids)))) == {"many"}
