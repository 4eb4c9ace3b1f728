"""Mirrors scheduling/tick.py."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy.orm import Session

from core.clock import Clock, ManualClock
from core.db import Sessions
from scheduling.occurrence import Occurrence, OccurrenceState
from scheduling.tick import tick

Read = Callable[[int], Occurrence]
Plan = Callable[..., int]


def test_what_is_due_fires_earliest_first_and_what_is_not_waits(
    sessions: Sessions, clock: ManualClock, plan_one: Plan, occurrence: Read
) -> None:
    later = plan_one("test:3", due_in=1)
    plan_one("test:2", due_in=-10)
    plan_one("test:1", due_in=-20)
    handler = Handler()

    assert tick(sessions, clock, {"test": handler}) == 2

    assert handler.fired == ["test:1", "test:2"]
    assert occurrence(later).state is OccurrenceState.PLANNED


def test_each_kind_of_schedule_has_its_handler(
    sessions: Sessions, clock: ManualClock, plan_one: Plan
) -> None:
    plan_one("tea:1")
    plan_one("cake:1")
    tea, cake = Handler(), Handler()

    tick(sessions, clock, {"tea": tea, "cake": cake})

    assert (tea.fired, cake.fired) == (["tea:1"], ["cake:1"])


def test_a_second_tick_fires_nothing_again(
    sessions: Sessions, clock: ManualClock, plan_one: Plan, occurrence: Read
) -> None:
    planned = plan_one()
    handler = Handler()
    tick(sessions, clock, {"test": handler})
    clock.advance(hours=1)

    assert tick(sessions, clock, {"test": handler}) == 0

    assert handler.fired == ["test:1"]
    assert occurrence(planned).fired_at == clock.now() - timedelta(hours=1)


def test_eight_schedulers_fire_an_occurrence_once(
    sessions: Sessions, clock: ManualClock, plan_one: Plan
) -> None:
    for number in range(5):
        plan_one(f"test:{number}")
    handler = Handler()
    together = Barrier(8)

    def schedule(_: int) -> int:
        together.wait()
        return tick(sessions, clock, {"test": handler})

    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(schedule, range(8)))

    assert sorted(handler.fired) == [f"test:{number}" for number in range(5)]
    assert sum(counts) == 5


def test_what_is_found_too_late_is_missed_and_never_fires(
    sessions: Sessions, clock: ManualClock, plan_one: Plan, occurrence: Read
) -> None:
    on_time, late = plan_one("test:1", due_in=-7200), plan_one("test:2", due_in=-7201)
    handler = Handler()

    assert tick(sessions, clock, {"test": handler}) == 1
    assert tick(sessions, clock, {"test": handler}) == 0

    assert handler.fired == ["test:1"]
    assert occurrence(on_time).state is OccurrenceState.FIRED
    assert occurrence(late).state is OccurrenceState.MISSED
    assert occurrence(late).fired_at is None


def test_one_that_fails_stays_planned_and_holds_up_no_other(
    sessions: Sessions, clock: ManualClock, plan_one: Plan, occurrence: Read
) -> None:
    broken = plan_one("broken:1", due_in=-5)
    sound = plan_one("test:1")
    handler = Handler()

    with pytest.raises(ValueError, match="broken:1"):
        tick(sessions, clock, {"test": handler, "broken": fail})

    assert occurrence(broken).state is OccurrenceState.PLANNED
    assert occurrence(sound).state is OccurrenceState.FIRED


def test_what_a_failing_handler_wrote_is_undone(
    sessions: Sessions, clock: ManualClock, plan_one: Plan, occurrence: Read
) -> None:
    other = plan_one("test:1", due_in=60)
    plan_one("broken:1")

    def write_and_fail(session: Session, clock: Clock, due: Occurrence) -> None:
        session.get_one(Occurrence, other).schedule_key = "test:2"
        session.flush()
        fail(session, clock, due)

    with pytest.raises(ValueError, match="broken:1"):
        tick(sessions, clock, {"broken": write_and_fail})

    assert occurrence(other).schedule_key == "test:1"


class Handler:
    """Remembers what fired."""

    def __init__(self) -> None:
        self.fired: list[str] = []

    def __call__(self, session: Session, clock: Clock, occurrence: Occurrence) -> None:
        self.fired.append(occurrence.schedule_key)


def fail(session: Session, clock: Clock, occurrence: Occurrence) -> None:
    raise ValueError(occurrence.schedule_key)
