"""Mirrors members/merge.py: who else edits its two members meanwhile."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from core.clock import ManualClock
from core.db import Sessions, write
from members.errors import MergeError
from members.member import Member
from members.merge import merge, undo_merge
from members.upsert import take_turn
from tests.conftest import only_postgresql
from tests.factories import Factory
from tests.waiting import until_waiting


@pytest.fixture
def make(sessions: Sessions, clock: ManualClock, client_id: int) -> Factory:
    return Factory(sessions, clock, client_id)


@only_postgresql
def test_a_merge_leaves_its_members_to_whoever_has_the_turn(
    make: Factory, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    kept, gone = make.member(), make.member()
    follower = make.member(referred_by=gone)

    def joined() -> None:
        with write(sessions) as session:
            merge(session, clock, client_id=client_id, survivor_id=kept, absorbed_id=gone)

    with ThreadPoolExecutor(1) as pool:
        with write(sessions) as session:  # an edit of many, in whatever order
            take_turn(session, client_id)
            session.execute(select(Member.id).where(Member.id == follower).with_for_update())
            merging = pool.submit(joined)
            until_waiting(session, merging)
            others = select(Member.id).where(Member.id.in_((kept, gone)))
            session.execute(others.with_for_update(nowait=True))
        merging.result()
    with sessions() as session:
        assert session.get_one(Member, follower).referred_by == kept


@only_postgresql
def test_a_merge_is_undone_once(
    make: Factory, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    kept, gone = make.member(), make.member()
    with write(sessions) as session:
        done = merge(session, clock, client_id=client_id, survivor_id=kept, absorbed_id=gone).id

    def parted() -> str:
        try:
            with write(sessions) as session:
                undo_merge(session, clock, client_id=client_id, merge_id=done)
        except MergeError as error:
            return str(error)
        return "undone"

    with ThreadPoolExecutor(2) as pool:
        with write(sessions) as session:
            session.execute(select(Member.id).with_for_update()).all()
            both = [pool.submit(parted) for _ in range(2)]
            until_waiting(session, *both)
        assert sorted(one.result() for one in both) == ["this merge was undone already", "undone"]
