"""Occurrences made directly and read back."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from core.clock import ManualClock
from core.db import Sessions, read, write
from scheduling.occurrence import Occurrence, plan

Plan = Callable[..., int]


@pytest.fixture
def plan_one(sessions: Sessions, clock: ManualClock) -> Plan:
    """Plan an occurrence due so many seconds from now; return its id."""

    def make(schedule_key: str = "test:1", *, due_in: float = 0, key: str = "once") -> int:
        with write(sessions) as session:
            return plan(
                session,
                clock,
                schedule_key=schedule_key,
                occurrence_key=key,
                due_at=clock.now() + timedelta(seconds=due_in),
            ).id

    return make


@pytest.fixture
def occurrence(sessions: Sessions) -> Callable[[int], Occurrence]:
    """Read one anew."""

    def look(occurrence_id: int) -> Occurrence:
        with read(sessions) as session:
            return session.get_one(Occurrence, occurrence_id)

    return look
