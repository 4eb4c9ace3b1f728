"""Mirrors communications/claim.py: what happens to rows whose workers died. See test_ledger too."""

from datetime import timedelta

from communications.claim import MAX_CRASHES, POISON
from communications.communication import Reason
from communications.ledger import release, skip_claimed
from communications.reaper import reap
from core.clock import ManualClock
from core.db import Sessions, write
from tests.communications.conftest import LEASE


def test_rows_whose_worker_died_are_taken_ten_at_a_time_and_then_alone(
    make_rows, take, clock: ManualClock
) -> None:
    ids = make_rows(25)
    assert len(take(25)) == 25
    clock.advance(seconds=LEASE.total_seconds())

    second = take(25)
    clock.advance(seconds=LEASE.total_seconds())
    third = take(25)

    assert [one.id for one in second] == ids[:10]
    assert [one.id for one in third] == ids[:1], "two workers died with it"


def test_a_message_that_kills_its_workers_is_held_and_the_others_go_on(
    sessions: Sessions, make_rows, take, row, clock: ManualClock
) -> None:
    ids = make_rows(30)
    poison = ids[7]
    deaths = 0
    sent: set[int] = set()
    for _ in range(200):
        rows = take(30, owner="sound")
        if not rows:
            break
        if poison in [one.id for one in rows]:
            deaths += 1
            clock.advance(seconds=LEASE.total_seconds())
            continue
        with write(sessions) as session:
            skip_claimed(
                session, clock,
                ids=[one.id for one in rows], owner="sound", reason=Reason.CANCELLED, detail="",
            )  # fmt: skip
        sent |= {one.id for one in rows}

    assert deaths == MAX_CRASHES
    assert row(poison).held == POISON
    assert sent == set(ids) - {poison}


def test_fresh_rows_and_suspects_never_share_a_window(make_rows, take, clock) -> None:
    make_rows(2, priority=1)
    suspects = [one.id for one in take(2)]
    clock.advance(seconds=LEASE.total_seconds())
    fresh = make_rows(2, priority=0)

    assert [one.id for one in take(10)] == fresh
    assert [one.id for one in take(10)] == suspects


def test_an_exclusive_start_counts_the_crash_too(
    sessions: Sessions, make_rows, take, row, clock
) -> None:
    (one,) = make_rows(1)
    for death in range(1, MAX_CRASHES + 1):
        take(1, owner=f"dead#{death}")
        with write(sessions) as session:
            reap(session, clock, owners=("",))
        assert row(one).crashes == death

    assert row(one).held == POISON
    assert not take(1)


def test_a_claim_given_back_is_no_crash(sessions, make_rows, take, row, clock) -> None:
    ids = make_rows(3)
    take(3, owner="sound")
    with write(sessions) as session:
        release(session, ids=ids, owner="sound")
    clock.advance(seconds=LEASE.total_seconds())

    assert len(take(3)) == 3
    assert {row(one).crashes for one in ids} == {0}


def test_a_lease_that_still_runs_keeps_everybody_away(make_rows, take, clock) -> None:
    make_rows(1)
    take(1)
    clock.set(clock.now() + LEASE - timedelta(seconds=2))

    assert not take(1)
