"""Mirrors campaigns/journeys/spelling.py, duration.py and english.py."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.journeys.ast import Goal, GoTo, Journey, OnSegment, Wait
from campaigns.journeys.duration import duration, read_duration
from campaigns.journeys.english import spoken, summary
from campaigns.journeys.program import each_step
from campaigns.journeys.spelling import format, line, lines, trigger
from campaigns.journeys.text import parse, read
from core.condition.ast import Messaged, Verb
from tests.campaigns.journeys.journeys import journeys

WRITTEN = """\
# For people who took the gift
journey "Elevate nurture"
  when enters segment "New leads"
  when event purchase where total > 50 by order_id if tier = "premium"
  when 3d before date_of_birth every year at 09:00 member-time
  when every week on monday at 09:00 UTC for has tag "lead"
  again after 30d up to 3 times
  goal event purchase within 30d
  exit when not consent email
  quiet 21:00-08:00 member-time
  limit 3 per 1d

  stage Hook
    # first channel they can be reached on
    send sms "hook-1" or email "hook-1-email"
    send email "a" 50 / "b" 50
    wait until monday 09:00 Europe/Berlin
    wait until event workshop_joined where plan = "pro" or 3d as joined
      then
        tag "x"
      else
        untag "y"

  stage Gift
    branch
      if clicked "gift-guide" or has tag "gift"
        exit "not for them"
      else
        set location to nothing
    split
      50
        webhook "https://example.com/hook" as crm
      50
        digest comment over 1d
    call "Welcome" and wait
    go to joined at most 3 times

  # the end
"""
FEW = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    max_examples=50,
)


def test_what_is_well_written_stays_as_it_is() -> None:
    assert format(parse(WRITTEN)) == WRITTEN


@FEW
@given(journeys())
def test_every_comment_is_kept(journey) -> None:
    text = format(journey)
    steps = [comment for step in each_step(journey.steps) for comment in step.comments]
    comments = [*journey.comments, *steps, *journey.ending]

    written = [row.strip() for row in text.splitlines() if row.strip().startswith("#")]
    assert len(written) >= len(comments)
    again = parse(text)
    assert again.comments == journey.comments
    assert again.ending == journey.ending
    assert [one for step in each_step(again.steps) for one in step.comments] == steps


@FEW
@given(journeys())
def test_lines_are_where_steps_begin(journey) -> None:
    text = format(journey)
    steps = list(each_step(journey.steps))
    rows = text.split("\n")

    assert lines(journey) == list(read(text).lines)
    assert [rows[number - 1].strip() for number in lines(journey)] == [line(one) for one in steps]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "1s"),
        (90, "1m30s"),
        (3600, "1h"),
        (129_600, "1d12h"),
        (604_800, "1w"),
        (1_209_600, "2w"),
        (2_592_000, "30d"),
        (694_861, "8d1h1m1s"),
    ],
)
def test_durations(seconds, text) -> None:
    assert duration(timedelta(seconds=seconds)) == text
    assert read_duration(text) == timedelta(seconds=seconds)


@given(st.integers(1, 160_000_000).map(lambda seconds: timedelta(seconds=seconds)))
def test_a_duration_is_read_back(over) -> None:
    assert read_duration(duration(over)) == over


def test_a_step_is_written_without_what_stands_below_it() -> None:
    (stage,) = parse('journey "x"\n  # why\n  stage Hook as first\n    exit\n').steps

    assert line(stage) == "stage Hook as first"
    assert line(GoTo(target="first", most=1)) == "go to first at most 1 time"
    assert trigger(OnSegment("a", leaves=True)) == 'leaves segment "a"'


def test_a_goals_time_is_not_its_conditions() -> None:
    goal = Goal(Messaged(Verb.CLICKED, days=7), timedelta(days=2))
    journey = Journey("x", (), (Wait(over=timedelta(1)),), goals=(goal,))

    assert "goal clicked any message in the last 7 days within 2d" in format(journey)
    assert parse(format(journey)) == journey


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("  exit", "1 step, 1 path, longest 0 minutes."),
        ("  wait 1d\n  wait 12h", "2 steps, 1 path, longest 1 day 12 hours."),
        ("  wait until everyone", "1 step, 1 path, may wait for ever."),
        ("  wait until everyone or 2d", "1 step, 1 path, longest 2 days."),
        (
            "  wait until everyone or 2d\n    else\n      wait 1d",
            "2 steps, 2 paths, longest 3 days.",
        ),
        ("  stage Hook\n    wait 1d", "1 step, 1 path, longest 1 day."),
        (
            "  branch\n    if everyone\n      wait 1d\n    if everyone\n      exit\n  wait 5d",
            "4 steps, 3 paths, longest 6 days.",
        ),
        ("  wait until 09:00\n  wait until monday 09:00", "2 steps, 1 path, longest 8 days."),
        (
            "  wait 1d as a\n  wait 2d\n  go to a at most 3 times",
            "3 steps, 1 path, longest 12 days.",
        ),
        (
            "  wait 1d as a\n  branch\n    if everyone\n      go to a at most 2 times\n  wait 1h",
            "4 steps, 2 paths, longest 3 days 1 hour.",
        ),
        (
            '  branch\n    if everyone\n      tag "x"\n' * 12,
            "24 steps, more than 1000 paths, longest 0 minutes.",
        ),
    ],
)
def test_a_journey_in_a_sentence(steps, said) -> None:
    assert summary(parse(f'journey "x"\n  when asked\n{steps}\n')) == said


@FEW
@given(journeys())
def test_every_journey_has_a_sentence(journey) -> None:
    assert summary(journey).endswith(".")


def test_long_times_are_said_in_two_units() -> None:
    assert spoken(timedelta(days=1, minutes=5, seconds=3)) == "1 day 5 minutes"


def test_a_line_end_in_a_name_stays_on_its_line() -> None:
    journey = Journey('two\nlines\r\n"\\n', (), (Wait(over=timedelta(1)),))

    assert format(journey).split("\n")[0] == r'journey "two\nlines\r\n\"\\n"'
    assert parse(format(journey)) == journey
