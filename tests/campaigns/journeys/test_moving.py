"""Mirrors campaigns/journeys/moving.py: people go over to another version, and nobody is re-run."""

import random
import re
from collections import Counter
from datetime import timedelta

import pytest

from campaigns.errors import JourneyNotFoundError, MoveBlockedError
from campaigns.journeys.calling import claim_call
from campaigns.journeys.enrolment import EnrolmentStatus, Held
from campaigns.journeys.journey import JourneyVersion, journey
from campaigns.journeys.moving import Moved, Preview, move, preview
from campaigns.journeys.publish import restore
from communications.status import Status
from core.db import read, write
from core.errors import InvalidError
from tests.campaigns.journeys.conftest import Shop

DAY = timedelta(days=1)
TEMPLATES = ("a", "b", "c", "d", "e")


@pytest.fixture
def live(shop: Shop) -> Shop:
    for name in TEMPLATES:
        shop.template(name)
    return shop


def text(*steps: str) -> str:
    return 'journey "J"\n  when asked\n' + "".join(f"  {step}\n" for step in steps)


def send(name: str) -> str:
    return f'send email "{name}"'


def go(shop: Shop, version: JourneyVersion, **choices: str | None) -> Moved:
    with write(shop.sessions) as session:
        return move(
            session, shop.clock, client_id=shop.client_id, journey_id=version.journey_id,
            to_version=version.number, choices={k.replace("_", "-"): v for k, v in choices.items()},
            by="user:7",
        )  # fmt: skip


def seen(shop: Shop, version: JourneyVersion) -> Preview:
    with read(shop.sessions) as session:
        return preview(
            session, client_id=shop.client_id, journey_id=version.journey_id,
            to_version=version.number,
        )  # fmt: skip


def sent(shop: Shop) -> list[str]:
    """The templates that were sent, by the names their steps' keys are made of."""
    return [
        (one.dedup_key or "").split(":")[2].removeprefix("send-email-")
        for one in shop.log()
        if one.status is not Status.SKIPPED
    ]


def test_people_stay_on_their_version_until_they_are_moved(live: Shop) -> None:
    first = live.publish(text("wait 2d", send("a")))
    live.ask(first, live.member())
    live.settle()
    began = live.clock.now()
    live.pass_time(DAY)
    second = live.again(first, text("wait 2d", send("b")))
    live.settle()
    assert seen(live, second).people == 1
    assert [(one.step, one.to) for one in seen(live, second).stands] == [("wait-2d", "wait-2d")]

    assert go(live, second) == Moved(1, 0)
    (one,) = live.enrolments()
    assert (one.version_id, one.since, one.due_at, one.visit) == (
        second.id, began, began + 2 * DAY, 0,
    )  # fmt: skip
    live.pass_time(DAY)
    assert sent(live) == ["b"]
    assert go(live, second) == Moved(0, 0)


def test_a_wait_that_changed_counts_from_when_they_came(live: Shop) -> None:
    first = live.publish(text("wait 9d", send("a")))
    live.ask(first, live.member())
    live.settle()
    came = live.clock.now()
    live.pass_time(DAY)
    second = live.again(first, text("wait 3d", send("a")))
    go(live, second)
    live.settle()
    (one,) = live.enrolments()
    assert (one.step, one.held, one.due_at) == ("wait-3d", Held.WAIT, came + 3 * DAY)
    third = live.again(first, text("wait 1h", send("a")))
    go(live, third)
    live.settle()
    assert sent(live) == ["a"], "an hour is over long since"


def test_who_stands_nowhere_stops_the_whole_until_somebody_chooses(live: Shop) -> None:
    first = live.publish(text(send("a"), "wait 1d", send("b")))
    live.ask(first, live.member(), live.member())
    live.settle()
    second = live.again(first, text(send("a"), send("c")))
    (stand,) = seen(live, second).stranded
    assert (stand.version, stand.step, stand.says, stand.people) == (1, "wait-1d", "wait 1d", 2)

    with pytest.raises(MoveBlockedError) as blocked:
        go(live, second)
    assert "2 stand at wait-1d" in blocked.value.findings[0].message
    with pytest.raises(InvalidError) as wrong:
        go(live, second, wait_1d="send-email-x")
    assert wrong.value.field == "choices"
    assert {one.version_id for one in live.enrolments()} == {first.id}

    assert go(live, second, wait_1d="send-email-c") == Moved(2, 0)
    live.settle()
    assert sorted(sent(live)) == ["a", "a", "c", "c"]


