"""Mirrors core/clock.py."""

from datetime import UTC, datetime, timedelta, timezone

from core.clock import ManualClock, SystemClock, ticking


def test_the_systems_clock_tells_aware_utc() -> None:
    assert SystemClock().now().tzinfo is UTC


def test_a_manual_clock_moves_only_when_told() -> None:
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    clock = ManualClock(noon.astimezone(timezone(timedelta(hours=5))))

    assert clock.now() == clock.now() == noon
    assert clock.now().tzinfo is UTC
    assert clock.advance(hours=1, seconds=-1) == noon + timedelta(minutes=59, seconds=59)

    clock.set(noon)
    assert clock.now() == noon


def test_deadlines_run_on_a_clock_that_never_goes_back() -> None:
    readings = [ticking() for _ in range(1000)]

    assert readings == sorted(readings)
