"""Mirrors campaigns/journeys/people.py: who is inside, where, and why there."""

from datetime import timedelta

import pytest

from campaigns.errors import EnrolmentNotFoundError, JourneyNotFoundError
from campaigns.journeys.enrolment import EnrolmentStatus, Held
from campaigns.journeys.journey import JourneyVersion
from campaigns.journeys.people import Standing, Story, Which, people_page, story
from campaigns.journeys.publish import pause
from campaigns.journeys.text import parse
from campaigns.journeys.way import way_said
from channels.channel import Channel
from communications.status import Status
from core.db import read, write
from tests.campaigns.journeys.conftest import Shop

DAY = timedelta(days=1)
JOINING = """
journey "Joining"
  when asked
  send sms "nudge" or email "hello"
  wait until event joined or 3d
    else
      wait 1d
"""


def joining(shop: Shop) -> JourneyVersion:
    shop.template("hello")
    shop.template("nudge", Channel.SMS)
    return shop.publish(JOINING)


def people(shop: Shop, journey_id: int, which: Which | None = None, **page: int) -> list[Standing]:
    with read(shop.sessions) as session:
        return people_page(
            session, shop.clock, client_id=shop.client_id, journey_id=journey_id, which=which,
            **page,
        )  # fmt: skip


def told(shop: Shop, journey_id: int, enrolment_id: int) -> Story:
    with read(shop.sessions) as session:
        return story(
            session, shop.clock, client_id=shop.client_id, journey_id=journey_id,
            enrolment_id=enrolment_id,
        )  # fmt: skip


def test_who_is_inside_is_told_with_what_they_wait_for(shop: Shop) -> None:
    version = joining(shop)
    ana, bo = shop.member(first_name="Ana", last_name="Li"), shop.member()
    shop.ask(version, ana, bo)
    began = shop.clock.now()
    (new, _) = people(shop, version.journey_id)
    assert (new.step, new.because, new.held) == ("send-sms-nudge", "is due", None)

    shop.settle()
    shop.clock.advance(seconds=1)
    shop.did("m2", "joined")
    shop.settle()

    (one,) = people(shop, version.journey_id)
    assert (one.member_id, one.member, one.name, one.version) == (ana, "m1", "Ana Li", 1)
    assert (one.status, one.step) == (EnrolmentStatus.ACTIVE, "wait-for-joined")
    assert one.says == "wait until event joined or 3d"
    assert (one.since, one.next_at, one.until) == (began, began + 3 * DAY, began + 3 * DAY)
    assert (one.held, one.because) == (Held.EVENT, "waits until event joined or 3d")
    (gone,) = people(shop, version.journey_id, Which(status=EnrolmentStatus.COMPLETED))
    assert (gone.member_id, gone.step, gone.because) == (bo, None, "completed")


def test_pages_follow_each_other_without_gap_or_repeat(shop: Shop) -> None:
    version = joining(shop)
    everybody = [shop.member() for _ in range(5)]
    shop.ask(version, *everybody)
    seen: list[int] = []
    after = 0
    while page := people(shop, version.journey_id, after=after, limit=2):
        seen += [one.member_id for one in page]
        after = page[-1].id
    assert seen == everybody


def test_they_can_be_asked_for_by_what_holds_them(shop: Shop) -> None:
    version = joining(shop)
    ana = shop.member()
    shop.ask(version, ana)
    shop.settle()
    shop.pass_time(3 * DAY)
    bo = shop.member()
    shop.ask(version, bo)
    shop.settle()

    def ids(**which: object) -> list[int]:
        found = people(shop, version.journey_id, Which(**which))  # type: ignore[arg-type]
        return [one.member_id for one in found]

    assert ids() == [ana, bo]
    assert ids(step="wait-1d") == ids(held=Held.WAIT) == ids(member_id=ana) == [ana]
    assert ids(held=Held.EVENT) == [bo]
    assert (ids(version=1), ids(version=2)) == ([ana, bo], [])
    assert ids(status=EnrolmentStatus.STUCK) == []


def test_a_paused_journey_and_a_missing_worker_are_reasons(shop: Shop) -> None:
    version = joining(shop)
    shop.ask(version, shop.member())
    shop.clock.advance(seconds=3600)
    (late,) = people(shop, version.journey_id)
    assert late.because == "is due, and no worker has come"
    with write(shop.sessions) as session:
        pause(session, shop.clock, client_id=shop.client_id, journey_id=version.journey_id)
    (one,) = people(shop, version.journey_id)
    assert one.because == "the journey is paused"


def test_quiet_hours_and_the_limit_are_reasons(shop: Shop) -> None:
    shop.template("hello")
    version = shop.publish(
        'journey "Q"\n  when asked\n  quiet 00:00-23:59 UTC\n  send email "hello"\n'
    )
    limited = shop.publish(
        'journey "L"\n  when asked\n  limit 1 per 1d\n  send email "hello"\n  send email "hello"\n'
    )
    ana = shop.member()
    shop.ask(version, ana)
    shop.ask(limited, ana)
    shop.settle()
    assert [one.because for one in people(shop, version.journey_id)] == ["quiet hours 00:00-23:59"]
    assert [one.because for one in people(shop, limited.journey_id)] == [
        "has had 1 message, which is the limit"
    ]


def test_one_of_them_has_a_whole_story(shop: Shop) -> None:
    version = joining(shop)
    shop.ask(version, shop.member())
    shop.settle()
    shop.pass_time(3 * DAY)
    (one,) = people(shop, version.journey_id)
    found = told(shop, version.journey_id, one.id)

    assert found.standing == one
    assert [(step.step, step.way) for step in found.trail] == [
        ("send-sms-nudge", "next"), ("wait-for-joined", "timeout"),
    ]  # fmt: skip
    sent, waited = found.trail
    assert sent.why["passed"] == {"sms": "no_address"}
    assert [(m.channel, m.status, m.reason) for m in sent.messages] == [
        (Channel.SMS, Status.SKIPPED, "no_address"), (Channel.EMAIL, Status.QUEUED, None),
    ]  # fmt: skip
    assert (sent.says, waited.messages) == ('send sms "nudge" or email "hello"', ())
    assert waited.left_at - waited.came_at == 3 * DAY


def test_a_way_is_told_in_the_words_of_the_text() -> None:
    steps = parse(
        'journey "J"\n  when asked\n  branch\n    if has tag "vip"\n      exit\n  split\n'
        '    75\n      exit\n    25\n  wait until reply or 1d\n    then\n      tag "x"\n'
    ).steps
    branch, split, wait = steps
    assert [way_said(branch, way) for way in ("0", "else", "1")] == [
        'if has tag "vip"',
        "else",
        "1",
    ]
    assert [way_said(split, way) for way in ("0", "1")] == ["75 of 100", "25 of 100"]
    assert [way_said(wait, way) for way in ("next", "timeout")] == ["then", "else"]


def test_what_is_not_there_is_told(shop: Shop) -> None:
    version = joining(shop)
    with pytest.raises(EnrolmentNotFoundError):
        told(shop, version.journey_id, 999)
    with pytest.raises(JourneyNotFoundError):
        people(shop, version.journey_id + 1)
