"""Mirrors campaigns/journeys/results.py: numbers that add up, whatever happened."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from campaigns.journeys.advance import TRIES
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, EnrolmentStep
from campaigns.journeys.intervention import Deed, intervene
from campaigns.journeys.journey import JourneyVersion
from campaigns.journeys.machine import machine
from campaigns.journeys.messages import Skipped, skipped_page
from campaigns.journeys.moving import move, preview
from campaigns.journeys.people import Which
from campaigns.journeys.publish import archive
from campaigns.journeys.results import Results, Totals, VersionResult, results
from channels.channel import Channel
from communications.communication import Communication, Reason
from communications.status import Rank, Status
from core.db import read, write
from tests.campaigns.journeys.conftest import Shop

DAY = timedelta(days=1)
OFFER = """
journey "Offer"
  when asked
  when event signup
  again always
  goal event purchase
  exit when has tag "gone"
  send sms "nudge" or email "hello" as first
  wait until event joined or 1d
    else
      branch
        if tier = "elite"
          tag "elite"
          exit "enough"
        else
          wait 1d
  send sms "nudge" as last
  go to first at most 1 time
"""
EDITED = OFFER.replace("wait 1d\n", "wait 2d\n").replace('  send sms "nudge" as last\n', "")


@pytest.fixture
def offer(shop: Shop) -> JourneyVersion:
    shop.template("hello")
    shop.template("nudge", Channel.SMS)
    return shop.publish(OFFER)


def counted(shop: Shop, version: JourneyVersion, number: int | None = None) -> Results:
    with read(shop.sessions) as session:
        return results(
            session, shop.clock, client_id=shop.client_id, journey_id=version.journey_id,
            version=number,
        )  # fmt: skip


def skipped(shop: Shop, published: JourneyVersion, **which: object) -> list[Skipped]:
    with read(shop.sessions) as session:
        return skipped_page(
            session, client_id=shop.client_id, journey_id=published.journey_id, **which,  # type: ignore[arg-type]
        )  # fmt: skip


def step(result: VersionResult, key: str) -> tuple[int, int, dict[str, int]]:
    (found,) = [one for one in result.steps if one.key == key]
    return found.came, found.waiting, dict(found.left)


def test_every_step_says_who_came_and_which_way_they_left(
    shop: Shop, offer: JourneyVersion
) -> None:
    shop.ask(offer, *(shop.member() for _ in range(3)), shop.member(tier="elite"))
    shop.settle()
    shop.clock.advance(seconds=1)
    shop.did("m1", "joined")
    shop.settle()
    shop.did("m2", "purchase")
    shop.settle()

    (one,) = counted(shop, offer).versions
    assert one.totals == Totals(entered=4, inside=3, completed=0, goal=1, exited=0, stuck=0)
    assert step(one, "first") == (5, 0, {"next": 5})
    assert step(one, "wait-for-joined") == (5, 3, {"next": 1, "goal": 1})
    assert step(one, "branch") == (0, 0, {})
    shop.pass_time(DAY)
    (one,) = counted(shop, offer).versions
    assert step(one, "branch") == (3, 0, {"0": 1, "else": 2})
    (out,) = [found for found in one.steps if found.key == "exit"]
    assert (out.came, out.lost, out.drop_off) == (1, 1, 1.0)


def test_messages_are_those_of_the_log(shop: Shop, offer: JourneyVersion) -> None:
    shop.ask(offer, shop.member(), shop.member(addresses={"sms": "+12015550123"}))
    shop.settle()
    with write(shop.sessions) as session:
        session.execute(
            update(Communication)
            .where(Communication.channel == Channel.EMAIL, Communication.status == Status.QUEUED)
            .values(status=Status.CLICKED, rank=Rank.CLICKED, clicked_at=shop.clock.now())
        )

    (one,) = counted(shop, offer).versions
    sms, email = sorted(one.messages, key=lambda found: found.channel, reverse=True)
    assert (sms.step, sms.template, sms.wording) == ("first", "nudge", 1)
    assert (sms.messages["messages"], sms.messages["queued"], sms.messages["skipped"]) == (2, 1, 1)
    assert sms.messages["skipped_reasons"] == {"no_address": 1}
    assert (email.messages["messages"], email.messages["sent"]) == (1, 1)
    assert (email.messages["delivered"], email.messages["clicked"]) == (1, 1)
    whole = one.steps[0].messages
    assert (whole["messages"], whole["clicked"], whole["skipped_reasons"]) == (
        3, 1, {"no_address": 1},
    )  # fmt: skip


def test_whom_a_step_skipped_can_be_listed(shop: Shop, offer: JourneyVersion) -> None:
    everybody = [shop.member() for _ in range(5)]
    shop.ask(offer, *everybody)
    shop.settle()
    seen: list[int] = []
    after = 0
    while page := skipped(shop, offer, step="first", version=1, after=after, limit=2):
        seen += [one.member_id for one in page]
        assert {one.reason for one in page} == {Reason.NO_ADDRESS}
        after = page[-1].id
    assert seen == everybody
    first = skipped(shop, offer, limit=1)[0]
    assert (first.member, first.name, first.version, first.step, first.channel) == (
        "m1", "Ana 1", 1, "first", Channel.SMS,
    )  # fmt: skip
    assert skipped(shop, offer, reason=Reason.SUPPRESSED) == []
    assert skipped(shop, offer, step="last") == []


def test_conversion_counts_only_those_who_can_tell(shop: Shop) -> None:
    version = shop.publish('journey "G"\n  when asked\n  goal event purchase\n  wait 30d\n')
    old = [shop.member() for _ in range(4)]
    shop.ask(version, *old)
    shop.settle()
    shop.pass_time(timedelta(hours=30), DAY)
    shop.did("m1", "purchase")
    shop.settle()
    shop.pass_time(DAY, DAY)
    shop.ask(version, shop.member())
    shop.settle()

    found = counted(shop, version).conversion
    assert [(day.day, day.of, day.reached) for day in found] == [(0, 5, 0), (1, 4, 1), (2, 4, 1)]


def test_results_of_one_version_are_only_its_own(shop: Shop, offer: JourneyVersion) -> None:
    shop.ask(offer, shop.member())
    shop.settle()
    shop.again(offer, EDITED)
    shop.ask(offer, shop.member(), shop.member())
    shop.settle()
    found = counted(shop, offer)
    assert [(one.version, one.totals.entered) for one in found.versions] == [(2, 2), (1, 1)]
    assert found.totals.entered == 3
    (only,) = counted(shop, offer, 1).versions
    assert only == found.versions[1]
    assert counted(shop, offer, 9).versions == []


@pytest.mark.parametrize("seed", range(4))
def test_numbers_add_up_whatever_happens(shop: Shop, offer: JourneyVersion, seed: int) -> None:
    chance = random.Random(seed)
    ways = [
        lambda: join_some(shop, offer, chance), lambda: live_on(shop, chance),
        lambda: intervened(shop, offer, chance), lambda: stick(shop, chance),
        lambda: edit_and_move(shop, offer, chance),
    ]  # fmt: skip
    for _ in range(10):
        chance.choice(ways)()
        add_up(shop, offer)
    with write(shop.sessions) as session:
        archive(session, shop.clock, client_id=shop.client_id, journey_id=offer.journey_id)
    add_up(shop, offer)
    assert counted(shop, offer).totals.inside == 0


def join_some(shop: Shop, version: JourneyVersion, chance: random.Random) -> None:
    new = [
        shop.member(
            tier=chance.choice(["elite", "basic"]),
            **({} if chance.random() < 0.7 else {"addresses": {}}),
        )
        for _ in range(2)
    ]
    shop.ask(version, *new)
    shop.settle()


def live_on(shop: Shop, chance: random.Random) -> None:
    shop.pass_time(timedelta(hours=chance.choice([1, 25])), timedelta(hours=13))
    for _ in range(2):
        key, name = f"m{chance.randint(1, 10)}", chance.choice(["joined", "purchase", "signup"])
        with read(shop.sessions) as session:
            if not session.scalar(select(Enrolment.id).limit(1)):
                return
        shop.did(key, name)
    shop.settle()


def intervened(shop: Shop, version: JourneyVersion, chance: random.Random) -> None:
    inside = [one for one in shop.enrolments() if one.status is EnrolmentStatus.ACTIVE]
    if not inside:
        return
    deed = chance.choice(list(Deed))
    with write(shop.sessions) as session:
        intervene(
            session, shop.clock, client_id=shop.client_id, journey_id=version.journey_id,
            which=Which(ids=[chance.choice(inside).id]), deed=deed, by="user:1",
            to="wait-for-joined" if deed is Deed.MOVE else None,
        )  # fmt: skip
    shop.settle()


def stick(shop: Shop, chance: random.Random) -> None:
    inside = [one for one in shop.enrolments() if one.status is EnrolmentStatus.ACTIVE]
    if inside:
        with write(shop.sessions) as session:
            one = session.get_one(Enrolment, chance.choice(inside).id)
            one.status, one.tries, one.due_at = EnrolmentStatus.STUCK, TRIES, None


def edit_and_move(shop: Shop, version: JourneyVersion, chance: random.Random) -> None:
    latest = shop.again(version, chance.choice([OFFER, EDITED]))
    told = {"client_id": shop.client_id, "journey_id": version.journey_id}
    if chance.random() < 0.5:
        return
    with write(shop.sessions) as session:
        stranded = preview(session, **told, to_version=latest.number).stranded
        choices = {one.step: chance.choice([None, "wait-for-joined"]) for one in stranded}
        move(session, shop.clock, **told, to_version=latest.number, choices=choices, by="user:1")
    shop.settle()


def add_up(shop: Shop, version: JourneyVersion) -> None:
    """Hold every number beside a count made another way: following everybody step by step."""
    found = counted(shop, version)
    people = shop.enrolments()
    for one in [found.totals, *(each.totals for each in found.versions)]:
        assert one.entered == one.inside + one.completed + one.goal + one.exited + one.stuck
    assert found.totals.entered == len(people)
    assert sum(each.totals.entered for each in found.versions) == len(people)
    came = arrivals(shop, people)
    with read(shop.sessions) as session:
        numbers = {session.get_one(JourneyVersion, one).number: one for one in came}
        log = len(session.scalars(select(Communication.id)).all())
    for each in found.versions:
        for result in each.steps:
            assert result.came == sum(result.left.values()) + result.waiting + result.stuck
            told = came[numbers[each.version]] if each.version in numbers else Counter()
            assert result.came == told[result.key], result.key
            m = result.messages
            assert m["messages"] == sum(
                m[name] for name in ("sent", "skipped", "failed", "unknown", "queued")
            )
            assert m["skipped"] == sum(m["skipped_reasons"].values())
            mine = [one for one in each.messages if one.step == result.key]
            assert m["messages"] == sum(one.messages["messages"] for one in mine)
    assert log == sum(one.messages["messages"] for each in found.versions for one in each.steps)
    reasons = sum(one.messages["skipped"] for each in found.versions for one in each.steps)
    assert reasons == len(skipped(shop, version, limit=1000))


def arrivals(shop: Shop, people: list[Enrolment]) -> dict[int, Counter[str]]:
    """How often anybody came to each step of each version, by their trails alone."""
    came: dict[int, Counter[str]] = {}
    with read(shop.sessions) as session:
        for one in people:
            trail = session.scalars(
                select(EnrolmentStep)
                .where(EnrolmentStep.enrolment_id == one.id)
                .order_by(EnrolmentStep.id)
            ).all()
            version = trail[0].version_id if trail else one.version_id
            at = machine(session, version).program.first
            for row in trail:
                assert (row.step, row.version_id) == (at, version), "a trail without a gap"
                if row.way == "retried":
                    continue
                came.setdefault(version, Counter())[at or ""] += 1
                if row.way in ("moved", "skipped"):
                    at = row.why.get("to")
                    number = row.why.get("version")
                    version = session.scalar(
                        select(JourneyVersion.id).where(JourneyVersion.number == number)
                    ) or version  # fmt: skip
                else:
                    at = machine(session, version).program.nodes[row.step].ways.get(row.way)
            assert at == one.step
            if at is not None:
                came.setdefault(version, Counter())[at] += 1
    return came
