"""Mirrors members/segment.py, members/pin.py and members/dependence.py."""

import pytest
from sqlalchemy.orm import Session

from core.clock import ManualClock
from core.condition.ast import InSegment, Or
from core.condition.check import ConditionError
from core.condition.english import sentence
from core.condition.json import from_json
from core.condition.text import format, parse
from core.db import Sessions, write
from members.dependence import is_timed, names_in, ripens, with_names
from members.errors import (
    MemberInvalidError,
    MemberNotFoundError,
    SegmentInUseError,
    SegmentKindError,
)
from members.member import MemberTag
from members.pin import MAX_PINS, drop_pins, freeze, pins_page, set_pins
from members.queries import count_rule, members_page
from members.rule import compile_rule
from members.segment import (
    Pin,
    Segment,
    SegmentKind,
    belonging,
    create_segment,
    delete_segment,
    spoken,
    update_segment,
)
from tests.factories import Factory

VIP = 'has tag "vip"'


def test_a_pin_goes_before_the_rule(
    sessions: Sessions, clock: ManualClock, client_id: int, make: Factory
) -> None:
    vip, kept_out, put_in, other = (make.member() for _ in range(4))
    tag(make, vip, kept_out)
    with write(sessions) as session:
        segment = made(session, clock, client_id)
        set_pins(session, clock, segment=segment, member_ids=[put_in, vip])
        set_pins(session, clock, segment=segment, member_ids=[kept_out], pin=Pin.EXCLUDE)

        assert inside(session, clock, segment) == [vip, put_in]
        assert meant(session, clock, client_id, 'not in segment "A"') == [kept_out, other]

        assert drop_pins(session, segment=segment, member_ids=[put_in, kept_out, other]) == 2
        assert inside(session, clock, segment) == [vip, kept_out]


def test_a_pin_is_turned_round_and_said_once(
    sessions: Sessions, clock: ManualClock, client_id: int, make: Factory
) -> None:
    one = make.member()
    with write(sessions) as session:
        segment = made(session, clock, client_id, rule="everyone")

        said = [
            set_pins(
                session, clock, segment=segment, member_ids=[one, one], pin=pin, actor="user:3"
            )
            for pin in (Pin.INCLUDE, Pin.INCLUDE, Pin.EXCLUDE)
        ]

        assert said == [1, 0, 1]
        pins = pins_page(session, segment)
        assert [(pin.member_id, pin.pin, pin.actor) for pin in pins] == [
            (one, Pin.EXCLUDE, "user:3")
        ]
        assert inside(session, clock, segment) == []


def test_only_members_of_the_client_are_pinned(
    sessions: Sessions, clock: ManualClock, client_id: int, make: Factory
) -> None:
    own, gone = make.member(), make.member(deleted_at=clock.now())
    foreign = make.another_client().member()
    with write(sessions) as session:
        segment = made(session, clock, client_id)
        for stranger in (foreign, gone, 999_999):
            with pytest.raises(MemberNotFoundError, match=str(stranger)):
                set_pins(session, clock, segment=segment, member_ids=[own, stranger])
        with pytest.raises(MemberInvalidError):
            set_pins(session, clock, segment=segment, member_ids=range(MAX_PINS + 1))

        assert pins_page(session, segment) == []


def test_a_frozen_segment_stays_as_it_was(
    sessions: Sessions, clock: ManualClock, client_id: int, make: Factory
) -> None:
    first, second, third = (make.member() for _ in range(3))
    tag(make, first, second)
    with write(sessions) as session:
        segment = made(session, clock, client_id, kind=SegmentKind.STATIC)
        rule = compile_rule(session, parse(VIP), client_id=client_id, now=clock.now())
        assert freeze(session, clock, segment=segment, which=[rule]) == 2
    tag(make, third)

    with write(sessions) as session:
        segment = session.get_one(Segment, segment.id)
        assert inside(session, clock, segment) == [first, second]
        set_pins(session, clock, segment=segment, member_ids=[third])
        drop_pins(session, segment=segment, member_ids=[first])
        assert inside(session, clock, segment) == [second, third]


def test_a_static_segment_has_no_rule_to_change_and_nobody_to_keep_out(
    sessions: Sessions, clock: ManualClock, client_id: int, make: Factory
) -> None:
    one = make.member()
    with write(sessions) as session:
        segment = made(session, clock, client_id, kind=SegmentKind.STATIC)

        with pytest.raises(SegmentKindError):
            update_segment(session, clock, segment, rule="everyone")
        with pytest.raises(SegmentKindError):
            set_pins(session, clock, segment=segment, member_ids=[one], pin=Pin.EXCLUDE)


def test_a_new_name_changes_nobodys_membership(
    sessions: Sessions, clock: ManualClock, client_id: int, make: Factory
) -> None:
    vip, other = make.member(), make.member()
    tag(make, vip)
    with write(sessions) as session:
        segment = made(session, clock, client_id)
        outer = made(session, clock, client_id, "B", 'tier = "basic" and not in segment "A"')

        update_segment(session, clock, segment, name="Z")

        assert format(from_json(outer.rule)) == 'tier = "basic" and not in segment "Z"'
        assert outer.version == 2
        assert inside(session, clock, outer) == [other]


