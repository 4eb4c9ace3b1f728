"""Mirrors echelonx/guard.py and holding.py: restored, cloned, switched off, crashed (F33)."""

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from accounts.audit import AuditEntry
from campaigns.campaign import CampaignStatus, create_campaign
from campaigns.launch import launch
from campaigns.queries import campaign as find_campaign
from campaigns.run import Run, RunStatus
from campaigns.template import create_template
from channels.channel import Channel
from communications.communication import Communication, Reason
from communications.status import Status
from core.clock import ManualClock
from core.db import read, write
from core.settings import Settings
from echelonx import wiring
from echelonx.commands.resume import lift
from echelonx.guard import Guard
from echelonx.holding import current_hold
from echelonx.home import home
from echelonx.logbook import FILE
from echelonx.runner import Role, Runner
from echelonx.wiring import Services
from scheduling import instance
from scheduling.occurrence import OccurrenceState, occurrences, plan
from scheduling.worker import workers
from tests.communications.scripted import Scripted
from tests.echelonx.copies import another, copy, drop
from tests.factories import Factory

C = Communication
PATIENCE = 120.0


class House:
    """An installation over one database, opened and closed as a process does it."""

    def __init__(self, settings: Settings, clock: ManualClock, client_id: int) -> None:
        self.settings, self.clock, self.client_id = settings, clock, client_id
        self.account_id = 0

    @contextmanager
    def open(self, url: str | None = None) -> Iterator[Services]:
        settings = dataclasses.replace(
            self.settings, database_url=url or self.settings.database_url
        )
        services = wiring.build(settings, self.clock)
        yield services
        services.close()

    def write_to(self, count: int, **values: Any) -> None:
        """Queue messages to new people."""
        with self.open() as services:
            factory = Factory(services.sessions, self.clock, self.client_id)
            factory.vault = services.vault
            if not self.account_id:
                self.account_id = factory.account("smtp", Channel.EMAIL, {})
            for _ in range(count):
                row = {
                    "status": Status.QUEUED, "rank": 0, "sent_at": None, "subject": "Hi",
                    "content": "Hello", "provider_account_id": self.account_id,
                }  # fmt: skip
                factory.message(**row | values)

    def work(self, url: str | None = None) -> bool:
        """Send all that may be sent, and end in good order; return whether it was held."""
        with self.open(url) as services:
            runner = Runner(services, {Role.WORKER, Role.SCHEDULER})
            runner.start()
            held = holds(services)
            until(lambda: held or not busy(services))
            until(lambda: f"lane-{self.account_id}" in lanes())
            assert runner.stop()
            return held


def holds(services: Services) -> bool:
    with read(services.sessions) as session:
        return current_hold(session) is not None


def busy(services: Services) -> bool:
    """Whether anything is due or still to be fanned out."""
    expanding = count(services, Run.status == RunStatus.RUNNING, Run.expanded_at.is_(None))
    due = count(services, C.status == Status.QUEUED, C.not_before <= services.clock.now())
    return expanding + due > 0


def count(services: Services, *conditions: sa.ColumnElement[bool]) -> int:
    with read(services.sessions) as session:
        return session.scalar(sa.select(sa.func.count()).where(*conditions)) or 0


def until(so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.01)


def lanes() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def sent() -> Counter[str]:
    return Counter(message.to for message in Scripted.sent)


