"""Mirrors scheduling/worker.py."""

from core.clock import ManualClock
from core.db import Sessions, read, write
from scheduling.worker import alive, beat, leave, workers


def test_a_worker_that_beats_is_alive(sessions: Sessions, clock: ManualClock) -> None:
    say(sessions, clock, "a", "worker", "web")

    with read(sessions) as session:
        found = alive(session, clock)

    assert [(one.name, one.roles) for one in found] == [("a", ["web", "worker"])]


def test_one_that_falls_silent_is_taken_for_gone_but_still_shown(
    sessions: Sessions, clock: ManualClock
) -> None:
    say(sessions, clock, "a", "worker")
    clock.advance(seconds=40)
    say(sessions, clock, "b", "worker")
    clock.advance(seconds=6)

    with read(sessions) as session:
        assert [one.name for one in alive(session, clock)] == ["b"]
        assert [one.name for one in workers(session)] == ["a", "b"]


def test_beating_again_keeps_one_row_and_its_start(sessions: Sessions, clock: ManualClock) -> None:
    started = clock.now()
    for _ in range(3):
        with write(sessions) as session:
            beat(session, clock, name="a", roles=["web"], started_at=started)
        clock.advance(seconds=10)

    with read(sessions) as session:
        (only,) = alive(session, clock)

    assert only.started_at == started


def test_one_that_takes_its_leave_is_not_missed(sessions: Sessions, clock: ManualClock) -> None:
    say(sessions, clock, "a", "worker")

    with write(sessions) as session:
        leave(session, name="a")

    with read(sessions) as session:
        assert workers(session) == []


def test_one_silent_for_a_week_is_forgotten(sessions: Sessions, clock: ManualClock) -> None:
    say(sessions, clock, "a", "worker")
    clock.advance(days=8)

    say(sessions, clock, "b", "worker")

    with read(sessions) as session:
        assert [one.name for one in workers(session)] == ["b"]


def say(sessions: Sessions, clock: ManualClock, name: str, *roles: str) -> None:
    with write(sessions) as session:
        beat(session, clock, name=name, roles=roles, started_at=clock.now())
