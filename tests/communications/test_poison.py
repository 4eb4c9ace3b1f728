"""Mirrors communications/poison.py."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from accounts.audit import AuditEntry
from communications.claim import MAX_CRASHES
from communications.communication import Reason
from communications.errors import NothingExpectedError, UnexpectedCountError
from communications.poison import Verdict, decide, held_count, held_rows
from communications.status import Status
from communications.unknown import Resolved
from core.clock import ManualClock
from core.db import Sessions, read, write
from tests.communications.conftest import LEASE, Rows
from tests.communications.unknowns import Row

Decide = Callable[..., Resolved]


@pytest.fixture
def poison(make_rows: Rows, take: Any, clock: ManualClock) -> list[int]:
    """Two messages with which three workers died."""
    ids = make_rows(2, run_id=4)
    for _ in range(MAX_CRASHES * 4):
        take()
        clock.set(clock.now() + LEASE)
    assert take() == []
    return ids


@pytest.fixture
def judge(sessions: Sessions, clock: ManualClock, client_id: int) -> Decide:
    """Decide as an operator does."""

    def run(verdict: Verdict, expected: int, ids: list[int] | None = None) -> Resolved:
        with write(sessions) as session:
            return decide(
                session,
                clock,
                client_id=client_id,
                ids=ids,
                verdict=verdict,
                expected=expected,
                actor="cli",
            )

    return run


def test_they_are_listed(poison: list[int], sessions: Sessions, client_id: int) -> None:
    with read(sessions) as session:
        assert [one.id for one in held_rows(session, client_id)] == poison
        assert held_count(session, client_id) == 2
        assert held_count(session, client_id, poison[:1]) == 1
        assert held_rows(session, client_id + 1) == []


def test_a_released_one_is_taken_again_with_a_clean_slate(
    poison: list[int], judge: Decide, row: Row, take: Any
) -> None:
    assert judge(Verdict.RELEASE, 1, poison[:1]) == Resolved(1, (4,))

    assert (row(poison[0]).held, row(poison[0]).crashes) == (None, 0)
    assert row(poison[1]).held == "poison"
    assert [one.id for one in take()] == poison[:1]


def test_a_skipped_one_is_cancelled(poison: list[int], judge: Decide, row: Row) -> None:
    judge(Verdict.SKIP, 2)

    found = {(row(i).status, row(i).reason, row(i).held) for i in poison}
    assert found == {(Status.SKIPPED, Reason.CANCELLED, None)}


def test_another_number_than_expected_changes_nothing(
    poison: list[int], judge: Decide, row: Row
) -> None:
    for expected, error in ((1, UnexpectedCountError), (0, NothingExpectedError)):
        with pytest.raises(error):
            judge(Verdict.RELEASE, expected)

    assert {row(i).held for i in poison} == {"poison"}


def test_what_is_held_for_another_reason_stays(
    poison: list[int], make_rows: Rows, judge: Decide, row: Row
) -> None:
    [paused] = make_rows(1, held="paused", address_hash="other")

    judge(Verdict.RELEASE, 2)

    assert row(paused).held == "paused"


def test_it_is_written_down(poison: list[int], judge: Decide, sessions: Sessions) -> None:
    judge(Verdict.SKIP, 2)

    with read(sessions) as session:
        [entry] = session.scalars(select(AuditEntry))
    assert (entry.action, entry.detail) == ("poison.skip", {"rows": 2, "ids": poison})
