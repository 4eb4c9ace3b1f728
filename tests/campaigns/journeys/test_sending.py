"""Mirrors campaigns/journeys/sending.py: who gets which message when, and why others do not."""

from datetime import UTC, datetime, timedelta

import pytest

from campaigns.journeys.arrival import arrival
from campaigns.journeys.enrolment import Enrolment, EnrolmentStep, Held
from campaigns.journeys.sending import lot
from channels.channel import Channel
from communications.communication import MessageType, Reason
from communications.status import Status
from communications.timeline import timeline
from core.clock import ManualClock
from core.db import read
from tests.campaigns.journeys.conftest import Shop

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def words(*lines: str, head: tuple[str, ...] = ()) -> str:
    body = "\n".join(f"  {line}" for line in ("when asked", *head, *lines))
    return f'journey "J"\n{body}\n'


def told(shop: Shop, member_id: int) -> list[tuple[str, str, str | None]]:
    return [(row.channel.value, row.status.value, row.reason) for row in shop.log(member_id)]


def test_a_message_is_a_row_of_the_log_like_any_other(shop: Shop) -> None:
    shop.template(
        "hello", subject="{{ first_name }} {{ event.total }}", html="{{ unsubscribe_url }}"
    )
    version = shop.publish('journey "J"\n  when event purchase\n  send email "hello"\n')
    ana = shop.member(first_name="Ana")
    shop.did("m1", "purchase", {"total": 7})
    shop.settle()

    (row,) = shop.log(ana)
    (entry,) = shop.enrolments(ana)
    assert (row.status, row.message_type) == (Status.QUEUED, MessageType.MARKETING)
    assert (row.to_address, row.run_id) == ("m1@example.com", None)
    assert row.merge == {"first_name": "Ana", "event.total": 7}
    assert row.dedup_key == f"journey:{entry.id}:send-email-hello:0:email"
    assert row.not_before == shop.clock.now()
    assert row.address_hash
    assert row.campaign_id
    with read(shop.sessions) as session:
        assert session.query(EnrolmentStep.communication_id).scalar() == row.id
    assert version.number == 1


def test_the_first_channel_that_reaches_them_takes_the_message(shop: Shop) -> None:
    shop.template("a", Channel.SMS)
    shop.template("b", Channel.PUSH)
    shop.template("c")
    version = shop.publish(words('send sms "a" or push "b" or email "c"'))
    both = shop.member(addresses={"sms": "+436601", "email": "both@example.com"})
    mail = shop.member(addresses={"email": "mail@example.com"})
    shy = shop.member(addresses={"sms": "+436602", "email": "shy@example.com"}, consents=["email"])
    none = shop.member(addresses={"email": "none@example.com"}, consents=[])
    shop.ask(version, both, mail, shy, none)
    shop.settle()

    assert told(shop, both) == [("sms", "queued", None)]
    assert told(shop, mail) == [
        ("sms", "skipped", Reason.NO_ADDRESS),
        ("push", "skipped", Reason.NO_ADDRESS),
        ("email", "queued", None),
    ]
    assert told(shop, shy)[0] == ("sms", "skipped", Reason.NO_CONSENT)
    assert told(shop, shy)[-1] == ("email", "queued", None)
    assert [status for _, status, _ in told(shop, none)] == ["skipped"] * 3
    with read(shop.sessions) as session:
        query = session.query(EnrolmentStep.why).join(
            Enrolment, Enrolment.id == EnrolmentStep.enrolment_id
        )
        (why,) = query.filter(Enrolment.member_id == shy).one()
        (nothing,) = query.filter(Enrolment.member_id == none).one()
    assert why == {"channel": "email", "passed": {"sms": "no_consent", "push": "no_address"}}
    assert nothing["channel"] is None
    assert shop.trail(none) == [("send-sms-a", "next")], "they go on without the message"


def test_two_members_at_one_address_each_get_theirs(shop: Shop) -> None:
    shop.template("a")
    version = shop.publish(words('send email "a"'))
    one, two = (shop.member(addresses={"email": "both@example.com"}) for _ in range(2))
    shop.ask(version, one, two)
    shop.settle()

    assert told(shop, one) == told(shop, two) == [("email", "queued", None)]


