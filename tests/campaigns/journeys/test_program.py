"""Mirrors campaigns/journeys/program.py."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.journeys.ast import Elevate, Journey, Wait
from campaigns.journeys.check import findings
from campaigns.journeys.flow import reachable
from campaigns.journeys.program import Program, each_step, program
from campaigns.journeys.text import parse
from tests.campaigns.journeys.journeys import OVERS, journeys

FEW = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    max_examples=50,
)


def of(steps: str) -> Program:
    return program(parse(f'journey "x"\n  when asked\n{steps}\n'))


def ways(steps: str) -> dict[str, dict[str, str | None]]:
    return {key: node.ways for key, node in of(steps).nodes.items()}


def unique(journey: Journey) -> bool:
    names = [step.name for step in each_step(journey.steps) if step.name]
    return len(set(names)) == len(names)


def test_steps_follow_each_other_out_of_blocks() -> None:
    assert ways(
        "  stage Hook\n"
        "    branch\n"
        '      if has tag "a"\n'
        '        tag "b"\n'
        '      if has tag "c"\n'
        "      else\n"
        "        exit\n"
        "  wait 1d\n"
        "  split\n"
        "    1\n"
        "    2\n"
        "      wait 2d\n"
    ) == {
        "stage-hook": {"next": "branch"},
        "branch": {"0": "tag-b", "1": "wait-1d", "else": "exit"},
        "tag-b": {"next": "wait-1d"},
        "exit": {},
        "wait-1d": {"next": "split"},
        "split": {"0": None, "1": "wait-2d"},
        "wait-2d": {"next": None},
    }


def test_a_wait_goes_both_ways() -> None:
    assert ways("  wait until reply or 1d\n    else\n      exit\n  wait 1d as last") == {
        "wait-for-reply": {"next": "last", "timeout": "exit"},
        "exit": {},
        "last": {"next": None},
    }


def test_a_jump_leads_to_a_name_or_to_a_stage_then_on() -> None:
    assert ways(
        "  wait 1d as a\n  stage Gift\n    go to a at most 2 times\n  go to Gift at most 1 time"
        "\n  go to b at most 1 time"
    ) == {
        "a": {"next": "stage-gift"},
        "stage-gift": {"next": "go-to-a"},
        "go-to-a": {"back": "a", "next": "go-to-gift"},
        "go-to-gift": {"back": "stage-gift", "next": "go-to-b"},
        "go-to-b": {"back": None, "next": None},
    }


def test_stages_are_known() -> None:
    whole = of("  wait 1d\n  stage Gift\n    wait 2d\n  stage Hook\n    exit")

    assert whole.stages() == [Elevate.GIFT, Elevate.HOOK]
    assert whole.nodes["wait-1d"].stage is None
    assert whole.nodes["wait-2d"].stage is Elevate.GIFT


def test_an_empty_journey_ends_at_once() -> None:
    assert program(Journey("x", (), ())).first is None


@FEW
@given(journeys().filter(unique))
def test_every_step_has_a_key_of_its_own(journey) -> None:
    whole = program(journey)

    assert [node.step for node in whole.nodes.values()] == list(each_step(journey.steps))
    assert all(node.key == key for key, node in whole.nodes.items())


@FEW
@given(journeys().filter(unique))
def test_every_step_is_reached_or_reported(journey) -> None:
    whole = program(journey)
    reported = {one.step for one in findings(journey) if one.code == "unreachable"}

    assert reported == set(whole.nodes) - reachable(whole)


@FEW
@given(journeys().filter(unique), OVERS, st.data())
def test_a_step_put_in_before_renames_no_other(journey, over, data) -> None:
    place = data.draw(st.integers(0, len(journey.steps)))
    new = Wait(over=over, name="quite-new")
    more = replace(journey, steps=(*journey.steps[:place], new, *journey.steps[place:]))

    before, after = program(journey), program(more)
    assert set(after.nodes) - set(before.nodes) == {"quite-new"}
    assert all(after.nodes[key].step == node.step for key, node in before.nodes.items())


def test_a_key_is_made_from_words_not_from_the_place() -> None:
    before = of('  send sms "hook"\n  wait 1d')
    after = of('  tag "new"\n  wait 2d\n  send sms "hook"\n  wait 1d')

    assert [*before.nodes] == ["send-sms-hook", "wait-1d"]
    assert [*after.nodes] == ["tag-new", "wait-2d", "send-sms-hook", "wait-1d"]
