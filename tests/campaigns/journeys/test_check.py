"""Mirrors campaigns/journeys/check.py and flow.py."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from campaigns.journeys.ast import Journey
from campaigns.journeys.check import Finding, Level, findings
from campaigns.journeys.text import parse, read
from tests.campaigns.journeys.journeys import journeys

HEAD = 'journey "x"\n  when asked\n'
TWO = 'send sms "{0}" or email "{0}"'


def of(steps: str, head: str = HEAD) -> list[Finding]:
    found = read(f"{head}{steps}\n")
    return findings(found.journey, found.lines)


def codes(steps: str, head: str = HEAD) -> list[str]:
    return [one.code for one in of(steps, head)]


def sends(*between: str) -> str:
    rows = [f"  {TWO.format(0)}"]
    for number, wait in enumerate(between, 1):
        rows += [f"  {wait}", f"  {TWO.format(number)}"]
    return "\n".join(rows)


def test_a_good_journey_has_nothing_wrong() -> None:
    assert of(
        "  stage Hook as hook\n"
        f"    {TWO.format('a')}\n"
        "    wait until clicked any message or 3d\n"
        "      else\n"
        "        go to hook at most 2 times\n"
        "  exit\n",
        'journey "x"\n  when enters segment "a"\n  goal event purchase within 30d\n'
        "  quiet 21:00-08:00\n  limit 3 per 1d\n",
    ) == []  # fmt: skip


def test_a_finding_says_where_and_what_to_do() -> None:
    (found,) = of('\n  # why\n  stage Hook\n    send email "a"')

    assert found == Finding(
        level=Level.WARNING,
        code="no_fallback",
        message="whoever has no email gets nothing here",
        remedy="add another channel: or sms “…”",
        step="send-email-a",
        line=6,
    )


def test_lines_are_those_of_the_written_text_where_none_are_given() -> None:
    journey = parse(HEAD + '\n\n\n  send email "a"')

    assert [one.line for one in findings(journey)] == [4]


@pytest.mark.parametrize(
    ("journey", "code"),
    [
        (Journey("x", (), parse(HEAD + "  exit").steps), "no_trigger"),
        (parse(HEAD), "no_step"),
        (parse(HEAD + "  goal everyone\n  exit"), "goal_for_all"),
        (parse(HEAD + "  exit when everyone\n  exit"), "exit_for_all"),
        (parse(HEAD + "  quiet 09:00-09:00\n  exit"), "quiet_always"),
        (parse(HEAD + "  limit 0 per 1d\n  exit"), "limit_of_none"),
    ],
)
def test_errors_of_the_whole(journey, code) -> None:
    (found,) = findings(journey)

    assert (found.code, found.level, found.step, found.line) == (code, Level.ERROR, None, None)


def test_warnings_of_the_whole() -> None:
    assert codes("  when asked\n  exit") == ["trigger_twice"]
    head = 'journey "x"\n  when event purchase\n  goal event purchase\n'
    assert codes("  exit", head) == ["goal_starts_it"]


@pytest.mark.parametrize(
    ("steps", "code", "level", "line"),
    [
        ("  exit as a\n  exit as a", "name_twice", Level.ERROR, 4),
        ("  wait 1d\n  go to nowhere at most 2 times", "unknown_target", Level.ERROR, 4),
        ("  exit\n  wait 1d", "unreachable", Level.ERROR, 4),
        ("  wait until everyone", "no_timeout", Level.WARNING, 3),
        ("  wait until event a by order_id or 1d", "no_key", Level.WARNING, 3),
        ('  tag "a" as a\n  go to a at most 2 times', "loop_without_wait", Level.ERROR, 4),
        ("  wait 1d as a\n  go to a at most 101 times", "too_many_rounds", Level.ERROR, 4),
        ('  call "X"', "calls_itself", Level.ERROR, 3),
        ("  split\n    0\n    1", "no_share", Level.ERROR, 3),
        ('  send sms "a" 0 / "b" 1 or email "c" / "d"', "no_share", Level.ERROR, 3),
        ('  send sms "a" / "b" or email "c"', "unequal_variants", Level.WARNING, 3),
        ('  send sms "a" or sms "b"', "channel_twice", Level.ERROR, 3),
    ],
)
def test_what_is_wrong_with_a_step(steps, code, level, line) -> None:
    (found,) = of(steps)

    assert (found.code, found.level, found.line) == (code, level, line)


def test_the_nearest_target_is_named() -> None:
    (found,) = of("  stage Hook\n    wait 1d as nudge\n  go to nugde at most 1 time")

    assert found.remedy == "did you mean “nudge”?"


def test_nobody_comes_behind_exits_on_all_ways() -> None:
    both = '  branch\n    if has tag "a"\n      exit\n    else\n      exit\n  wait 1d\n  wait 2d'
    one = '  branch\n    if has tag "a"\n      exit\n  wait 1d'

    assert codes(both) == ["unreachable", "unreachable"]
    assert codes(one) == []


def test_nobody_comes_to_the_else_of_a_wait_for_ever() -> None:
    assert codes("  wait until everyone\n    else\n      exit") == ["no_timeout", "unreachable"]


def test_a_jump_may_be_the_only_way_to_a_step() -> None:
    assert codes("  wait 1d as a\n  go to b at most 1 time\n  exit\n  wait 1d as b") == []


@pytest.mark.parametrize(
    "wait", ["wait 1d", "wait until 09:00", "digest a over 1h", 'call "y" and wait']
)
def test_a_loop_needs_a_wait_on_every_way_round(wait) -> None:
    assert codes(f'  tag "a" as a\n  {wait}\n  go to a at most 2 times') == []
    around = f"  branch as a\n    if everyone\n      {wait}\n  go to a at most 2 times"
    assert codes(around) == ["loop_without_wait"]


def test_two_jumps_may_make_one_loop() -> None:
    steps = "  go to b at most 1 time as a\n  exit\n  go to a at most 1 time as b"

    assert codes(steps) == ["loop_without_wait", "loop_without_wait"]


BOTH = (
    f"  branch\n    if everyone\n      {TWO.format(1)}\n      {TWO.format(2)}\n    else\n"
    f"      {TWO.format(3)}\n      {TWO.format(4)}\n  {TWO.format(5)}"
)


@pytest.mark.parametrize(
    ("steps", "many"),
    [
        (sends("wait 1h", "wait 1h"), False),
        (sends("wait 1h", "wait 1h", "wait 1h"), True),
        (sends("wait 8h", "wait 8h", "wait 8h"), False),
        (sends("wait 1h", "wait 1h", "wait 1h", "wait 1d"), True),
        (sends("wait 1d", "wait 1d", "wait 1d", "wait 1d"), False),
        # an answer may come at once
        (sends(*["wait until clicked any message or 3d"] * 3), True),
        # the first 09:00 may come at once, the next is a day later
        (sends(*["wait until 09:00"] * 4), False),
        (sends("wait until 09:00", "wait until 10:00", "wait until 11:00"), True),
        (sends("wait until 09:00", "wait 23h", "wait until 09:30"), False),
        # only one of two ways is taken
        (
            BOTH,
            False,
        ),
        # rounds count, as often as they may be taken
        (f"  {TWO.format(1)} as a\n  wait 1h\n  go to a at most 2 times", False),
        (f"  {TWO.format(1)} as a\n  wait 1h\n  go to a at most 3 times", True),
    ],
)
def test_more_than_three_messages_a_day(steps, many) -> None:
    assert codes(steps) == (["too_many_messages"] if many else [])


@pytest.mark.parametrize(
    ("limit", "held"), [("3 per 1d", True), ("3 per 1h", False), ("4 per 1d", False)]
)
def test_a_limit_holds_messages_back(limit, held) -> None:
    found = codes(sends(*["wait 1h"] * 3), f"{HEAD}  limit {limit}\n")

    assert found == ([] if held else ["too_many_messages"])


@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    max_examples=50,
)
@given(journeys())
def test_every_journey_can_be_checked(journey) -> None:
    found = findings(journey)

    assert all(one.message and one.remedy for one in found)
    assert findings(replace(journey, triggers=()))[0].code == "no_trigger"
