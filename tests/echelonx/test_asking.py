"""Mirrors echelonx/asking.py."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from channels.channel import Channel
from communications.account import ProviderAccount, seal
from communications.communication import Reason
from communications.queries import communication
from communications.status import Status
from core.clock import ManualClock, SystemClock
from core.db import read, write
from echelonx import asking, care
from echelonx.asking import Asking
from echelonx.runner import Role, Runner
from echelonx.wiring import Services
from tests.channels.simulated import Simulators, simulating
from tests.echelonx.test_runner import until
from tests.factories import Factory

Ticks = Callable[[float], None]


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Simulators]:
    with simulating(tmp_path / "log") as found:
        yield found


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Ticks:
    """Move the clock by which rounds are counted."""
    now = [0.0]
    monkeypatch.setattr(care, "ticking", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


@pytest.fixture
def make(services: Services, clock: ManualClock, client_id: int) -> Factory:
    factory = Factory(services.sessions, clock, client_id)
    factory.vault, factory.hasher = services.vault, services.hasher
    return factory


@pytest.fixture
def unknown(make: Factory, clock: ManualClock, sim: Simulators) -> list[int]:
    """Messages that a provider was never given, unknown for an hour."""
    account = make.account("sendgrid", Channel.EMAIL, sim.config["sendgrid"])
    clock.set(SystemClock().now() - timedelta(hours=1))
    values = {"status": Status.UNKNOWN, "rank": 0, "reason": Reason.NO_ANSWER, "sent_at": None}
    made = [make.message(provider_account_id=account, token=1, **values) for _ in range(25)]
    clock.advance(hours=1)
    return made


def asked(services: Services, client_id: int, ids: list[int]) -> int:
    with read(services.sessions) as session:
        rows = [communication(session, client_id, i) for i in ids]
    return sum(row.checked_at is not None for row in rows)


def test_a_round_is_a_few_units_and_the_next_a_minute_later(
    services: Services,
    unknown: list[int],
    client_id: int,
    ticks: Ticks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "MOST", 20)
    unit = Asking(services).unit

    assert (unit(), asked(services, client_id, unknown)) == (True, 10)
    assert (unit(), asked(services, client_id, unknown)) == (False, 20)
    assert (unit(), asked(services, client_id, unknown)) == (False, 20)
    ticks(60)
    assert (unit(), asked(services, client_id, unknown)) == (False, 25)


@pytest.mark.parametrize(
    ("broken", "wait"),
    [({"base_url": "http://127.0.0.1:9"}, 2), ({"api_key": "SG.may-not-read"}, 30)],
    ids=["away", "not allowed"],
)
def test_an_account_that_tells_nothing_takes_nobodys_turn(
    services: Services,
    make: Factory,
    clock: ManualClock,
    unknown: list[int],
    client_id: int,
    sim: Simulators,
    ticks: Ticks,
    broken: dict[str, str],
    wait: int,
) -> None:
    with write(services.sessions) as session:
        account = session.get_one(ProviderAccount, 1)
        account.config = seal(services.vault, account.token, sim.config["sendgrid"] | broken)
    other = make.account("sendgrid", Channel.EMAIL, sim.config["sendgrid"])
    clock.advance(hours=-1)
    values = {"status": Status.UNKNOWN, "rank": 0, "reason": Reason.NO_ANSWER, "sent_at": None}
    later = [make.message(provider_account_id=other, token=1, **values) for _ in range(3)]
    clock.advance(hours=1)
    unit = Asking(services).unit

    assert [unit(), unit()] == [True, False]

    assert asked(services, client_id, later) == 3
    clock.advance(minutes=wait, seconds=-1)
    ticks(60)
    assert not unit()
    clock.advance(seconds=1)
    ticks(60)
    assert unit()  # ten at a time again


def test_a_worker_asks_by_itself(services: Services, unknown: list[int], client_id: int) -> None:
    runner = Runner(services, {Role.WORKER})

    runner.start()
    until(lambda: asked(services, client_id, unknown) == 25)

    assert runner.stop()
