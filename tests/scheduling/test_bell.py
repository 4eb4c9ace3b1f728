"""Mirrors scheduling/bell.py."""

from scheduling.bell import LocalBell


def test_a_ring_wakes_every_listener() -> None:
    bell = LocalBell()
    first, second = bell.subscribe(), bell.subscribe()

    bell.ring()

    assert first.is_set()
    assert second.is_set()


def test_a_listener_that_left_hears_nothing() -> None:
    bell = LocalBell()
    heard = bell.subscribe()
    bell.unsubscribe(heard)

    bell.ring()

    assert not heard.is_set()


def test_a_bell_nobody_listens_to_may_ring() -> None:
    LocalBell().ring()
