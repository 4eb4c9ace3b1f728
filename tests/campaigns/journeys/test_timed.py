"""Mirrors campaigns/journeys/timed.py: who enters when a day or an hour comes."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from campaigns.journeys import timed
from campaigns.journeys.enrolment import Enrolment
from campaigns.journeys.journey import Journey
from campaigns.journeys.publish import drain, pause, resume
from campaigns.journeys.timed import enter_by_time, timed_journeys
from core.clock import ManualClock
from core.db import read, write
from tests.campaigns.journeys.conftest import Shop

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def instant(day: int, hour: int, minute: int = 0, month: int = 11, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def publish(shop: Shop, head: str, name: str = "Dates", again: str = "") -> int:
    """Publish a journey that waits for long; return its id."""
    lines = [f'journey "{name}"', f"  when {head}", again, "  wait 1000d", '  exit "done"']
    return shop.publish("\n".join(line for line in lines if line)).journey_id


def look(shop: Shop) -> int:
    """Look as workers would; return how many transactions that took."""
    with read(shop.sessions) as session:
        ids = timed_journeys(session, shop.clock)
    done = 0
    for journey_id in ids:
        more = True
        while more:
            with write(shop.sessions) as session:
                more = enter_by_time(session, shop.clock, journey_id=journey_id)
            done += 1
    return done


def at(shop: Shop, moment: datetime) -> set[int]:
    """Look at a moment; return who is new."""
    before = {one.id for one in shop.enrolments()}
    shop.clock.set(moment)
    look(shop)
    return {one.member_id for one in shop.enrolments() if one.id not in before}


def keys(shop: Shop) -> list[str]:
    return [one.entry_key for one in shop.enrolments()]


# ---- days of members


def test_birthdays_come_round_every_year_at_nine_where_they_live(shop: Shop) -> None:
    zones = ["Pacific/Kiritimati", "Europe/Berlin", "UTC", "Pacific/Honolulu"]
    born = [date(1990, 11, 22), date(1960, 11, 22), date(2001, 11, 22), date(1985, 11, 22)]
    kiri, bert, ute, hono = (
        shop.member(date_of_birth=day, timezone=zone) for day, zone in zip(born, zones, strict=True)
    )
    shop.member(date_of_birth=date(1990, 11, 23), timezone="UTC")
    shop.member()
    publish(shop, "on date_of_birth every year at 09:00")

    assert at(shop, instant(21, 18, 59)) == set()
    assert at(shop, instant(21, 19)) == {kiri}
    assert at(shop, instant(22, 7, 59)) == set()
    assert at(shop, instant(22, 8)) == {bert}
    assert at(shop, instant(22, 9, 30)) == {ute}
    assert at(shop, instant(22, 19)) == {hono}
    entered = {one.member_id: one for one in shop.enrolments()}
    assert entered[bert].entered_at == instant(22, 8)
    assert entered[bert].entry_key == "date_of_birth 2026-11-22"
    assert entered[bert].cause == "date:date_of_birth"
    # Half an hour late: time begins anew.
    assert entered[ute].entered_at == instant(22, 9, 30)

    shop.clock.set(instant(22, 7, year=2027))
    look(shop)
    assert at(shop, instant(22, 8, year=2027)) == {bert}
    assert keys(shop)[-1] == "date_of_birth 2027-11-22"


def test_a_journey_without_dates_costs_nothing_as_time_goes_by(shop: Shop) -> None:
    untimed = shop.publish('journey "Asked"\n  when asked\n  wait 1d\n')
    shop.clock.advance(minutes=5)
    with read(shop.sessions) as session:
        assert timed_journeys(session, shop.clock) == []
    dated = 'journey "Asked"\n  when on date_of_birth every year at 09:00\n  wait 1d\n'
    shop.again(untimed, dated)
    shop.clock.advance(minutes=5)
    with read(shop.sessions) as session:
        assert timed_journeys(session, shop.clock) == [untimed.journey_id]


def test_whoever_is_born_on_29_february_has_the_28th_in_other_years(shop: Shop) -> None:
    """B091."""
    leap = shop.member(date_of_birth=date(2000, 2, 29))
    last = shop.member(date_of_birth=date(2001, 2, 28))
    shop.member(date_of_birth=date(2001, 3, 2))
    early = shop.member(attributes={"since": "2020-02-27"})
    told = shop.member(attributes={"since": "2020-02-29"})
    publish(shop, "1d before date_of_birth every year at 09:00 UTC")
    publish(shop, "on attributes.since every year at 09:00 UTC", name="Others")

    def day(year: int, month: int, number: int) -> set[int]:
        at(shop, datetime(year, month, number, 8, tzinfo=UTC))
        return at(shop, datetime(year, month, number, 9, tzinfo=UTC))

    assert day(2027, 2, 26) == set()
    assert day(2027, 2, 27) == {leap, last, early}
    assert day(2027, 2, 28) == {told}
    assert day(2028, 2, 27) == {last, early}
    assert day(2028, 2, 28) == {leap}
    assert day(2028, 2, 29) == {told}


def test_a_day_that_comes_once_is_the_date_itself(shop: Shop) -> None:
    ana = shop.member(attributes={"renewal": "2026-11-25"})
    shop.member(attributes={"renewal": "2025-11-25"})
    shop.member(attributes={"renewal": "2026-11-25T10:00"})
    shop.member(attributes={"renewal": 20261125})
    publish(shop, "3d before attributes.renewal at 09:00 UTC", again="  again up to 5 times")

    assert at(shop, instant(22, 9)) == {ana}
    assert at(shop, instant(22, 12)) == set()
    assert keys(shop) == ["attributes.renewal 2026-11-25"]


def test_who_was_last_active_so_long_ago_by_their_own_calendar(shop: Shop) -> None:
    # In Auckland it is the 12th already.
    here = shop.member(last_active=instant(11, 12, 30), timezone="UTC")
    there = shop.member(last_active=instant(11, 12, 30), timezone="Pacific/Auckland")
    shop.member(last_active=instant(9, 23), timezone="UTC")
    publish(shop, "14d after last_active at 09:00")

    assert at(shop, instant(24, 21)) == set()
    assert at(shop, instant(25, 9)) == {here}
    assert at(shop, instant(25, 20)) == {there}


def test_only_those_who_match_and_can_be_written_to(shop: Shop, clock: ManualClock) -> None:
    born = date(1990, 11, 22)
    gold = shop.member(date_of_birth=born, attributes={"gold": True})
    shop.member(date_of_birth=born)
    shop.member(date_of_birth=born, attributes={"gold": True}, deleted_at=clock.now())
    publish(shop, "on date_of_birth every year at 09:00 UTC if attributes.gold = true")

    assert at(shop, instant(22, 9)) == {gold}


def test_an_edited_hour_lets_nobody_in_twice_for_one_date(shop: Shop) -> None:
    ana = shop.member(date_of_birth=date(1990, 11, 22))
    text = 'journey "B"\n  when on date_of_birth every year at {}:00 UTC\n  exit "done"\n'
    version = shop.publish(text.format("09"))
    assert at(shop, instant(22, 9)) == {ana}

    shop.again(version, text.format("11"))
    assert at(shop, instant(22, 11)) == set()


# ---- times of the calendar


def test_a_day_of_the_week_in_its_zone_for_those_who_match(shop: Shop) -> None:
    tagged = shop.member(attributes={"news": True})
    shop.member()
    publish(shop, "every week on monday at 09:00 Europe/Berlin for attributes.news = true")

    assert at(shop, instant(22, 8)) == set()
    assert at(shop, instant(23, 7, 59)) == set()
    assert at(shop, instant(23, 8)) == {tagged}
    assert at(shop, instant(23, 9)) == set()
    assert at(shop, instant(30, 8)) == {tagged}
    assert keys(shop) == ["2026-11-23", "2026-11-30"]
    assert {one.cause for one in shop.enrolments()} == {"every:week"}


def test_the_last_of_the_month_where_it_is_shorter(shop: Shop) -> None:
    shop.member()
    publish(shop, "every month on 31 at 09:00 UTC for everyone")

    moment = instant(21, 12)
    while moment < instant(1, 12, month=3, year=2027):
        moment += DAY
        at(shop, moment)
    assert keys(shop) == ["2026-11-30", "2026-12-31", "2027-01-31", "2027-02-28"]


@pytest.mark.parametrize(
    ("day", "local", "expected"),
    [
        (date(2027, 3, 28), "02:30", instant(28, 1, month=3, year=2027)),  # skipped
        (date(2027, 10, 31), "02:30", instant(31, 0, 30, month=10, year=2027)),  # twice
    ],
)
def test_an_hour_that_is_skipped_or_comes_twice_comes_once(
    shop: Shop, day: date, local: str, expected: datetime
) -> None:
    shop.clock.set(datetime(day.year, day.month, day.day, tzinfo=UTC) - 2 * HOUR)
    ana = shop.member()
    publish(shop, f"every day at {local} Europe/Berlin for everyone")

    assert at(shop, expected - MINUTE) == set()
    assert at(shop, expected) == {ana}
    assert at(shop, expected + 3 * HOUR) == set()


# ---- looks


def test_a_million_members_are_not_one_transaction(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed, "SET", 2)
    members = {shop.member(date_of_birth=date(1990, 11, 22)) for _ in range(7)}
    text = (
        'journey "Both"\n  when on date_of_birth every year at 09:00 UTC\n'
        '  when every day at 09:00 UTC for everyone\n  exit "done"\n'
    )
    journey_id = shop.publish(text).journey_id
    shop.clock.set(instant(22, 9))

    told: list[int] = []
    more = True
    while more:
        before = len(shop.enrolments())
        with write(shop.sessions) as session:
            more = enter_by_time(session, shop.clock, journey_id=journey_id)
        told.append(len(shop.enrolments()) - before)
        with shop.sessions() as session:
            enter_by_time(session, shop.clock, journey_id=journey_id)
            session.rollback()  # a worker that dies leaves nothing of it

    assert told == [4, 4, 4, 2, 0]
    entered = {(one.member_id, one.entry_key) for one in shop.enrolments()}
    assert entered == {
        (id, key) for id in members for key in ("2026-11-22", "date_of_birth 2026-11-22")
    }
    with read(shop.sessions) as session:
        kept = session.get_one(Journey, journey_id)
        assert (kept.triggered_at, kept.triggered_member) == (instant(22, 9), None)


@pytest.mark.parametrize("seed", range(2))
def test_any_splitting_of_time_lets_the_same_members_in(
    shop: Shop, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lots = random.Random(seed)
    monkeypatch.setattr(timed, "SET", lots.choice([2, 1000]))
    zones = ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", None]
    start = datetime(2027, 3, 26, 6, 17, 23, tzinfo=UTC)  # Berlin's clock goes forward on the 28th
    shop.clock.set(start)
    for _ in range(12):
        day = date(2027, 3, 27) + timedelta(days=lots.randrange(4))
        shop.member(
            date_of_birth=day.replace(year=lots.randrange(1950, 2010)),
            timezone=lots.choice(zones),
            attributes={"due": day.isoformat(), "news": lots.random() < 0.5},
            last_active=start - timedelta(hours=lots.randrange(100)),
        )
    heads = [
        "on date_of_birth every year at 02:30",
        "2d before attributes.due at 23:45 Pacific/Apia",
        "3d after last_active at 00:00",
        "every day at 02:30 Europe/Berlin for attributes.news = true",
        "every week on monday at 09:00 America/New_York for everyone",
    ]
    lines = [f"  when {head}" for head in heads]
    steady = [start + n * 3 * HOUR for n in range(1, 33)]
    plans = [steady, *(walk(lots, start) for _ in range(2))]
    seen = []
    for number, moments in enumerate(plans):
        shop.clock.set(start)
        text = "\n".join([f'journey "P{number}"', *lines, "  wait 1000d", '  exit "x"'])
        journey_id = shop.publish(text).journey_id
        for moment in moments:
            shop.clock.set(moment)
            more = True
            while more:
                with write(shop.sessions) as session:
                    more = enter_by_time(session, shop.clock, journey_id=journey_id)
                if lots.random() < 0.2 and moment - looked_at(shop, journey_id) < 6 * HOUR:
                    break  # a worker died, or had other things to do
        seen.append(sorted(entries(shop, journey_id)))

    assert seen[0]
    assert len(seen[0]) == len(set(seen[0]))
    assert all(one == seen[0] for one in seen)


def walk(lots: random.Random, start: datetime) -> list[datetime]:
    """Looks at random, at most half a day apart, to four days later."""
    moments, moment = [], start
    end = start + 4 * DAY
    while moment < end:
        moments.append(moment)
        moment += timedelta(seconds=lots.choice([60, 20_000, 43_000]) * lots.random())
    return [*moments, *[end] * 30]


def looked_at(shop: Shop, journey_id: int) -> datetime:
    with read(shop.sessions) as session:
        return session.get_one(Journey, journey_id).triggered_at or shop.clock.now()


def entries(shop: Shop, journey_id: int) -> list[tuple[int, str]]:
    return [
        (one.member_id, one.entry_key) for one in shop.enrolments() if one.journey_id == journey_id
    ]


def test_after_an_outage_only_the_last_time_is_made_up_for(shop: Shop) -> None:
    old, young = (shop.member(date_of_birth=date(1990, 11, day)) for day in (23, 25))
    daily = publish(shop, "every day at 09:00 UTC for everyone")
    publish(shop, "every week on sunday at 09:00 UTC for everyone", name="Weekly")
    publish(shop, "on date_of_birth every year at 09:00 UTC", name="Birthdays")

    shop.clock.set(instant(26, 8))
    look(shop)

    assert {one.entry_key for one in shop.enrolments() if one.journey_id == daily} == {"2026-11-25"}
    assert keys(shop).count("2026-11-22") == 2
    dated = [one for one in shop.enrolments() if one.cause == "date:date_of_birth"]
    assert [one.member_id for one in dated] == [young]
    assert old not in {one.member_id for one in dated}


def test_who_takes_nobody_looks_at_nothing_and_what_was_in_a_pause_is_past(shop: Shop) -> None:
    ana = shop.member()
    told = {"client_id": shop.client_id}
    drained, paused = (
        publish(shop, "every day at 09:00 UTC for everyone", name=name) for name in ("A", "B")
    )
    with write(shop.sessions) as session:
        drain(session, shop.clock, **told, journey_id=drained)
        pause(session, shop.clock, **told, journey_id=paused)
    assert at(shop, instant(22, 9)) == set()

    shop.clock.set(instant(22, 10))
    with write(shop.sessions) as session:
        resume(session, shop.clock, **told, journey_id=paused)
    assert at(shop, instant(22, 11)) == set()
    assert at(shop, instant(23, 9)) == {ana}


def test_a_pause_in_the_middle_of_an_hour_s_members_holds_nobody_back_later(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed, "SET", 2)
    members = {shop.member() for _ in range(5)}
    id = publish(shop, "every day at 09:00 UTC for everyone")
    shop.clock.set(instant(22, 9))
    with write(shop.sessions) as session:
        assert enter_by_time(session, shop.clock, journey_id=id)
        pause(session, shop.clock, client_id=shop.client_id, journey_id=id)
    shop.clock.set(instant(22, 15))
    with write(shop.sessions) as session:
        resume(session, shop.clock, client_id=shop.client_id, journey_id=id)

    assert at(shop, instant(22, 16)) == set()
    assert at(shop, instant(23, 9)) == members


def test_within_a_minute_a_look_is_one_small_query(shop: Shop) -> None:
    publish(shop, "every day at 09:00 UTC for everyone")

    shop.clock.advance(seconds=61)
    assert look(shop) == 1
    for _ in range(5):
        shop.clock.advance(seconds=5)
        assert look(shop) == 0


def test_an_ended_entry_is_not_begun_again_on_the_same_date(shop: Shop) -> None:
    ana = shop.member(date_of_birth=date(1990, 11, 22))
    shop.publish('journey "B"\n  when on date_of_birth every year at 09:00 UTC\n  exit "done"\n')
    assert at(shop, instant(22, 9)) == {ana}
    shop.settle()
    with write(shop.sessions) as session:
        for one in session.query(Journey):
            one.triggered_at = instant(21, 12)

    assert at(shop, instant(22, 10)) == set()
    assert len(shop.enrolments()) == 1
    assert isinstance(shop.enrolments()[0], Enrolment)