def test_a_used_segment_is_not_deleted(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        segment = made(session, clock, client_id)
        outer = made(session, clock, client_id, "B", 'in segment "A"')
        with pytest.raises(SegmentInUseError, match="B"):
            delete_segment(session, clock, segment)

        delete_segment(session, clock, outer)
        delete_segment(session, clock, segment)


def test_a_reference_outlives_name_and_deletion(
    sessions: Sessions, clock: ManualClock, client_id: int, make: Factory
) -> None:
    vip, put_in, kept_out = (make.member() for _ in range(3))
    tag(make, vip, kept_out)
    with write(sessions) as session:
        segment = made(session, clock, client_id)
        set_pins(session, clock, segment=segment, member_ids=[put_in])
        set_pins(session, clock, segment=segment, member_ids=[kept_out], pin=Pin.EXCLUDE)
        update_segment(session, clock, segment, name="other")
        delete_segment(session, clock, segment)

        found = {
            pin: meant(session, clock, client_id, format(belonging(segment, pin)))
            for pin in (None, *Pin)
        }

    assert found == {None: [vip, put_in], Pin.INCLUDE: [put_in], Pin.EXCLUDE: [kept_out]}


def test_no_client_reads_another_clients_segment(
    sessions: Sessions, clock: ManualClock, client_id: int, make: Factory
) -> None:
    foreign = make.another_client()
    with write(sessions) as session:
        segment = made(session, clock, foreign.client_id)

        with pytest.raises(ConditionError):
            count_rule(session, client_id, belonging(segment), clock.now())


def test_no_name_looks_like_a_reference(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        for name in ("#7", "#7+", " #7- "):
            with pytest.raises(ConditionError):
                made(session, clock, client_id, name)
        made(session, clock, client_id, "#1 fans")


def test_a_condition_says_what_it_names_and_whether_time_changes_it() -> None:
    rule = parse('(in segment "A" or tier = "elite") and not in segment "B"')

    assert names_in(rule) == {"A", "B"}
    assert names_in(with_names(rule, {"A": "C"})) == {"B", "C"}
    assert with_names(Or((InSegment("x"), InSegment("y"))), {"x": "y", "y": "x"}) == Or(
        (InSegment("y"), InSegment("x"))
    )
    timed = [
        "last_active in the last 7 days",
        "did purchase in the last 30 days",
        "not last purchase in the last 3 days",
        "clicked any message",
    ]
    assert all(is_timed(parse(text)) for text in timed)
    steady = [VIP, "did purchase", 'last_active before "2026-01-01"', "random 10 of 100"]
    assert not any(is_timed(parse(text)) for text in steady)


def test_what_ripens_is_looked_at_again_and_what_only_fades_is_not() -> None:
    ripe = [
        "not clicked within 3 days",
        'not (has tag "a" and did purchase in the last 30 days)',
        "did purchase at most 1 time in the last 30 days",
        "did purchase exactly 2 times in the last 30 days",
        "not did purchase exactly 2 times in the last 30 days",
        "not last purchase in the last 7 days",
        "last_active in the last 30 days",
    ]
    faint = [
        "clicked within 3 days",
        "did purchase at least 2 times in the last 30 days",
        "not did purchase at most 1 time in the last 30 days",
        "last purchase in the last 7 days",
        "did not purchase",
        'has tag "a" or not clicked',
    ]
    assert [text for text in ripe if not ripens(parse(text))] == []
    assert [text for text in faint if ripens(parse(text))] == []


def made(
    session: Session,
    clock: ManualClock,
    client_id: int,
    name: str = "A",
    rule: str = VIP,
    kind: SegmentKind = SegmentKind.DYNAMIC,
) -> Segment:
    return create_segment(session, clock, client_id=client_id, name=name, rule=rule, kind=kind)


def inside(session: Session, clock: ManualClock, segment: Segment) -> list[int]:
    page = members_page(
        session, segment.client_id, condition=belonging(segment), now=clock.now(), limit=100
    )
    return [one.id for one in page]


def meant(session: Session, clock: ManualClock, client_id: int, text: str) -> list[int]:
    page = members_page(session, client_id, condition=parse(text), now=clock.now())
    return [one.id for one in page]


def tag(make: Factory, *members: int) -> None:
    with write(make.sessions) as session:
        for one in members:
            session.add(MemberTag(client_id=make.client_id, member_id=one, tag="vip"))


@pytest.fixture
def make(sessions: Sessions, clock: ManualClock, client_id: int) -> Factory:
    return Factory(sessions, clock, client_id)


def test_a_reference_is_said_by_its_name_to_its_own_client_only(
    sessions: Sessions, clock: ManualClock, client_id: int, make: Factory
) -> None:
    stranger = make.another_client().client_id
    with write(sessions) as session:
        vip = create_segment(session, clock, client_id=client_id, name="VIP", rule=VIP)
        english = sentence(InSegment(f"#{vip.id}"))
        assert "“VIP”" in spoken(session, client_id, english)
        assert spoken(session, stranger, english) == english