@pytest.fixture
def house(
    settings: Settings,
    clock: ManualClock,
    client_id: int,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> House:
    engine.dispose()  # a database with somebody in it cannot be copied
    monkeypatch.setattr("communications.dispatch.sender", lambda _: Scripted)
    monkeypatch.setattr(Scripted, "sent", [])
    return House(settings, clock, client_id)


@pytest.fixture
def backup(house: House) -> Iterator[str]:
    place = another(house.settings.database_url)
    yield place
    drop(place)


def test_after_a_restore_nothing_is_sent_until_it_is_resumed_and_nobody_twice(
    house: House, backup: str
) -> None:
    house.write_to(2)
    assert not house.work()
    house.write_to(3)
    house.write_to(1, not_before=house.clock.now() + timedelta(days=2))
    with house.open() as services, write(services.sessions) as session:
        soon = house.clock.now() + timedelta(minutes=1)
        plan(session, house.clock, schedule_key="campaign:9", occurrence_key="x", due_at=soon)
    copy(house.settings.database_url, backup)
    house.clock.advance(minutes=5)
    assert not house.work()
    assert sent().total() == 5

    copy(backup, house.settings.database_url)
    house.clock.advance(hours=3)

    assert house.work()
    assert house.work(), "a new start does not end it"
    assert sent().total() == 5
    with house.open() as services:
        doubted = (C.status == Status.UNKNOWN, C.reason == Reason.RESTORED, C.open_attempts == 1)
        assert count(services, *doubted) == 3
        assert count(services, C.status == Status.QUEUED) == 1
        with read(services.sessions) as session:
            hold = current_hold(session)
            assert hold is not None
            assert (hold.detail["unknown"], hold.detail["missed"]) == (3, 1)
            assert occurrences(session, "campaign:9")[0].state is OccurrenceState.MISSED
        assert lift(services)
        assert not lift(services)

    house.clock.advance(days=3)
    assert not house.work()
    assert sent().total() == 6
    assert set(sent().values()) == {1}


def test_a_copy_elsewhere_is_held_and_so_is_what_came_due_before_it_was_resumed(
    house: House, backup: str
) -> None:
    house.write_to(1)
    assert not house.work()
    house.write_to(2)
    house.write_to(1, not_before=house.clock.now() + timedelta(minutes=10))
    copy(house.settings.database_url, backup)

    assert house.work(backup)
    assert sent().total() == 1
    house.clock.advance(minutes=20)
    assert not house.work(), "the original goes on"
    with house.open(backup) as services:
        assert lift(services)
        assert count(services, C.status == Status.UNKNOWN) == 3
    assert not house.work(backup)
    assert set(sent().values()) == {1}


def test_a_clone_that_goes_on_does_not_hold_its_original(house: House, backup: str) -> None:
    house.write_to(1)
    assert not house.work()
    copy(house.settings.database_url, backup)
    assert house.work(backup)
    with house.open(backup) as services:
        assert lift(services)
    for _ in range(3):
        assert not house.work(backup)

    assert not house.work()


def test_a_week_off_after_an_orderly_end_is_no_reason(house: House) -> None:
    house.write_to(1)
    assert not house.work()

    house.clock.advance(days=7)
    house.write_to(1)

    assert not house.work()
    assert sent().total() == 2


@pytest.mark.parametrize(
    ("hours", "held"), [(25, True), (-25, True), (23, False), (3, False), (-2, False)]
)
def test_after_a_crash_a_day_is_too_long(house: House, hours: int, held: bool) -> None:
    house.write_to(1)
    crash(house)

    house.clock.advance(hours=hours)

    assert house.work() is held


def test_a_database_that_goes_back_under_a_running_worker_is_noticed(house: House) -> None:
    with house.open() as services:
        guard = Guard(services)
        guard.start()
        assert not guard.held()
        with write(services.sessions) as session:
            session.execute(sa.update(instance.Instance).values(epoch=0))

        again = Guard(services)
        again.start()

        until(guard.held)
        assert again.held()
        assert lift(services)
        until(lambda: not guard.held())
        guard.beat()
        assert not guard.held()


def test_what_the_file_does_not_know_a_process_remembers(house: House) -> None:
    with house.open() as services:
        guard = Guard(services)
        guard.start()
        (services.settings.data_dir / FILE).unlink()
        with write(services.sessions) as session:
            session.execute(sa.update(instance.Instance).values(epoch=-1))

        until(guard.held)

        assert lift(services)
        until(lambda: not guard.held())


def test_a_web_server_alone_neither_holds_nor_notes(house: House) -> None:
    with house.open() as services:
        guard = Guard(services, sends=False)
        guard.start()
        guard.beat()
        guard.end()

        assert not guard.held()
        assert not (services.settings.data_dir / FILE).exists()


def test_a_run_that_had_not_reached_everybody_is_paused_and_stays_so(
    house: House, backup: str
) -> None:
    house.write_to(2)
    assert not house.work()
    campaign_id = launched(house)
    copy(house.settings.database_url, backup)
    assert not house.work()
    assert sent().total() == 4
    copy(backup, house.settings.database_url)

    assert house.work()
    with house.open() as services:
        assert lift(services)
    assert not house.work()

    assert sent().total() == 4
    with house.open() as services, read(services.sessions) as session:
        found = find_campaign(session, house.client_id, campaign_id)
        assert found.status is CampaignStatus.PAUSED
        assert "restored" in (found.status_reason or "")


def launched(house: House) -> int:
    """Launch a campaign to everybody, which no worker has taken up yet."""
    with house.open() as services, write(services.sessions) as session:
        template = create_template(
            session, house.clock, client_id=house.client_id, name="t", channel="email",
            subject="Hi", html='<a href="{{ unsubscribe_url }}">Leave</a>',
        )  # fmt: skip
        made = create_campaign(
            session, house.clock, client_id=house.client_id, name="All", type="email",
            target_audience={"rule": "everyone"},
            variants=[{"channel": Channel.EMAIL, "template_id": template.id}],
        )  # fmt: skip
        launch(session, house.clock, client_id=house.client_id, campaign_id=made.id)
        return made.id


def test_a_hold_and_its_end_are_in_the_audit_log(house: House) -> None:
    crash(house)
    house.clock.advance(hours=25)
    with house.open() as services:
        Guard(services).start()
        lift(services)
        with read(services.sessions) as session:
            entries = session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id)).all()

    assert [(one.actor, one.action) for one in entries] == [
        ("engine", "instance.hold"),
        ("cli", "instance.resume"),
    ]


def test_home_is_the_same_every_time(house: House) -> None:
    with house.open() as services:
        with read(services.sessions) as session:
            first = home(session)
        services.engine.dispose()
        with read(services.sessions) as session:
            assert home(session) == first


def crash(house: House) -> None:
    """Leave everything as a process does that is killed after its first heartbeat."""
    with house.open() as services:
        runner = Runner(services, {Role.WORKER})
        runner.start()

        def beating() -> bool:
            with read(services.sessions) as session:
                return bool(workers(session))

        until(beating)
        with read(services.sessions) as session:
            [row] = workers(session)
            kept = {"name": row.name, "roles": row.roles, "started_at": row.started_at,
                    "heartbeat_at": row.heartbeat_at, "report": {}}  # fmt: skip
        assert runner.stop()
        with write(services.sessions) as session:
            session.execute(sa.insert(type(row)).values(**kept))
