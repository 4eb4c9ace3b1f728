"""Mirrors scheduling/pump.py."""

from collections.abc import Callable, Iterator
from threading import Event

import pytest
from structlog.testing import capture_logs

from core.clock import ticking
from scheduling.bell import LocalBell
from scheduling.pump import Pump, pause_after

LONG = 600.0
SOON = 20.0
"""Seconds a test waits at most for another thread; it never takes that long."""

MakePump = Callable[..., Pump]


def test_it_works_until_there_is_nothing_left(make_pump: MakePump) -> None:
    work = Work(5)

    make_pump(work).start()

    assert work.done.wait(SOON)
    assert work.left == 0


def test_a_ring_wakes_it_long_before_its_interval(make_pump: MakePump, bell: LocalBell) -> None:
    work = Work(0)
    make_pump(work, interval=LONG).start()
    assert work.done.wait(SOON)

    work.give(3)
    bell.ring()

    assert work.done.wait(SOON)


def test_a_ring_while_it_looks_makes_it_look_again(make_pump: MakePump, bell: LocalBell) -> None:
    looks: list[int] = []
    again = Event()

    def unit() -> bool:
        looks.append(1)
        if len(looks) == 1:
            bell.ring()
        else:
            again.set()
        return False

    make_pump(unit, interval=LONG).start()

    assert again.wait(SOON)


def test_without_a_ring_it_looks_again_after_its_interval(make_pump: MakePump) -> None:
    work = Work(0)
    make_pump(work, interval=0.001).start()

    work.give(2)

    assert work.done.wait(SOON)


def test_a_failure_is_logged_and_the_pump_goes_on(make_pump: MakePump) -> None:
    pauses: list[int] = []
    failures = iter([ValueError("first"), LookupError("second")])
    work = Work(1)

    def unit() -> bool:
        for failure in failures:
            raise failure
        return work()

    def pause(failed: int) -> float:
        pauses.append(failed)
        return 0.0

    with capture_logs() as logs:
        pump = make_pump(unit, pause=pause)
        pump.start()
        assert work.done.wait(SOON)
        assert pump.stop(SOON)

    assert pauses == [1, 2]
    assert [entry["failures"] for entry in logs if entry["log_level"] == "error"] == [1, 2]
    assert pump.failures == 0


def test_the_pause_doubles_up_to_half_a_minute() -> None:
    assert [pause_after(failures) for failures in (1, 2, 3, 4, 5, 6, 1000)] == [
        1, 2, 4, 8, 16, 30, 30,
    ]  # fmt: skip


def test_stopping_waits_for_the_unit_in_progress(make_pump: MakePump) -> None:
    entered, leave = Event(), Event()
    finished: list[int] = []

    def unit() -> bool:
        entered.set()
        assert leave.wait(SOON)
        finished.append(1)
        return True

    pump = make_pump(unit)
    pump.start()
    assert entered.wait(SOON)

    assert not pump.stop(0.01)
    assert finished == []
    leave.set()
    assert pump.stop(SOON)

    assert finished == [1]
    assert not pump.alive


def test_stopping_ends_a_pause_after_a_failure(make_pump: MakePump) -> None:
    failed = Event()

    def unit() -> bool:
        failed.set()
        raise ValueError

    pump = make_pump(unit, pause=lambda _: LONG)
    pump.start()
    assert failed.wait(SOON)

    assert pump.stop(SOON)


def test_a_pump_may_be_stopped_twice_or_before_it_started(make_pump: MakePump) -> None:
    pump = make_pump(Work(0))

    assert pump.stop()
    assert pump.stop()


def test_it_tells_when_it_last_looked(make_pump: MakePump) -> None:
    before = ticking()
    work = Work(1)
    pump = make_pump(work)

    pump.start()
    assert work.done.wait(SOON)

    assert before <= pump.last_loop <= ticking()


class Work:
    """Some units of work; `done` is set when a look finds none left."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.done = Event()

    def give(self, count: int) -> None:
        self.left = count
        self.done.clear()

    def __call__(self) -> bool:
        if self.left > 0:
            self.left -= 1
            return True
        self.done.set()
        return False


@pytest.fixture
def bell() -> LocalBell:
    return LocalBell()


@pytest.fixture
def make_pump(bell: LocalBell) -> Iterator[MakePump]:
    made: list[Pump] = []

    def make(unit: Callable[[], bool], interval: float = 0.01, **options: object) -> Pump:
        pump = Pump("test", unit, bell=bell, interval=interval, **options)  # type: ignore[arg-type]
        made.append(pump)
        return pump

    yield make
    for pump in made:
        assert pump.stop(SOON)
