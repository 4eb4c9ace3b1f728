"""Mirrors campaigns/journeys/comparison.py."""

import pytest
from hypothesis import given, settings

from campaigns.journeys.ast import Journey
from campaigns.journeys.comparison import Does, compare, sentence
from campaigns.journeys.errors import JourneyError
from campaigns.journeys.program import program
from campaigns.journeys.text import parse
from campaigns.journeys.wording import Wording, Wordings
from channels.channel import Channel
from tests.campaigns.journeys.journeys import journeys

HEAD = 'journey "J"\n  when asked\n'


def told(before: str, after: str) -> str:
    return sentence(compare(parse(HEAD + before), parse(HEAD + after)).changes)


def steps(before: str, after: str) -> dict[str, str]:
    return dict(compare(parse(HEAD + before), parse(HEAD + after)).steps)


A, B, WAIT = '  send email "a"\n', '  send email "b"\n', "  wait 1d\n"


@given(journeys())
@settings(max_examples=40)
def test_a_journey_is_itself(journey: Journey) -> None:
    try:
        found = compare(journey, journey)
    except JourneyError:
        return  # two steps of one name
    keys = list(program(journey).nodes)
    assert (dict(found.steps), found.changes) == ({key: key for key in keys}, ())
    assert found.unchanged == set(keys)


def test_a_step_put_in_before_does_not_take_the_place_of_its_like() -> None:
    assert steps(A + WAIT + B, WAIT + A + WAIT + B) == {
        "send-email-a": "send-email-a", "wait-1d": "wait-1d-2", "send-email-b": "send-email-b",
    }  # fmt: skip
    assert told(A + WAIT + B, WAIT + A + WAIT + B) == "adds wait 1d at the beginning"


def test_the_same_kind_between_the_same_neighbours_is_the_same_step() -> None:
    assert steps(A + WAIT + B, A + "  wait 2d\n" + B)["wait-1d"] == "wait-2d"
    assert told(A + WAIT + B, A + "  wait 2d\n" + B) == "changes wait 1d to wait 2d"
    other = A + '  tag "x"\n' + B
    assert "wait-1d" not in steps(A + WAIT + B, other)
    assert told(A + WAIT + B, other) == 'removes wait 1d; adds tag "x" behind send-email-a'


def test_a_name_is_stronger_than_words() -> None:
    before = '  send email "a" as hi\n' + WAIT + B
    after = '  send sms "c" or email "a" as hi\n' + WAIT + B
    assert steps(before, after)["hi"] == "hi"
    assert told(before, after) == "adds SMS to hi"
    renamed = before.replace("as hi", "as hello")
    assert told(before, renamed) == "renames hi to hello"


def test_stages_say_where() -> None:
    before = '  stage Hook\n    wait 2d\n  stage Gift\n    tag "x"\n'
    after = '  stage Hook\n    wait 2d\n  stage Gift\n    wait 1d\n    tag "x"\n'
    assert told(before, after) == "adds wait 1d in Gift"
    assert told(after, before) == "removes wait 1d in Gift"


def test_a_step_that_moves_is_still_itself() -> None:
    assert steps(A + WAIT + B, WAIT + B + A)["send-email-a"] == "send-email-a"
    assert told(A + WAIT + B, WAIT + B + A) == "moves send-email-a behind send-email-b"
    inside = '  branch\n    if tier = "elite"\n      tag "x"\n      tag "y"\n'
    outside = '  branch\n    if tier = "elite"\n      tag "x"\n  tag "y"\n'
    assert told(inside, outside) == "moves tag-y behind tag-x"


def test_what_branches_ask_and_splits_share_is_said() -> None:
    one = '  branch\n    if tier = "elite"\n      tag "x"\n'
    assert told(one, one.replace("elite", "basic")) == (
        'changes branch if tier = "elite" to branch if tier = "basic"'
    )
    two = '  split\n    50\n      tag "x"\n    50\n      tag "y"\n'
    assert told(two, two.replace("50", "90", 1)) == "changes split 50/50 to split 90/50"


def test_the_head_is_compared_line_by_line() -> None:
    before = parse('journey "J"\n  when asked\n  limit 3 per 1d\n  wait 1d\n')
    after = parse(
        'journey "K"\n  when asked\n  when event signup\n  limit 2 per 1d\n'
        "  goal event purchase\n  wait 1d\n"
    )
    assert sentence(compare(before, after).changes) == (
        "renames the journey to “K”; changes limit 3 per 1d to limit 2 per 1d; "
        "adds when event signup; adds goal event purchase"
    )


def test_a_new_text_under_an_old_name_is_told() -> None:
    journey = parse(HEAD + '  send sms "hook" or email "a" as hook-1\n')
    before = Wordings(
        {}, {(Channel.SMS, "hook"): Wording(1, ()), (Channel.EMAIL, "a"): Wording(2, ())}
    )
    after = Wordings(
        {}, {(Channel.SMS, "hook"): Wording(3, ()), (Channel.EMAIL, "a"): Wording(2, ())}
    )
    (change,) = compare(journey, journey, before, after).changes
    assert (change.does, change.text) == (Does.CHANGES, "changes the SMS text of hook-1")
    (named,) = compare(
        journey, parse(HEAD + '  send sms "hook two" or email "a" as hook-1\n'), before, after
    ).changes
    assert named.text == "changes the SMS text of hook-1 from “hook” to “hook two”"


def test_two_steps_of_one_name_cannot_be_compared() -> None:
    twice = parse(HEAD + "  wait 1d as x\n  wait 2d as x\n")
    with pytest.raises(JourneyError):
        compare(twice, twice)


@given(journeys(), journeys())
@settings(max_examples=30)
def test_every_match_is_one_to_one_and_of_one_kind(one: Journey, other: Journey) -> None:
    try:
        found = compare(one, other)
    except JourneyError:
        return
    before, after = program(one).nodes, program(other).nodes
    assert len(set(found.steps.values())) == len(found.steps)
    for old, new in found.steps.items():
        assert type(before[old].step) is type(after[new].step)
    gone = {change.old for change in found.changes if change.does is Does.REMOVES and change.old}
    come = {change.new for change in found.changes if change.does is Does.ADDS and change.new}
    assert gone == before.keys() - found.steps.keys()
    assert come == after.keys() - set(found.steps.values())


def test_two_sends_that_change_places_stay_themselves() -> None:
    assert steps(A + WAIT + B, B + WAIT + A) == {
        "send-email-a": "send-email-a", "wait-1d": "wait-1d", "send-email-b": "send-email-b",
    }  # fmt: skip