def test_a_choice_for_a_step_that_nobody_can_stand_at_is_refused(live: Shop) -> None:
    version = live.publish(text("wait 1d"))
    live.ask(version, live.member())
    live.settle()
    other = live.again(version, text("wait 2d"))
    with pytest.raises(InvalidError, match="wait-1x") as refused:
        go(live, other, wait_1x=None)
    assert refused.value.remedy == "did you mean “wait-1d”?"


def test_a_goal_that_is_new_is_looked_at_at_once(live: Shop) -> None:
    version = live.publish(text("wait 9d"))
    ana, bo = live.member(member_id="ana"), live.member(member_id="bo")
    live.ask(version, ana, bo)
    live.settle()
    live.clock.advance(seconds=60)
    live.did("ana", "purchase")
    new = live.again(version, text("goal event purchase", "wait 9d"))
    go(live, new)
    live.settle()
    assert [live.enrolments(one)[0].status for one in (ana, bo)] == [
        EnrolmentStatus.GOAL, EnrolmentStatus.ACTIVE,
    ]  # fmt: skip
    live.pass_time(9 * DAY, DAY)
    assert live.trail(bo)[-1] == ("wait-9d", "next")


def test_a_choice_may_be_the_end(live: Shop) -> None:
    first = live.publish(text(send("a"), "wait 1d", send("b")))
    ana = live.member()
    live.ask(first, ana)
    live.settle()
    second = live.again(first, text(send("c")))
    assert go(live, second, wait_1d=None) == Moved(0, 1)
    (one,) = live.enrolments()
    assert (one.status, one.end_reason) == (
        EnrolmentStatus.EXITED, "the new version has no such step",
    )  # fmt: skip
    assert live.trail(ana)[-1] == ("wait-1d", "removed")


def test_a_send_that_was_left_is_not_taken_again_wherever_it_stands(live: Shop) -> None:
    first = live.publish(text(send("a"), "wait 1d", send("b")))
    live.ask(first, live.member())
    live.settle()
    second = live.again(first, text("wait 1d", send("a"), send("b")))
    go(live, second)
    live.pass_time(DAY)
    assert sent(live) == ["a", "b"]
    fresh = live.member()
    live.ask(second, fresh)
    live.settle()
    live.pass_time(DAY)
    assert sent(live) == ["a", "b", "a", "b"], "who enters anew takes all of it"


def test_who_goes_round_in_a_loop_goes_on_round(live: Shop) -> None:
    loop = (send("a") + " as tip", "wait 1d", send("b"), "go to tip at most 3 times")
    first = live.publish(text(*loop))
    live.ask(first, live.member())
    live.settle()
    live.pass_time(DAY)
    second = live.again(first, text(*loop, send("c")))
    go(live, second)
    live.pass_time(5 * DAY)
    assert Counter(sent(live)) == {"tip": 4, "b": 4, "c": 1}


def test_rounds_that_were_made_count_under_a_new_name_too(live: Shop) -> None:
    loop = (send("a") + " as tip", "wait 1d", "go to tip at most 2 times")
    first = live.publish(text(*loop))
    live.ask(first, live.member())
    live.settle()
    live.pass_time(DAY)
    second = live.again(first, text(*(step.replace("tip", "hint") for step in loop)))
    go(live, second)
    live.pass_time(5 * DAY)
    assert len(sent(live)) == 3


def test_a_call_on_its_way_is_not_made_again(live: Shop) -> None:
    steps = ('webhook "https://example.com/x" as crm', "wait 1d")
    first = live.publish(text(*steps))
    live.ask(first, live.member())
    live.settle()
    with write(live.sessions) as session:
        asked = claim_call(session, live.clock)
    second = live.again(first, text(*steps, send("a")))
    go(live, second)
    live.settle()
    with write(live.sessions) as session:
        assert claim_call(session, live.clock) is None, "the lease holds"
    live.clock.advance(seconds=300)
    with write(live.sessions) as session:
        later = claim_call(session, live.clock)
    assert asked is not None
    assert later is not None
    assert later.key == asked.key


