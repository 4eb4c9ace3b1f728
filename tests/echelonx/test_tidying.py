"""Mirrors echelonx/tidying.py."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from communications.communication import Communication
from core.clock import ManualClock
from core.db import Sessions, read
from echelonx import tidying
from echelonx.tidying import Tidying
from tests.factories import Factory
from webhooks.retention import CLASSES, RetentionMark


def test_a_unit_is_one_slice_and_a_round_ends_with_everything_forgotten(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    make = Factory(sessions, clock, client_id)
    make.message(make.member(), content="Hello", created_at=clock.now() - timedelta(days=200))
    tidy = Tidying(sessions, clock)

    def dealt_with() -> int:
        with read(sessions) as session:
            return session.scalar(select(func.count()).select_from(RetentionMark)) or 0

    seen, more = 0, True
    while more:
        more = tidy.unit()
        assert dealt_with() - seen in (0, 1)
        seen = dealt_with()

    assert seen == len(CLASSES)
    with read(sessions) as session:
        assert session.scalars(select(Communication.content)).all() == [None]
    assert not tidy.unit(), "the next round is in a minute"


def test_a_task_that_raises_keeps_no_other_from_its_turn(
    sessions: Sessions, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def broken(*args: object) -> bool:
        raise RuntimeError("broken")

    def works(*args: object) -> bool:
        done.append("slice")
        return len(done) < 3

    monkeypatch.setattr(tidying, "ROUNDS", {600.0: (broken, works)})
    tidy = Tidying(sessions, clock)
    with pytest.raises(RuntimeError):
        tidy.unit()
    while tidy.unit():
        pass
    assert len(done) == 3


def test_what_is_due_more_often_has_its_turn_amid_a_long_round(
    sessions: Sessions, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, done = [0.0], []

    def task(name: str, *, endless: bool) -> tidying.Task:
        def slice_of(*_: object) -> bool:
            done.append(name)
            return endless

        return slice_of

    often, seldom = task("often", endless=False), task("seldom", endless=True)
    monkeypatch.setattr("echelonx.care.ticking", lambda: now[0])
    monkeypatch.setattr(tidying, "ROUNDS", {60.0: (often,), 600.0: (seldom,)})
    tidy = Tidying(sessions, clock)
    for now[0] in (0.0, 1.0, 2.0, 61.0, 62.0, 63.0):
        tidy.unit()
    assert done == ["often", "seldom", "seldom", "seldom", "often", "seldom"]
