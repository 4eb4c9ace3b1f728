"""Mirrors accounts/throttle.py."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from accounts.throttle import PASSWORD, Throttle, give_back, take
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.errors import RateLimitedError


def tried(sessions: Sessions, clock: ManualClock, who: str = "ana") -> bool:
    """Try once; say whether that was let through."""
    try:
        with write(sessions) as session:
            take(session, clock, PASSWORD, who)
    except RateLimitedError:
        return False
    return True


def test_no_window_holds_more_than_the_limit(sessions: Sessions, clock: ManualClock) -> None:
    let_through = []
    for _ in range(60):
        let_through += [clock.now() for _ in range(2) if tried(sessions, clock)]
        clock.advance(minutes=1)

    for start in let_through:
        inside = [at for at in let_through if start <= at < start + timedelta(minutes=15)]
        assert len(inside) <= PASSWORD.most
    assert len(let_through) >= 20


def test_many_at_once_share_one_count(sessions: Sessions, clock: ManualClock) -> None:
    with ThreadPoolExecutor(8) as pool:
        through = sum(pool.map(lambda _: tried(sessions, clock), range(24)))

    assert through == PASSWORD.most // 2
    assert tried(sessions, clock, "bo")


def test_what_was_right_is_given_back_and_old_rows_go(
    sessions: Sessions, clock: ManualClock
) -> None:
    for _ in range(20):
        assert tried(sessions, clock)
        with write(sessions) as session:
            give_back(session, PASSWORD, "ana")
    clock.advance(days=2)
    tried(sessions, clock, "bo")

    with read(sessions) as session:
        assert session.query(Throttle).count() == 1