def test_whoever_shares_an_address_and_did_not_agree_gets_nothing(shop: Shop) -> None:
    shop.template("a")
    version = shop.publish(words('send email "a"'))
    one = shop.member(addresses={"email": "both@example.com"})
    two = shop.member(addresses={"email": "both@example.com"}, consents=[])
    shop.ask(version, one, two)
    shop.settle()

    assert told(shop, two) == [("email", "skipped", Reason.NO_CONSENT)]
    assert told(shop, one) == [("email", "queued", None)]


def test_a_member_gets_the_same_variant_every_time(shop: Shop) -> None:
    for name in ("a", "b"):
        shop.template(name, subject=name, html="{{ unsubscribe_url }}")
    version = shop.publish(
        words('send email "a" 50 / "b" 50 as again', "wait 1d", "go to again at most 3 times")
    )
    people = [shop.member() for _ in range(20)]
    shop.ask(version, *people)
    shop.pass_time(4 * DAY, step=DAY)

    got = {one: [row.template_version_id for row in shop.log(one)] for one in people}
    assert {len(each) for each in got.values()} == {4}
    assert all(len(set(each)) == 1 for each in got.values())
    assert len({each[0] for each in got.values()}) == 2, "both variants are in use"


def test_a_lot_follows_its_shares() -> None:
    drawn = [lot(str(number), [1, 0, 3]) for number in range(4_000)]

    assert drawn == [lot(str(number), [1, 0, 3]) for number in range(4_000)]
    assert drawn.count(1) == 0
    assert 850 < drawn.count(0) < 1150


def quiet(shop: Shop, hours: str, at: datetime, zone: str | None = None) -> datetime:
    """When a member gets a message who comes to a send at this instant."""
    shop.template("a")
    version = shop.publish(words('send email "a"', head=(f"quiet {hours}",)))
    shop.clock.set(at)
    ana = shop.member(timezone=zone)
    shop.ask(version, ana)
    shop.settle()
    for _ in range(5):
        (entry,) = shop.enrolments(ana)
        if entry.held is not Held.QUIET:
            break
        assert entry.due_at is not None
        assert not shop.log(ana)
        shop.clock.set(entry.due_at - timedelta(microseconds=1))
        shop.settle()
        assert not shop.log(ana)
        shop.clock.set(entry.due_at)
        shop.settle()
    (row,) = shop.log(ana)
    return row.not_before


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


VIENNA = "Europe/Vienna"


@pytest.mark.parametrize(
    ("hours", "zone", "at", "sent"),
    [
        # over midnight, in the member's time, one hour ahead of UTC
        ("21:00-08:00 member-time", VIENNA, utc(2026, 11, 21, 19, 59), utc(2026, 11, 21, 19, 59)),
        ("21:00-08:00 member-time", VIENNA, utc(2026, 11, 21, 20, 0), utc(2026, 11, 22, 7, 0)),
        ("21:00-08:00 member-time", VIENNA, utc(2026, 11, 22, 6, 59), utc(2026, 11, 22, 7, 0)),
        ("21:00-08:00 member-time", VIENNA, utc(2026, 11, 22, 7, 0), utc(2026, 11, 22, 7, 0)),
        # within one day, in a zone of the journey
        ("12:00-14:00 UTC", VIENNA, utc(2026, 11, 22, 12, 30), utc(2026, 11, 22, 14, 0)),
        # a member without a zone has the client's, UTC
        ("21:00-08:00 member-time", None, utc(2026, 11, 21, 20, 30), utc(2026, 11, 21, 20, 30)),
        # the night the clock is put forward is an hour shorter
        ("21:00-08:00 member-time", VIENNA, utc(2027, 3, 27, 21, 0), utc(2027, 3, 28, 6, 0)),
        # the end does not exist that night: the first instant that does
        ("21:00-02:30 member-time", VIENNA, utc(2027, 3, 27, 21, 0), utc(2027, 3, 28, 1, 0)),
        # the night it is put back
        ("21:00-08:00 member-time", VIENNA, utc(2026, 10, 24, 21, 0), utc(2026, 10, 25, 7, 0)),
        # the end exists twice: the first counts, and the hour that comes again is not quiet
        ("21:00-02:30 member-time", VIENNA, utc(2026, 10, 24, 23, 0), utc(2026, 10, 25, 0, 30)),
        ("21:00-02:30 member-time", VIENNA, utc(2026, 10, 25, 1, 10), utc(2026, 10, 25, 1, 10)),
    ],
)
def test_quiet_hours_hold_until_they_are_over(
    shop: Shop, hours: str, zone: str | None, at: datetime, sent: datetime
) -> None:
    assert quiet(shop, hours, at, zone) == sent


