"""Mirrors communications/doubt.py."""

from collections.abc import Callable
from datetime import timedelta

from communications.claim import Claimed
from communications.communication import Communication, Reason
from communications.doubt import LEAP, doubt, leap
from communications.ledger import intend
from communications.status import Status
from core.clock import ManualClock
from core.db import Sessions, write
from tests.communications.conftest import Rows

Row = Callable[[int], Communication]


def test_what_was_due_or_on_its_way_becomes_unknown_and_the_rest_stays(
    sessions: Sessions,
    clock: ManualClock,
    make_rows: Rows,
    sending: Callable[..., list[Claimed]],
    row: Row,
) -> None:
    later = clock.now() + timedelta(hours=1)
    [going] = sending(1)
    [due, held] = make_rows(1) + make_rows(1, held="paused", run_id=9)
    kept = [
        *make_rows(1, not_before=later),
        *make_rows(1, status=Status.SENT),
        *make_rows(1, status=Status.UNKNOWN, reason=Reason.NO_ANSWER),
    ]

    with write(sessions) as session:
        assert doubt(session, clock, until=clock.now()) == 3
        assert doubt(session, clock, until=clock.now()) == 0

    for found in map(row, (going.id, due, held)):
        assert (found.status, found.reason) == (Status.UNKNOWN, Reason.RESTORED)
        assert (found.open_attempts, found.held, found.owner, found.lease_until) == (
            1, None, None, None,
        )  # fmt: skip
    assert [row(one).status for one in kept] == [Status.QUEUED, Status.SENT, Status.UNKNOWN]
    assert row(kept[2]).reason is Reason.NO_ANSWER


def test_what_is_younger_can_be_left_alone(
    sessions: Sessions, clock: ManualClock, make_rows: Rows, row: Row
) -> None:
    [old] = make_rows(1)
    since = clock.now()
    clock.advance(minutes=1)
    [young] = make_rows(1)

    with write(sessions) as session:
        doubt(session, clock, until=clock.now(), born=since)

    assert row(old).status is Status.UNKNOWN
    assert row(young).status is Status.QUEUED


def test_a_live_workers_claim_is_void(
    sessions: Sessions, clock: ManualClock, make_rows: Rows, take: Callable[..., list[Claimed]]
) -> None:
    make_rows(2)
    claimed = take(owner="worker#1")

    with write(sessions) as session:
        doubt(session, clock, until=clock.now())
    with write(sessions) as session:
        passed = intend(
            session, clock, ids=[one.id for one in claimed], owner="worker#1", lease_seconds=60
        )

    assert passed == set()


def test_what_comes_after_a_restoration_has_numbers_nobody_has_used(
    sessions: Sessions, make_rows: Rows
) -> None:
    with write(sessions) as session:
        leap(session)
    [first] = make_rows(1)
    with write(sessions) as session:
        leap(session)
    [second] = make_rows(1)

    assert first > LEAP
    assert second > first + LEAP