def test_a_called_journey_is_not_called_again(live: Shop) -> None:
    called = live.publish('journey "Called"\n  when asked\n  wait 2d\n')
    first = live.publish(text('call "Called" and wait', send("a")))
    live.ask(first, live.member())
    live.settle()
    second = live.again(first, text('call "Called" and wait', send("a"), send("b")))
    go(live, second)
    live.pass_time(2 * DAY)
    inside = [one for one in live.enrolments() if one.journey_id == called.journey_id]
    assert len(inside) == 1
    assert sent(live) == ["a", "b"]


def test_who_stays_on_an_older_version_is_still_woken_by_what_it_waits_for(live: Shop) -> None:
    first = live.publish(text("wait until event joined", send("a")))
    live.ask(first, live.member(), live.member())
    live.settle()
    second = live.again(first, text("wait until event left", send("a")))
    live.clock.advance(seconds=1)
    live.did("m1", "joined")
    live.settle()
    assert sent(live) == ["a"], "m1 is on the first version, and that one waits for joined"

    third = live.again(first, text("wait until event seen", send("b")))
    go(live, second)
    live.clock.advance(seconds=1)
    live.did("m2", "left")
    live.settle()
    assert sent(live) == ["a", "a"], "m2 was moved to the second"
    assert third.number == 3


def test_an_old_version_is_restored_as_the_draft(live: Shop) -> None:
    first = live.publish(text(send("a")))
    live.again(first, text(send("b")))
    told = {"client_id": live.client_id, "journey_id": first.journey_id}
    with write(live.sessions) as session:
        assert restore(session, live.clock, **told, version=1).draft == first.text
        assert journey(session, live.client_id, first.journey_id).revision == 3
        with pytest.raises(JourneyNotFoundError):
            restore(session, live.clock, **told, version=9)


BLOCKS = (
    'branch\n    if tier = "elite"\n      {}\n      wait 1d\n    else\n      wait 1h',
    "wait until event joined or 1d\n    then\n      {}\n    else\n      wait 1d",
    "split\n    50\n      {}\n    50\n      wait 1d",
)


def edited(chance: random.Random, steps: list[str]) -> list[str]:
    """Put in, take out, swap and change steps, some of them with others below them."""
    made = list(steps)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(made) + 1)
        match chance.randrange(4):
            case 0:
                unused = [one for one in map(send, TEMPLATES) if one not in "".join(made)]
                blocks = [chance.choice(BLOCKS).format(one) for one in unused]
                plain = ["wait 1d", "wait 2d", 'tag "x"']
                made.insert(place, chance.choice([*unused, *blocks, *plain]))
            case 1 if len(made) > 2:
                made.pop(min(place, len(made) - 1))
            case 2 if len(made) > 1:
                one, other = chance.sample(range(len(made)), 2)
                made[one], made[other] = made[other], made[one]
            case _:
                changed = f"wait {chance.randint(1, 3)}d"
                made = [re.sub(r"wait \dd", changed, one) for one in made]
    return made


@pytest.mark.parametrize("seed", range(6))
def test_editing_a_live_journey_re_runs_nobody(live: Shop, seed: int) -> None:
    chance = random.Random(seed)
    steps = [send("a"), "wait 1d", send("b"), "wait 2d", send("c")]
    version = live.publish(text(*steps))
    everybody = [live.member(tier=chance.choice(["elite", "basic"])) for _ in range(4)]
    for _ in range(5):
        live.did(f"m{chance.randint(1, 4)}", "joined")
        if everybody:
            live.ask(version, everybody.pop())
        live.settle()
        live.pass_time(timedelta(hours=chance.choice([1, 24, 30])), timedelta(hours=6))
        steps = edited(chance, steps)
        version = live.again(version, text(*steps))
        if chance.random() < 0.8:
            keys = [stand.step for stand in seen(live, version).stranded]
            some = [one.to for one in seen(live, version).stands if one.to]
            choices = {key: chance.choice([None, *some]) for key in keys}
            go(live, version, **choices)
    live.pass_time(timedelta(days=40), DAY)

    got = Counter(
        (one.member_id, one.dedup_key.split(":")[2]) for one in live.log() if one.dedup_key
    )
    assert got
    assert max(got.values()) == 1, got
    assert all(one.status is not EnrolmentStatus.ACTIVE for one in live.enrolments())
