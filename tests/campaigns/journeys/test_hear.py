"""Mirrors campaigns/journeys/hear.py and enter.py: who enters by what, and who is woken."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, Held
from campaigns.journeys.hear import hear
from campaigns.journeys.publish import archive, drain, pause, resume
from channels.channel import Channel
from communications.communication import Communication, Direction, MessageType
from communications.status import Rank, Status
from core.db import read, write
from members.edit import delete_member, set_tags
from members.membership import refresh, refresh_touched
from members.segment import Segment, create_segment
from members.signal import REPLY, Heard, signal, signalled
from tests.campaigns.journeys.conftest import Shop

DAY = timedelta(days=1)


def written(shop: Shop, member_id: int, text: str, channel: Channel = Channel.SMS) -> None:
    """The member writes, as webhooks/replies.py notes it."""
    now = shop.clock.now()
    with write(shop.sessions) as session:
        row = Communication(
            client_id=shop.client_id, member_id=member_id, channel=channel,
            direction=Direction.INBOUND, message_type=MessageType.SUPPORT, content=text,
            status=Status.DELIVERED, rank=Rank.DELIVERED, delivered_at=now, not_before=now,
            created_at=now, updated_at=now,
        )  # fmt: skip
        session.add(row)
        session.flush()
        heard = [Heard(REPLY, member_id, now, row.id)]
        signal(session, client_id=shop.client_id, heard=heard)


def tagged(shop: Shop, member_id: int, *add: str, remove: tuple[str, ...] = ()) -> None:
    with write(shop.sessions) as session:
        set_tags(
            session, shop.clock, client_id=shop.client_id, id=member_id, add=add, remove=remove
        )


def journey(*lines: str, name: str = "J") -> str:
    return f'journey "{name}"\n' + "".join(f"  {line}\n" for line in lines)


def entered(shop: Shop) -> list[tuple[int, str, int]]:
    return [(one.member_id, one.entry_key, one.ordinal) for one in shop.enrolments()]


def test_an_event_lets_in_whom_it_is_about(shop: Shop) -> None:
    shop.publish(journey('when event purchase where total > 50 if has tag "vip"', "wait 1d"))
    vip, other = shop.member(), shop.member()
    tagged(shop, vip, "vip")
    for key in ("m1", "m2"):
        shop.did(key, "purchase", {"total": 99})
    shop.did("m1", "purchase", {"total": 7})
    shop.did("m1", "refund", {"total": 99})
    shop.settle()

    assert entered(shop) == [(vip, "", 0)]
    (entry,) = shop.enrolments(vip)
    assert (entry.cause, entry.context) == ("event:purchase", {"event": {"total": 99}})
    assert other not in {one.member_id for one in shop.enrolments()}


def test_a_form_a_reply_and_a_request_let_in(shop: Shop) -> None:
    shop.publish(journey('when form "newsletter"', "wait 1d"))
    shop.publish(journey('when reply "join", "yes" by sms', "wait 1d", name="K"))
    ana, bo = shop.member(), shop.member()
    shop.did("m1", "form", {"form": "newsletter"})
    shop.did("m2", "form", {"form": "contest"})
    written(shop, ana, "no")
    written(shop, ana, "JOIN me!")
    written(shop, bo, "yes", Channel.EMAIL)
    shop.settle()

    assert [(one.member_id, one.cause) for one in shop.enrolments()] == [
        (ana, "event:form"), (ana, "reply"),
    ]  # fmt: skip


def test_who_joins_a_segment_enters_and_who_leaves_it_another(shop: Shop) -> None:
    with write(shop.sessions) as session:
        vip = create_segment(
            session, shop.clock, client_id=shop.client_id, name="VIP", rule='has tag "vip"'
        ).id
    shop.publish(journey('when enters segment "VIP"', "wait 1d"))
    shop.publish(journey('when leaves segment "VIP"', "wait 1d", name="K"))
    before = shop.member()
    tagged(shop, before, "vip")
    ana = shop.member()

    def seen() -> None:
        with write(shop.sessions) as session:
            refresh_touched(session, shop.clock, client_id=shop.client_id)
        shop.settle()

    seen()
    with write(shop.sessions) as session:
        refresh(session, shop.clock, segment_id=vip)
    shop.settle()
    assert shop.enrolments() == []  # whoever belonged before did not join
    tagged(shop, ana, "vip")
    seen()
    assert [one.cause.partition(":")[0] for one in shop.enrolments()] == ["joined"]
    tagged(shop, ana, remove=("vip",))
    seen()
    assert [one.cause.partition(":")[0] for one in shop.enrolments()] == ["joined", "left"]


@pytest.mark.parametrize(
    ("again", "days", "expected"),
    [
        ("again never", [0, 1, 40], 1),
        ("again always", [0, 1, 40], 3),
        ("again after 30d", [0, 29, 31, 60, 62], 3),
        ("again up to 2 times", [0, 1, 2, 3], 2),
    ],
)
def test_members_come_back_as_often_as_they_may(
    shop: Shop, again: str, days: list[int], expected: int
) -> None:
    shop.publish(journey("when event signup", again, 'tag "x"'))
    shop.member()
    start = shop.clock.now()
    for day in days:
        shop.clock.set(start + day * DAY)
        shop.did("m1", "signup")
        shop.settle()

    assert [one.ordinal for one in shop.enrolments()] == list(range(expected))


def test_each_key_is_an_entry_of_its_own(shop: Shop) -> None:
    shop.publish(journey("when event order by id", "wait until event paid by id or 3d"))
    ana = shop.member()
    for order in (1, 2, 1, None):
        shop.did("m1", "order", {"id": order} if order else {})
    shop.settle()
    assert entered(shop) == [(ana, "1", 0), (ana, "2", 0)]

    shop.clock.advance(seconds=1)
    shop.did("m1", "paid", {"id": 2})
    shop.did("m1", "paid", {})
    shop.settle()
    waiting, gone = shop.enrolments(ana)
    assert (waiting.status, gone.status) == (EnrolmentStatus.ACTIVE, EnrolmentStatus.COMPLETED)


def test_nobody_is_inside_twice(shop: Shop) -> None:
    shop.publish(journey("when event signup", "again always", "wait 1d"))
    ana = shop.member()
    shop.did("m1", "signup")
    shop.settle()
    shop.clock.advance(hours=1)
    shop.did("m1", "signup")
    shop.settle()
    assert entered(shop) == [(ana, "", 0)]


def test_a_late_event_does_not_stand_in_the_way_of_a_new_one(shop: Shop) -> None:
    """Heard together, the older one may not let in and the newer one may."""
    shop.publish(journey("when event signup", "again after 7d", 'tag "x"'))
    ana = shop.member()
    shop.did("m1", "signup")
    shop.settle()
    shop.clock.advance(days=8)
    shop.did("m1", "signup", at=shop.clock.now() - 5 * DAY)
    shop.did("m1", "signup")
    shop.settle()

    assert entered(shop) == [(ana, "", 0), (ana, "", 1)]


def test_deleted_suspended_and_unknown_members_do_not_enter(shop: Shop) -> None:
    shop.publish(journey("when event signup", "wait 1d"))
    shop.member(status="suspended")
    shop.member(status="churned")
    gone = shop.member()
    shop.did("m1", "signup")
    shop.did("m2", "signup")
    shop.did("m3", "signup")
    with write(shop.sessions) as session:
        delete_member(session, shop.clock, client_id=shop.client_id, id=gone)
    shop.settle()
    assert not shop.enrolments()


@pytest.mark.parametrize("stop", [pause, drain, archive])
def test_a_journey_that_takes_nobody_takes_nobody(shop: Shop, stop: Callable[..., Any]) -> None:
    version = shop.publish(journey("when event signup", "when asked", "wait 1d"))
    ana = shop.member()
    shop.did("m1", "signup")
    told = {"client_id": shop.client_id, "journey_id": version.journey_id}
    with write(shop.sessions) as session:
        stop(session, shop.clock, **told)
    shop.settle()
    assert not shop.enrolments(ana)
    if stop is not archive:
        with write(shop.sessions) as session:
            resume(session, shop.clock, **told)
        shop.settle()
        assert not shop.enrolments(ana), "what happened meanwhile lets nobody in"
        shop.clock.advance(seconds=1)
        shop.did("m1", "signup")
        shop.settle()
        assert len(shop.enrolments(ana)) == 1


def test_what_nobody_asks_about_wakes_nobody(shop: Shop) -> None:
    shop.publish(journey("when event signup", "wait until event joined or 3d"))
    ana = shop.member()
    shop.did("m1", "signup")
    shop.settle()
    shop.did("m1", "purchase")
    with read(shop.sessions) as session:
        assert signalled(session) == []
    (before,) = shop.enrolments(ana)
    assert before.due_at == before.since + 3 * DAY

    shop.did("m1", "joined")
    assert shop.hear() == 1
    (after,) = shop.enrolments(ana)
    assert after.due_at == shop.clock.now()


def test_whose_step_failed_is_not_woken_before_their_pause_is_over(shop: Shop) -> None:
    shop.publish(journey("when event signup", "wait until event joined or 3d"))
    ana = shop.member()
    shop.did("m1", "signup")
    shop.settle()
    later = shop.clock.now() + DAY
    with write(shop.sessions) as session:
        one = session.scalars(select(Enrolment)).one()
        one.held, one.due_at = Held.RETRY, later
    shop.did("m1", "joined")
    shop.settle()
    (entry,) = shop.enrolments(ana)
    assert (entry.due_at, entry.status) == (later, EnrolmentStatus.ACTIVE)


def test_a_journey_that_cannot_hear_does_not_hold_up_the_others(shop: Shop) -> None:
    """Its segment was deleted under it."""
    with write(shop.sessions) as session:
        create_segment(
            session, shop.clock, client_id=shop.client_id, name="VIP", rule='has tag "vip"'
        )
    shop.publish(journey('when event signup if in segment "VIP"', "wait 1d", name="A"))
    good = shop.publish(journey("when event signup", "wait 1d", name="B"))
    with write(shop.sessions) as session:
        session.execute(delete(Segment))
    ana = shop.member()
    shop.did("m1", "signup")
    shop.settle()

    assert [one.journey_id for one in shop.enrolments(ana)] == [good.journey_id]
    with read(shop.sessions) as session:
        assert signalled(session) == []


TWO = journey(
    "when event a",
    "when event b if reachable by email",
    "when event c by id",
    "again always",
    "goal event b",
    "wait until event c or 2d",
)


@pytest.mark.parametrize("seed", range(6))
def test_signals_in_any_sets_and_order_between_members_come_to_the_same(
    shop: Shop, seed: int
) -> None:
    """One story, told as it was and shuffled between members, heard in sets of any size."""
    found = [
        told(shop, random.Random(seed), order) for order in (None, random.Random(seed * 7 + 1))
    ]
    assert found[0] == found[1]
    assert found[0]


def told(shop: Shop, story: random.Random, order: random.Random | None) -> list[Any]:
    name = f"T{order is None}"
    version = shop.publish(TWO.replace('"J"', f'"{name}"'))
    keys = {shop.member(member_id=f"{name}-{n}".lower()): n for n in range(5)}
    start = shop.clock.now()
    each: list[list[tuple[str, str, int, int]]] = [
        [(f"{name}-{n}".lower(), story.choice("abc"), story.randint(1, 2), at) for at in range(4)]
        for n in range(5)
    ]
    left = [list(one) for one in each]
    while any(left):
        at = (order or random.Random(0)).choice([n for n in range(5) if left[n]])
        who, event, id, second = left[at].pop(0)
        shop.did(who, event, {"id": id}, at=start + timedelta(seconds=second))
    shop.clock.set(start + timedelta(seconds=60))
    while True:
        with write(shop.sessions) as session:
            limit = order.randint(1, 5) if order else 1000
            if not hear(session, shop.clock, client_id=shop.client_id, limit=limit):
                break
    shop.clock.set(start)
    return sorted(
        (keys[one.member_id], one.entry_key, one.ordinal, one.cause, one.entered_at)
        for one in shop.enrolments()
        if one.journey_id == version.journey_id
    )
