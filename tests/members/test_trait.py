"""Mirrors members/trait.py: what is told of people becomes their profile."""

import tracemalloc
from datetime import timedelta

import pytest

from core.clock import ManualClock
from core.db import Sessions, read, write
from members import trait
from members.event import SERVER
from members.member import Member
from members.tracking import ToldEvent, track
from tests.factories import Factory

MANY = 150


def test_however_much_was_told_little_of_it_is_in_memory(
    sessions: Sessions, clock: ManualClock, client_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Factory(sessions, clock, client_id)
    told = [
        ToldEvent(
            "identify", f"{number}", {"member_id": "ana"}, {"plan": number, "long": ["x" * 20_000]},
            clock.now() - timedelta(days=MANY - number), told_by=SERVER,
        )
        for number in range(MANY)
    ]  # fmt: skip
    with write(sessions) as session:
        members = track(session, clock, make.hasher, client_id=client_id, events=told).members
    ana = members["0"]
    monkeypatch.setattr(trait, "AT_ONCE", 5)

    with write(sessions) as session:
        tracemalloc.start()
        trait.learn(session, clock, make.hasher, client_id=client_id, said=[], whole=[ana])
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert most < MANY * 20_000 / 2
    with read(sessions) as session:
        assert session.get_one(Member, ana).attributes == {"plan": MANY - 1}
