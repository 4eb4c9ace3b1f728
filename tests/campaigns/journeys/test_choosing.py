"""Mirrors campaigns/journeys/choosing.py: which way members go on."""

from datetime import timedelta

from campaigns.journeys.enrolment import EnrolmentStatus
from tests.campaigns.journeys.conftest import Shop
from tests.campaigns.journeys.test_hear import journey, tagged

DAY = timedelta(days=1)


def test_the_first_case_that_matches_is_the_way(shop: Shop) -> None:
    version = shop.publish(
        journey(
            "when asked",
            "branch",
            '  if has tag "a"',
            '    tag "first"',
            '  if has tag "b"',
            '    tag "second"',
            "  else",
            '    exit "nothing to say"',
            'tag "on"',
        )
    )
    both, second, none = (shop.member() for _ in range(3))
    tagged(shop, both, "a", "b")
    tagged(shop, second, "b")
    shop.ask(version, both, second, none)
    shop.settle()

    assert shop.trail(both)[:2] == [("branch", "0"), ("tag-first", "next")]
    assert shop.trail(second)[:2] == [("branch", "1"), ("tag-second", "next")]
    assert shop.trail(none) == [("branch", "else"), ("exit", "exit")]
    assert [shop.enrolments(one)[0].status for one in (both, second, none)] == [
        EnrolmentStatus.COMPLETED, EnrolmentStatus.COMPLETED, EnrolmentStatus.EXITED,
    ]  # fmt: skip
    assert shop.enrolments(none)[0].end_reason == "nothing to say"


def test_a_split_follows_its_shares_and_is_the_same_at_every_visit(shop: Shop) -> None:
    version = shop.publish(
        journey(
            "when asked",
            "split as ab",
            "  75",
            '    tag "a"',
            "  25",
            '    tag "b"',
            "wait 1d",
            "go to ab at most 2 times",
        )
    )
    people = [shop.member() for _ in range(80)]
    shop.ask(version, *people)
    shop.settle()
    shop.pass_time(3 * DAY, step=DAY)

    arms = {one: [way for step, way in shop.trail(one) if step == "ab"] for one in people}
    assert all(len(each) == 3 and len(set(each)) == 1 for each in arms.values())
    assert 45 <= sum(each[0] == "0" for each in arms.values()) <= 72


def test_a_jump_is_taken_so_often_and_then_passed(shop: Shop) -> None:
    version = shop.publish(
        journey("when asked", 'tag "x" as begin', "wait 1d", "go to begin at most 2 times")
    )
    ana = shop.member()
    shop.ask(version, ana)
    shop.settle()
    shop.pass_time(5 * DAY, step=DAY)

    ways = [way for step, way in shop.trail(ana) if step == "go-to-begin"]
    assert ways == ["back", "back", "next"]
    assert shop.enrolments(ana)[0].status is EnrolmentStatus.COMPLETED


def test_a_check_ends_those_who_have_reached_the_goal(shop: Shop) -> None:
    version = shop.publish(journey("when asked", 'check has tag "won"', "wait 1d"))
    won, other = shop.member(), shop.member()
    tagged(shop, won, "won")
    shop.ask(version, won, other)
    shop.settle()

    assert shop.enrolments(won)[0].status is EnrolmentStatus.GOAL
    assert shop.trail(won) == [("check", "goal")]
    assert shop.enrolments(other)[0].step == "wait-1d"


def test_a_stage_is_written_into_the_trail(shop: Shop) -> None:
    version = shop.publish(journey("when asked", "stage Gift", '  tag "x"'))
    ana = shop.member()
    shop.ask(version, ana)
    shop.settle()
    assert shop.trail(ana) == [("stage-gift", "next"), ("tag-x", "next")]
