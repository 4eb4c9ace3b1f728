"""Mirrors campaigns/reach.py, campaigns/sample.py and members/sample.py."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

from campaigns.reach import Reach, reach
from campaigns.sample import NOT_REACHED, Example, sample
from channels.channel import Channel
from communications.communication import Communication, MessageType, Reason
from communications.status import Status
from core.clock import ManualClock
from core.condition.check import ConditionError
from core.condition.text import parse
from core.db import Sessions, read, write
from members.address import AddressState
from members.consent import CurrentConsent
from members.member import Member, MemberStatus, MemberTag
from members.pin import set_pins
from members.sample import STRETCH, choose
from members.segment import belonging, create_segment
from members.suppression import Scope, Suppression, SuppressionReason
from tests.campaigns.conftest import Launch, MakeCampaign, MakeMember, hash_of

Expand = Callable[[], int]
Log = Callable[[], list[Communication]]
BOTH = (Channel.EMAIL, Channel.SMS)


def test_the_steps_of_the_waterfall_add_up(
    sessions: Sessions, clock: ManualClock, client_id: int, crowd: list[int]
) -> None:
    found = asked(sessions, clock, client_id)

    email, sms = found.channels
    assert found.members == len(crowd) == 9
    assert [(step.name, step.members, step.lost) for step in email.steps] == [
        ("matched", 9, 0),
        ("audience", 8, 1),
        ("has_address", 7, 1),
        ("reachable", 6, 1),
        ("not_suppressed", 4, 2),
        ("consented", 3, 1),
        ("will_receive", 2, 1),
    ]
    assert sms.will_receive == 1
    for fall in found.channels:
        for before, after in pairwise(fall.steps):
            assert after.members == before.members - after.lost <= before.members


def test_who_will_receive_is_who_fan_out_queues(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    crowd: list[int],
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Expand,
    log: Log,
) -> None:
    found = asked(sessions, clock, client_id)
    examples = sampled(sessions, clock, client_id)
    start(make_campaign(*BOTH))
    expand()

    queued = [row for row in log() if row.status is Status.QUEUED]
    for fall in found.channels:
        assert fall.will_receive == sum(row.channel is fall.channel for row in queued)
    told = {
        (one.member.id, got.channel): got.reason
        for one in examples
        for got in one.receives
        if got.reason != NOT_REACHED
    }
    assert told == {(row.member_id, row.channel): row.reason for row in log()}


def test_what_is_no_marketing_needs_no_consent(
    sessions: Sessions, clock: ManualClock, client_id: int, crowd: list[int]
) -> None:
    with read(sessions) as session:
        found = reach(
            session,
            clock,
            client_id=client_id,
            condition=parse("everyone"),
            channels=[Channel.EMAIL],
            message_type=MessageType.TRANSACTIONAL,
        )

    (email,) = found.channels
    assert {step.name: step.lost for step in email.steps}["consented"] == 0
    assert email.will_receive == 4  # also whom marketing alone may not write to


def test_a_sample_says_why_and_what(
    sessions: Sessions, clock: ManualClock, client_id: int, make_member: MakeMember
) -> None:
    vip, put_in = make_member(tier="elite"), make_member(status=MemberStatus.CHURNED)
    with write(sessions) as session:
        session.add(MemberTag(client_id=client_id, member_id=vip, tag="vip"))
        segment = create_segment(
            session, clock, client_id=client_id, name="A", rule='has tag "vip" and tier = "elite"'
        )
        set_pins(session, clock, segment=segment, member_ids=[put_in])
        first, second = sample(
            session,
            clock,
            client_id=client_id,
            condition=belonging(segment),
            channels=BOTH,
        )

    assert [one.member.id for one in (first, second)] == [vip, put_in]
    assert "vip" in first.because[0].english
    assert first.because[1].found == "it is “elite”"
    assert [(got.channel, got.reason) for got in first.receives] == [
        (Channel.EMAIL, None),
        (Channel.SMS, Reason.NO_ADDRESS),
    ]
    assert first.receives[0].address is not None
    assert "m1@" not in first.receives[0].address
    assert {got.reason for got in second.receives} == {NOT_REACHED}


def test_a_sample_is_from_all_over_and_the_same_each_time(
    sessions: Sessions, clock: ManualClock, client_id: int, other_client_id: int
) -> None:
    rows = 3 * 20 * STRETCH
    with write(sessions) as session:
        fill(session, clock, client_id, rows)
        fill(session, clock, other_client_id, 10)

    with read(sessions) as session:
        args = {"client_id": client_id, "now": clock.now()}
        everyone = choose(session, condition=parse("everyone"), **args)
        again = choose(session, condition=parse("everyone"), **args)
        few = choose(session, condition=parse('member_id = "k-77"'), **args)
        third = choose(session, condition=parse('first_name = "Third"'), limit=5, **args)
        nobody = choose(session, condition=parse('tier = "elite"'), **args)

    ids = [one.id for one in everyone]
    assert ids == [one.id for one in again] == sorted(set(ids))
    assert len(ids) == 20
    low, high = min(ids), max(ids)
    assert high - low > rows * 0.9
    assert [one.member_id for one in few] == ["k-77"]
    assert [one.first_name for one in third] == ["Third"] * 5
    assert nobody == []


def test_a_rule_that_cannot_be_evaluated_is_refused(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with read(sessions) as session:
        args = {"client_id": client_id, "channels": BOTH, "condition": parse('in segment "no"')}
        for ask in (reach, sample):
            with pytest.raises(ConditionError):
                ask(session, clock, **args)


def asked(sessions: Sessions, clock: ManualClock, client_id: int) -> Reach:
    with read(sessions) as session:
        return reach(
            session, clock, client_id=client_id, condition=parse("everyone"), channels=BOTH
        )


def sampled(sessions: Sessions, clock: ManualClock, client_id: int) -> list[Example]:
    with read(sessions) as session:
        return sample(
            session, clock, client_id=client_id, condition=parse("everyone"), channels=BOTH
        )


def fill(session: Session, clock: ManualClock, client_id: int, count: int) -> None:
    now = clock.now()
    session.execute(
        insert(Member),
        [
            {
                "client_id": client_id,
                "member_id": f"k-{number}",
                "first_name": "Third" if number % 3 == 0 else "Ana",
                "created_at": now,
                "updated_at": now,
            }
            for number in range(count)
        ],
    )


@pytest.fixture
def crowd(
    sessions: Sessions, clock: ManualClock, client_id: int, make_member: MakeMember
) -> list[int]:
    """One member for every step a message can be lost at, and two who get one by email."""
    lost = [
        make_member(status=MemberStatus.SUSPENDED, addresses={"email": "twin@example.com"}),
        make_member(addresses={"sms": "+12015550101"}),
        make_member(state=AddressState.INVALID),
        make_member(addresses={"email": "all@example.com"}),
        make_member(addresses={"email": "marketing@example.com"}),
        make_member(withdrawn=["email"]),
    ]
    make_member(deleted_at=clock.now())
    got = [make_member(addresses={"email": "twin@example.com"}) for _ in range(2)]
    with write(sessions) as session:
        for value, scope in (("all", Scope.ALL), ("marketing", Scope.MARKETING)):
            session.add(
                Suppression(
                    client_id=client_id,
                    channel="email",
                    address_hash=hash_of(f"{value}@example.com"),
                    masked="x",
                    scope=scope,
                    reason=SuppressionReason.MANUAL,
                    since=clock.now(),
                )
            )
        assert session.query(CurrentConsent).count() > 0
    return [*lost, *got, make_member()]
