"""Mirrors scheduling/occurrence.py."""

from collections.abc import Callable

from core.clock import ManualClock
from core.db import Sessions, read, write
from scheduling.occurrence import Occurrence, OccurrenceState, cancel, occurrences
from scheduling.tick import tick

Read = Callable[[int], Occurrence]


def test_an_instant_is_planned_once_however_often_it_is_asked_for(
    sessions: Sessions, plan_one: Callable[..., int], occurrence: Read
) -> None:
    first = plan_one(due_in=60)

    assert plan_one(due_in=90) == first

    with read(sessions) as session:
        assert [found.id for found in occurrences(session, "test:1")] == [first]


def test_planning_again_does_not_move_what_is_planned(
    clock: ManualClock, plan_one: Callable[..., int], occurrence: Read
) -> None:
    first = plan_one(due_in=0)

    plan_one(due_in=90)

    assert occurrence(first).due_at == clock.now()


def test_a_cancelled_instant_can_be_planned_anew(
    sessions: Sessions, plan_one: Callable[..., int], occurrence: Read
) -> None:
    planned = plan_one()
    with write(sessions) as session:
        assert cancel(session, "test:1") == 1
    assert occurrence(planned).state is OccurrenceState.CANCELLED

    plan_one()

    assert occurrence(planned).state is OccurrenceState.PLANNED


def test_what_fired_is_never_planned_or_cancelled_again(
    sessions: Sessions, clock: ManualClock, plan_one: Callable[..., int], occurrence: Read
) -> None:
    planned = plan_one()
    tick(sessions, clock, {"test": lambda *_: None})

    plan_one()
    with write(sessions) as session:
        assert cancel(session, "test:1") == 0

    assert occurrence(planned).state is OccurrenceState.FIRED


def test_cancelling_touches_no_other_schedule(
    sessions: Sessions, plan_one: Callable[..., int], occurrence: Read
) -> None:
    plan_one("test:1")
    other = plan_one("test:12")

    with write(sessions) as session:
        cancel(session, "test:1")

    assert occurrence(other).state is OccurrenceState.PLANNED
