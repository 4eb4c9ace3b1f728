"""Mirrors echelonx/runner.py, lanes.py, care.py and scheduler.py."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from channels.channel import Channel
from communications.account import pause_account, resume_account
from communications.communication import Communication, Reason
from communications.status import Status
from core.clock import ManualClock
from core.db import read, write
from echelonx import runner as module
from echelonx import wiring
from echelonx.lanes import Lanes
from echelonx.runner import Role, Runner
from echelonx.scheduler import Ticker
from echelonx.wiring import Services
from scheduling.bell import LocalBell
from scheduling.occurrence import OccurrenceState, occurrences, plan
from scheduling.worker import workers
from tests.factories import Factory

PATIENCE = 120.0


def test_a_process_says_that_it_is_alive_and_takes_its_leave(services: Services) -> None:
    runner = Runner(services, {Role.WORKER, Role.SCHEDULER})

    runner.start()
    until(lambda: named(services) == [runner.name])
    with read(services.sessions) as session:
        assert workers(session)[0].roles == ["scheduler", "worker"]

    assert runner.stop()
    assert named(services) == []


def test_with_the_file_to_itself_it_recovers_a_dead_process_at_once(
    services: Services, factory: Factory
) -> None:
    lost = sending(services, factory)
    runner = Runner(services, {Role.WORKER}, exclusive=True)

    runner.start()
    runner.stop()

    with read(services.sessions) as session:
        row = session.get_one(Communication, lost)
        assert (row.status, row.reason) == (Status.UNKNOWN, Reason.WORKER_STOPPED)


def test_what_it_finds_without_its_worker_is_counted(
    services: Services, factory: Factory, clock: ManualClock
) -> None:
    sending(services, factory)
    clock.advance(seconds=121)
    runner = Runner(services, {Role.WORKER})

    runner.start()
    until(lambda: unknown(services) == 1)
    runner._beat()

    with read(services.sessions) as session:
        assert workers(session)[0].report["lost"] == 1
    runner.stop()


def test_a_scheduler_that_hangs_says_when_it_last_ticked(
    services: Services, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK_SILENT_SECONDS", -1.0)
    runner = Runner(services, {Role.WORKER, Role.SCHEDULER})

    runner._beat()

    with read(services.sessions) as session:
        [found] = workers(session)
        assert found.roles == ["worker"]
        assert found.report["ticked"] == pytest.approx(clock.now().timestamp(), abs=60)
    runner.stop()


def test_beside_others_it_leaves_their_rows_until_the_lease_is_over(
    services: Services, factory: Factory
) -> None:
    held = sending(services, factory)
    runner = Runner(services, {Role.WORKER})

    runner.start()
    runner.stop()

    with read(services.sessions) as session:
        assert session.get_one(Communication, held).status is Status.SENDING


def test_lanes_come_and_go_with_their_accounts(services: Services, factory: Factory) -> None:
    account = factory.account("smtp", Channel.EMAIL, {})
    dispatcher = wiring.dispatcher(services, "test")
    dispatcher.stop()
    lanes = Lanes(services.sessions, dispatcher, LocalBell(), interval=60)

    def lanes_of() -> list[str]:
        lanes.look()
        return [pump.name for pump in lanes.pumps()]

    assert lanes_of() == [f"lane-{account}"]
    with write(services.sessions) as session:
        pause_account(session, services.clock, account_id=account, reason="test")
    until(lambda: lanes_of() == [])
    with write(services.sessions) as session:
        resume_account(session, services.clock, account_id=account)
    assert lanes_of() == [f"lane-{account}"]

    for pump in lanes.pumps():
        assert pump.stop(PATIENCE)


def test_a_tick_fires_what_is_due_and_rings(services: Services, clock: ManualClock) -> None:
    due = clock.now() - timedelta(seconds=1)
    with write(services.sessions) as session:
        plan(session, clock, schedule_key="campaign:999", occurrence_key="x", due_at=due)
    heard = services.send_bell.subscribe()

    Ticker(services.sessions, clock, services.bell).tick()

    assert heard.is_set()
    with read(services.sessions) as session:
        assert occurrences(session, "campaign:999")[0].state is OccurrenceState.FIRED


@pytest.fixture
def factory(services: Services, clock: ManualClock, client_id: int) -> Factory:
    return Factory(services.sessions, clock, client_id)


def sending(services: Services, factory: Factory) -> int:
    """A message that another process has in its hands."""
    return factory.message(
        status=Status.SENDING,
        rank=0,
        sent_at=None,
        owner="elsewhere:1:1#1.1",
        lease_until=services.clock.now() + timedelta(seconds=120),
        token=1,
    )


def unknown(services: Services) -> int:
    with read(services.sessions) as session:
        rows = session.query(Communication).where(Communication.status == Status.UNKNOWN)
        return rows.count()


def named(services: Services) -> list[str]:
    with read(services.sessions) as session:
        return [worker.name for worker in workers(session)]


def until(so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.01)
