"""Mirrors campaigns/journeys/waiting.py and happened.py: how long people wait, and for what."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from campaigns.journeys.ast import Happens, Replies
from campaigns.journeys.enrolment import EnrolmentStatus, Held
from campaigns.journeys.happened import answers, fits
from channels.channel import Channel
from communications.communication import Communication
from core.condition.ast import Compare, Op
from core.db import write
from members.edit import set_tags
from members.match import Happened
from tests.campaigns.journeys.conftest import Shop
from tests.campaigns.journeys.test_hear import journey, written

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
VIENNA = "Europe/Vienna"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def waiting(shop: Shop, line: str, *then: str) -> int:
    """Publish a journey of one wait, and let somebody in."""
    version = shop.publish(journey("when asked", line, *then))
    ana = shop.member(addresses={"sms": "+436601", "email": "m1@example.com"})
    shop.ask(version, ana)
    shop.settle()
    return ana


@pytest.mark.parametrize(
    ("line", "at", "over"),
    [
        ("wait until 09:00 UTC", utc(2026, 11, 21, 12), utc(2026, 11, 22, 9)),
        ("wait until 09:00 UTC", utc(2026, 11, 21, 9), utc(2026, 11, 21, 9)),
        ("wait until 09:00 member-time", utc(2026, 11, 21, 12), utc(2026, 11, 22, 8)),
        ("wait until monday 09:00 member-time", utc(2026, 11, 21, 12), utc(2026, 11, 23, 8)),
        # the last Sunday of March: 02:30 does not exist, 03:00 is the first instant that does
        ("wait until 02:30 member-time", utc(2027, 3, 27, 12), utc(2027, 3, 28, 1)),
        # the last Sunday of October: 02:30 comes twice, the first counts
        ("wait until 02:30 member-time", utc(2026, 10, 24, 12), utc(2026, 10, 25, 0, 30)),
        # a day is 24 hours, whatever the clocks do
        ("wait 1d", utc(2027, 3, 27, 12), utc(2027, 3, 28, 12)),
    ],
)
def test_a_time_of_day_is_the_members_own(
    shop: Shop, line: str, at: datetime, over: datetime
) -> None:
    version = shop.publish(journey("when asked", line))
    shop.clock.set(at)
    ana = shop.member(timezone=VIENNA)
    shop.ask(version, ana)
    shop.settle()
    if over > at:
        assert [one.due_at for one in shop.enrolments(ana)] == [over]
        shop.clock.set(over - timedelta(seconds=1))
        shop.settle()
        assert not shop.trail(ana)
        shop.clock.set(over)
        shop.settle()
    (entry,) = shop.enrolments(ana)
    assert (entry.status, entry.since) == (EnrolmentStatus.COMPLETED, over)


def test_a_wait_counts_from_when_they_came_not_from_when_a_worker_looked(shop: Shop) -> None:
    ana = waiting(shop, "wait 1h", "wait 1h", "wait 1h")
    start = shop.clock.now()
    shop.clock.advance(minutes=65)
    shop.settle()
    shop.clock.advance(minutes=64)
    shop.settle()
    (entry,) = shop.enrolments(ana)
    assert entry.due_at == start + 3 * HOUR


def test_after_a_long_outage_time_begins_anew(shop: Shop) -> None:
    ana = waiting(shop, "wait 1h", "wait 1h")
    shop.clock.advance(days=9)
    shop.settle()
    (entry,) = shop.enrolments(ana)
    assert entry.due_at == shop.clock.now() + HOUR, "else all that is overdue would go at once"


AWAIT = "wait until event paid where total > 50 or 2d"
WAYS = ("  then", '    tag "paid"', "  else", '    tag "late"')


def test_an_event_that_fits_ends_the_wait_by_then(shop: Shop) -> None:
    ana = waiting(shop, AWAIT, *WAYS)
    shop.clock.advance(hours=1)
    shop.did("m1", "paid", {"total": 7})
    shop.did("m1", "refunded", {"total": 70})
    shop.settle()
    assert not shop.trail(ana)
    shop.did("m1", "paid", {"total": 51})
    shop.settle()
    assert shop.trail(ana) == [("wait-for-paid", "next"), ("tag-paid", "next")]


def test_without_it_they_go_on_by_else_when_the_time_is_over(shop: Shop) -> None:
    ana = waiting(shop, AWAIT, *WAYS)
    (entry,) = shop.enrolments(ana)
    assert (entry.held, entry.due_at, entry.until) == (
        Held.EVENT, shop.clock.now() + 2 * DAY, shop.clock.now() + 2 * DAY,
    )  # fmt: skip
    shop.pass_time(2 * DAY, step=DAY)
    assert shop.trail(ana) == [("wait-for-paid", "timeout"), ("tag-late", "next")]


def test_what_happened_before_they_came_does_not_count(shop: Shop) -> None:
    ana = shop.member()
    shop.did("m1", "paid", {"total": 99})
    shop.clock.advance(hours=1)
    version = shop.publish(journey("when asked", AWAIT))
    shop.ask(version, ana)
    shop.settle()
    shop.did("m1", "paid", {"total": 99}, at=shop.clock.now() - timedelta(minutes=30))
    shop.settle()
    assert not shop.trail(ana)


@pytest.mark.parametrize(("after", "way"), [(47, "next"), (49, "timeout")])
def test_what_happened_in_time_counts_however_late_it_is_looked_at(
    shop: Shop, after: int, way: str
) -> None:
    ana = waiting(shop, AWAIT)
    happened = shop.clock.now() + after * HOUR
    shop.clock.advance(hours=60)
    shop.did("m1", "paid", {"total": 99}, at=happened)
    shop.settle()
    assert shop.trail(ana) == [("wait-for-paid", way)]


@pytest.mark.parametrize(
    ("said", "ends"), [("Yes!", True), ("“yes”, please", True), ("yesterday", False), ("", False)]
)
def test_a_reply_counts_by_its_first_word(shop: Shop, said: str, ends: bool) -> None:
    ana = waiting(shop, 'wait until reply "yes", "ok" by sms or 2d')
    shop.clock.advance(hours=1)
    written(shop, ana, said, Channel.EMAIL)
    shop.settle()
    assert not shop.trail(ana), "not by email"
    written(shop, ana, said)
    shop.settle()
    assert bool(shop.trail(ana)) is ends


def test_a_tag_that_somebody_gives_ends_the_wait_at_once(shop: Shop) -> None:
    ana = waiting(shop, 'wait until has tag "vip" or 2d')
    shop.clock.advance(hours=1)
    with write(shop.sessions) as session:
        set_tags(session, shop.clock, client_id=shop.client_id, id=ana, add=["vip"])
    shop.settle()
    (entry,) = shop.enrolments(ana)
    assert (entry.status, entry.ended_at) == (EnrolmentStatus.COMPLETED, shop.clock.now())


def test_what_was_sent_ends_the_wait_though_no_provider_tells(shop: Shop) -> None:
    shop.template("hello")
    ana = waiting(shop, 'send email "hello"', 'wait until was sent "hello" or 3d')
    shop.pass_time(HOUR / 2, HOUR / 12)
    assert [step for step, _ in shop.trail(ana)] == ["send-email-hello"]
    with write(shop.sessions) as session:  # as settling does
        session.execute(update(Communication).values(sent_at=shop.clock.now()))
    shop.pass_time(HOUR / 6, HOUR / 12)
    assert shop.trail(ana)[1:] == [("wait-for", "next")]


def test_a_digest_keeps_the_first_hundred_events_and_no_more_than_fit(shop: Shop) -> None:
    few, many, long = (
        shop.member(member_id=key, addresses={"email": f"{key}@example.com"})
        for key in ("few", "many", "long")
    )
    version = shop.publish(journey("when asked", "digest note over 1d as notes", "wait 1d"))
    shop.ask(version, few, many, long)
    shop.settle()
    shop.clock.advance(seconds=60)
    for key, count, text in (("few", 2, "a"), ("many", 103, "a"), ("long", 4, "a" * 10_000)):
        for number in range(count):
            shop.did(key, "note", {"n": number, "text": text})
    shop.pass_time(DAY)

    found = {one.member_id: one.context["journey"]["notes"] for one in shop.enrolments()}
    assert [one["n"] for one in found[few]] == [0, 1]
    assert [one["n"] for one in found[many]] == list(range(100))
    assert [one["n"] for one in found[long]] == [0, 1, 2]


def test_the_first_event_counts_of_thousands_and_each_entry_has_its_own(shop: Shop) -> None:
    shop.member(member_id="ana")
    shop.publish(
        journey(
            "when event cart by id", "goal event order where total > 5 by id within 2d", "wait 9d"
        )
    )
    for key in ("a", "b", "c"):
        shop.did("ana", "cart", {"id": key})
    shop.settle()
    shop.clock.advance(seconds=60)
    shop.did("ana", "order", {"id": "a", "total": 9})
    shop.did("ana", "order", {"id": "b", "total": 2})
    shop.did("ana", "order", {"id": "c", "total": 9}, at=shop.clock.now() - 2 * DAY)
    shop.settle()
    ended = {one.entry_key: one.status for one in shop.enrolments()}
    assert ended == {
        "a": EnrolmentStatus.GOAL, "b": EnrolmentStatus.ACTIVE, "c": EnrolmentStatus.ACTIVE,
    }  # fmt: skip


def test_a_goal_that_is_reached_ends_everything_wherever_they_stand(shop: Shop) -> None:
    shop.publish(
        journey("when event signup", "goal event paid within 3d", 'goal has tag "won"', "wait 30d")
    )
    early, late, won = shop.member(), shop.member(), shop.member()
    for key in ("m1", "m2", "m3"):
        shop.did(key, "signup")
    shop.settle()
    shop.clock.advance(days=1)
    shop.did("m1", "paid")
    with write(shop.sessions) as session:
        set_tags(session, shop.clock, client_id=shop.client_id, id=won, add=["won"])
    shop.settle()
    shop.clock.advance(days=3)
    shop.did("m2", "paid")
    shop.settle()

    ends = {one: shop.enrolments(one)[0].status for one in (early, late, won)}
    assert ends == {
        early: EnrolmentStatus.GOAL, late: EnrolmentStatus.ACTIVE, won: EnrolmentStatus.GOAL,
    }  # fmt: skip
    assert shop.trail(early) == [("wait-30d", "goal")]


def test_an_exit_ends_before_the_next_message(shop: Shop) -> None:
    shop.template("a")
    version = shop.publish(
        journey("when asked", 'exit when has tag "gone"', "wait 1d", 'tag "gone"', 'send email "a"')
    )
    ana = shop.member()
    shop.ask(version, ana)
    shop.settle()
    shop.pass_time(DAY)
    (entry,) = shop.enrolments(ana)
    assert entry.status is EnrolmentStatus.EXITED
    assert not shop.log(ana), "what an earlier step of the same set did is seen"


def test_an_answer_is_known_by_its_first_word_alone() -> None:
    yes = Replies(("yes", "👍"))
    assert answers(yes, "YES", "sms")
    assert answers(yes, "👍 fine", "sms")
    assert not answers(yes, "oh yes", "sms")
    assert not answers(yes, None, "sms")
    assert answers(Replies(), None, "sms")
    assert not answers(Replies(channel=Channel.EMAIL), "yes", "sms")


def test_an_event_fits_by_its_properties() -> None:
    at = utc(2026, 1, 1)
    paid = Happens("paid", (Compare("total", Op.GT, 50),))
    assert fits(paid, Happened("paid", at, Decimal(51), {"total": 51}))
    assert not fits(paid, Happened("paid", at, Decimal(50), {"total": 50}))
    assert not fits(paid, Happened("paid", at, None, {}))
