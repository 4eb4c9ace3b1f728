"""Mirrors members/membership.py and members/belonging.py."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from core.clock import ManualClock
from core.db import Sessions, read, write
from members.belonging import moved, names_of, segments_of, stays_page
from members.identity import forget_outside, name_outside
from members.member import Member, MemberTag
from members.membership import (
    REPAIR,
    SOON,
    TIMED,
    Cause,
    Moves,
    SegmentMembership,
    due,
    is_noted,
    refresh,
    refresh_touched,
    track,
    tracking,
    untrack,
)
from members.pin import drop_pins, set_pins
from members.queries import members_page
from members.segment import Pin, Segment, belonging, create_segment, delete_segment, update_segment
from members.touch import Touch, touch
from tests.factories import Factory

VIP = 'has tag "vip"'
S = SegmentMembership


def test_who_belongs_when_tracking_begins_is_written_down(
    sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    vip, _other = make.member(), make.member()
    tag(make, vip)
    tracked(make, clock)

    assert look(sessions, clock) == Moves(joined=1)
    assert stays(sessions) == [(vip, Cause.START, None)]
    assert look(sessions, clock) is None


def test_an_id_in_another_system_is_a_change(
    sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    member = make.member()
    tracked(make, clock, rule='external_id.shop = "7"')
    look(sessions, clock)
    client = {"client_id": make.client_id, "member_id": member}

    with write(sessions) as session:
        name_outside(session, **client, system="shop", value="7")
    assert read_notes(make, clock) == Moves(joined=1)
    with write(sessions) as session:
        forget_outside(session, **client, system="shop")
    assert read_notes(make, clock) == Moves(left=1)


def test_a_change_is_seen_through_its_note_alone(
    sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    first, second = make.member(), make.member()
    tracked(make, clock)
    look(sessions, clock)
    clock.advance(seconds=10)
    tag(make, first, second)
    note(make, first)

    assert read_notes(make, clock) == Moves(joined=1)
    assert read_notes(make, clock) is None
    untag(make, first)
    clock.advance(seconds=10)
    note(make, first)
    assert read_notes(make, clock) == Moves(left=1)

    with read(sessions) as session:
        (stay,) = session.scalars(select(S)).all()
        assert (stay.member_id, stay.reason, stay.left_reason) == (
            first, Cause.CHANGE, Cause.CHANGE,
        )  # fmt: skip
        assert stay.left_at == stay.joined_at + timedelta(seconds=10) == clock.now()


def test_nobody_is_noted_while_nothing_is_tracked(
    sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    one = make.member()
    note(make, one)
    foreign = make.another_client()
    tracked(foreign, clock)
    note(make, one)

    with read(sessions) as session:
        assert session.scalar(select(func.count()).select_from(Touch)) == 0
        assert tracking(session) == [foreign.client_id]
        assert not is_noted(session, foreign.client_id)


def test_notes_are_read_a_set_at_a_time(
    sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    members = [make.member() for _ in range(5)]
    tracked(make, clock)
    look(sessions, clock)
    tag(make, *members)
    note(make, *members)
    note(make, *members)

    with write(sessions) as session:
        some = refresh_touched(session, clock, client_id=make.client_id, limit=3)
    assert some == Moves(joined=3)
    assert read_notes(make, clock) == Moves(joined=2)
    assert [one for one, _, _ in stays(sessions)] == members


def test_time_alone_makes_people_leave(
    sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    one = make.member(last_active=clock.now())
    segment_id = tracked(make, clock, rule="last_active in the last 7 days")
    look(sessions, clock)
    clock.advance(seconds=SOON.total_seconds())
    look(sessions, clock)
    clock.advance(days=8)

    assert look(sessions, clock) == Moves(left=1)
    assert stays(sessions) == [(one, Cause.START, Cause.TIME)]
    with read(sessions) as session:
        assert session.get_one(Segment, segment_id).refresh_at == clock.now() + TIMED


def test_what_time_cannot_change_is_looked_at_daily(
    sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    one = make.member()
    segment_id = tracked(make, clock)
    look(sessions, clock)
    clock.advance(seconds=SOON.total_seconds())
    look(sessions, clock)
    tag(make, one)  # past the notes

    clock.advance(seconds=REPAIR.total_seconds() - 1)
    assert look(sessions, clock) is None
    clock.advance(seconds=1)
    assert look(sessions, clock) == Moves(joined=1)
    with read(sessions) as session:
        assert session.get_one(Segment, segment_id).refreshed_at == clock.now()


def test_an_edit_is_followed_at_once_also_by_those_that_name_it(
    sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    one = make.member(tier="elite")
    with write(sessions) as session:
        inner = create_segment(session, clock, client_id=make.client_id, name="in", rule=VIP)
    segment_id = tracked(make, clock, rule='in segment "in"')
    look(sessions, clock)
    clock.advance(seconds=5)
    with write(sessions) as session:
        found = session.get_one(Segment, inner.id)
        update_segment(session, clock, found, rule='tier = "elite"')

    assert look(sessions, clock) == Moves(joined=1)
    assert stays(sessions) == [(one, Cause.EDIT, None)]
    with read(sessions) as session:
        assert not session.get_one(Segment, inner.id).tracked
        assert [stay.segment_id for stay in session.scalars(select(S))] == [segment_id]


def test_pins_and_deletions_have_their_names(
    sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    put_in, kept_out, gone = (make.member() for _ in range(3))
    tag(make, kept_out, gone)
    segment_id = tracked(make, clock)
    look(sessions, clock)
    with write(sessions) as session:
        segment = session.get_one(Segment, segment_id)
        set_pins(session, clock, segment=segment, member_ids=[put_in])
        set_pins(session, clock, segment=segment, member_ids=[kept_out], pin=Pin.EXCLUDE)
        session.execute(update(Member).where(Member.id == gone).values(deleted_at=clock.now()))
        touch(session, client_id=make.client_id, member_ids=[gone])

    assert read_notes(make, clock) == Moves(joined=1, left=2)
    assert stays(sessions) == [
        (put_in, Cause.PIN, None),
        (kept_out, Cause.START, Cause.PIN),
        (gone, Cause.START, Cause.DELETED),
    ]
    with write(sessions) as session:
        drop_pins(session, segment=session.get_one(Segment, segment_id), member_ids=[put_in])
    assert read_notes(make, clock) == Moves(left=1)


def test_the_end_of_tracking_ends_the_stays(
    sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    one = make.member()
    tag(make, one)
    segment_id = tracked(make, clock)
    look(sessions, clock)
    note(make, one)
    with write(sessions) as session:
        untrack(session, clock, session.get_one(Segment, segment_id))

    assert stays(sessions) == [(one, Cause.START, Cause.END)]
    with write(sessions) as session:
        assert not is_noted(session, make.client_id)
        assert refresh(session, clock, segment_id=segment_id) is None
        track(session, clock, session.get_one(Segment, segment_id))
    assert look(sessions, clock) == Moves(joined=1)


def test_a_rule_that_cannot_be_evaluated_keeps_no_other_from_it(
    sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    one = make.member()
    tag(make, one)
    tracked(make, clock, name="broken", rule='in segment "broken"')
    tracked(make, clock)

    while look(sessions, clock) is not None:
        pass
    note(make, one)
    read_notes(make, clock)

    assert stays(sessions) == [(one, Cause.START, None)]


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_stays_always_equal_the_rule(
    data: st.DataObject, sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    """Whatever changes, once the notes are read those present are those the rule means."""
    members = [make.member() for _ in range(4)]
    segment_id = tracked(make, clock, name=f"S{members[0]}")
    while look(sessions, clock) is not None:
        pass
    steps = st.lists(
        st.tuples(st.sampled_from([tag, untag, put_in, keep_out, unpin]), st.sampled_from(members)),
        max_size=6,
    )
    for step, member in data.draw(steps):
        if step in (tag, untag):
            step(make, member)
            note(make, member)
        else:
            step(make, clock, segment_id, member)
        if data.draw(st.booleans()):
            read_notes(make, clock)
    read_notes(make, clock)

    with read(sessions) as session:
        segment = session.get_one(Segment, segment_id)
        page = members_page(
            session, make.client_id, condition=belonging(segment), now=clock.now(), limit=1000
        )
        present = select(S.member_id).where(S.segment_id == segment_id, S.left_at.is_(None))
        assert sorted(session.scalars(present)) == [one.id for one in page]


def test_a_member_is_told_its_segments_since_when_and_why(
    sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    one, other = make.member(tier="elite"), make.member()
    tag(make, one)
    tracked(make, clock)
    look(sessions, clock)
    began = clock.now()
    clock.advance(days=2)
    with write(sessions) as session:
        for name, rule in (("elite", 'tier = "elite"'), ("none", VIP + ' and tier = "basic"')):
            create_segment(session, clock, client_id=make.client_id, name=name, rule=rule)
        hand = create_segment(
            session, clock, client_id=make.client_id, name="hand", rule='tier = "premium"'
        )
        set_pins(session, clock, segment=hand, member_ids=[one])

        found = segments_of(session, clock, client_id=make.client_id, member_id=one)
        assert [(b.segment.name, b.pinned, b.since, b.reason) for b in found] == [
            ("A", False, began, Cause.START),
            ("elite", False, None, None),
            ("hand", True, None, None),
        ]
        assert segments_of(session, clock, client_id=make.client_id, member_id=other) == []


def test_stays_are_walked_newest_first_by_segment_and_by_member(
    sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    members = [make.member() for _ in range(3)]
    tag(make, *members)
    segment_id = tracked(make, clock)
    look(sessions, clock)
    tracked(make.another_client(), clock)
    with read(sessions) as session:
        own = {"client_id": make.client_id}
        first = stays_page(session, **own, segment_id=segment_id, limit=2)
        rest = stays_page(session, **own, segment_id=segment_id, before=first[-1].id)
        mine = stays_page(session, **own, member_id=members[1])
        names = names_of(session, make.client_id, [segment_id])

        assert [stay.member_id for stay in (*first, *rest)] == members[::-1]
        assert [stay.member_id for stay in mine] == [members[1]]
        assert names == {segment_id: "A"}
        assert moved(session, **own, segment_id=segment_id, since=clock.now()) == (3, 0)


def test_a_deleted_segment_is_tracked_no_longer(
    sessions: Sessions, clock: ManualClock, make: Factory
) -> None:
    segment_id = tracked(make, clock)
    with write(sessions) as session:
        delete_segment(session, clock, session.get_one(Segment, segment_id))

    with read(sessions) as session:
        assert tracking(session) == []
        assert due(session, clock) is None


def tracked(make: Factory, clock: ManualClock, name: str = "A", rule: str = VIP) -> int:
    with write(make.sessions) as session:
        segment = create_segment(session, clock, client_id=make.client_id, name=name, rule=rule)
        track(session, clock, segment)
        return segment.id


def look(sessions: Sessions, clock: ManualClock) -> Moves | None:
    """Look wholly at the segment whose time has come, if any."""
    with write(sessions) as session:
        found = due(session, clock)
        return refresh(session, clock, segment_id=found.id) if found else None


def read_notes(make: Factory, clock: ManualClock) -> Moves | None:
    with write(make.sessions) as session:
        return refresh_touched(session, clock, client_id=make.client_id)


def note(make: Factory, *members: int) -> None:
    with write(make.sessions) as session:
        touch(session, client_id=make.client_id, member_ids=members)


def stays(sessions: Sessions) -> list[tuple[int, Cause, Cause | None]]:
    with read(sessions) as session:
        found = session.scalars(select(S).order_by(S.member_id, S.id))
        return [(stay.member_id, stay.reason, stay.left_reason) for stay in found]


def tag(make: Factory, *members: int) -> None:
    with write(make.sessions) as session:
        for one in members:
            session.merge(MemberTag(client_id=make.client_id, member_id=one, tag="vip"))


def untag(make: Factory, *members: int) -> None:
    with write(make.sessions) as session:
        session.execute(delete(MemberTag).where(MemberTag.member_id.in_(members)))


def put_in(make: Factory, clock: ManualClock, segment_id: int, member: int) -> None:
    with write(make.sessions) as session:
        segment = session.get_one(Segment, segment_id)
        set_pins(session, clock, segment=segment, member_ids=[member])


def keep_out(make: Factory, clock: ManualClock, segment_id: int, member: int) -> None:
    with write(make.sessions) as session:
        segment = session.get_one(Segment, segment_id)
        set_pins(session, clock, segment=segment, member_ids=[member], pin=Pin.EXCLUDE)


def unpin(make: Factory, clock: ManualClock, segment_id: int, member: int) -> None:
    with write(make.sessions) as session:
        drop_pins(session, segment=session.get_one(Segment, segment_id), member_ids=[member])


@pytest.fixture
def make(sessions: Sessions, clock: ManualClock, client_id: int) -> Factory:
    return Factory(sessions, clock, client_id)