def test_the_message_remembers_which_quiet_hours_held_it(shop: Shop) -> None:
    shop.template("a")
    version = shop.publish(words('send email "a"', head=("quiet 21:00-08:00 member-time",)))
    shop.clock.set(utc(2026, 11, 21, 20, 0))
    ana = shop.member(timezone=VIENNA)
    shop.ask(version, ana)
    shop.settle()
    shop.clock.set(utc(2026, 11, 22, 7, 0))
    shop.settle()
    (row,) = shop.log(ana)

    with read(shop.sessions) as session:
        held = arrival(session, shop.client_id, row.id)
        told = timeline(session, shop.clock, shop.client_id, row.id, arrival=held)

    assert [one.what for one in told] == ["arrived", "decided", "waiting"]
    assert told[0].at == utc(2026, 11, 21, 20, 0)
    assert [(one.seconds, one.why) for one in told[1].waits] == [
        (11 * 3600, "quiet hours until 2026-11-22 08:00 Europe/Vienna")
    ]


def test_the_limit_holds_until_the_oldest_is_long_past(shop: Shop) -> None:
    shop.template("a")
    version = shop.publish(words(*['send email "a"', "wait 1h"] * 4, head=("limit 2 per 24h",)))
    ana = shop.member()
    shop.ask(version, ana)
    start = shop.clock.now()
    shop.settle()
    shop.pass_time(3 * DAY)

    at = [(row.created_at - start) / HOUR for row in shop.log(ana)]
    assert at == [0, 1, 24, 25]


def test_the_limit_counts_messages_of_any_kind_and_none_that_was_skipped(shop: Shop) -> None:
    shop.template("a")
    shop.template("b", Channel.SMS)
    first = shop.publish(words('send sms "b"', 'send email "a"'))
    second = shop.publish(words('send email "a"', head=("limit 2 per 24h",)).replace('"J"', '"K"'))
    ana = shop.member()
    shop.ask(first, ana)
    shop.settle()
    shop.ask(second, ana)
    shop.settle()

    assert [row.status for row in shop.log(ana)] == [Status.SKIPPED, Status.QUEUED, Status.QUEUED]


def test_the_limit_holds_also_who_is_inside_twice(shop: Shop) -> None:
    shop.template("a")
    shop.publish('journey "J"\n  when event order by id\n  limit 1 per 24h\n  send email "a"\n')
    ana = shop.member()
    shop.did("m1", "order", {"id": 1})
    shop.did("m1", "order", {"id": 2})
    shop.settle()
    assert len(shop.log(ana)) == 1

    shop.pass_time(DAY)
    assert len(shop.log(ana)) == 2


def test_a_template_shows_what_a_digest_collected(shop: Shop, clock: ManualClock) -> None:
    shop.template("a", subject="{{ journey.news.size }}", html="{{ unsubscribe_url }}")
    shop.publish(
        'journey "J"\n  when event comment\n  digest comment over 1d as news\n  send email "a"\n'
    )
    ana = shop.member()
    for number in range(4):
        shop.did("m1", "comment", {"n": number})
        shop.settle()
        clock.advance(hours=1)
    shop.pass_time(DAY)

    (row,) = shop.log(ana)
    assert row.merge["journey.news"] == [{"n": 1}, {"n": 2}, {"n": 3}]
