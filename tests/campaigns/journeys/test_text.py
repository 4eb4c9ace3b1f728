"""Mirrors campaigns/journeys/text.py, head.py, body.py, line.py, duration.py and errors.py."""

import json
from datetime import time, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from campaigns.journeys.ast import (
    MEMBER_TIME,
    Again,
    Every,
    Goal,
    Happens,
    Journey,
    Limit,
    OnDate,
    OnEvent,
    OnForm,
    OnReply,
    OnRequest,
    OnSchedule,
    OnSegment,
    Quiet,
    Replies,
    Send,
    Set,
    Stage,
    Step,
    Tag,
    Trigger,
    Wait,
    WaitFor,
    WaitTime,
)
from campaigns.journeys.check import Level, findings
from campaigns.journeys.errors import JourneyError
from campaigns.journeys.json import from_json
from campaigns.journeys.text import format, parse, read
from channels.channel import Channel
from core.condition.ast import Compare, Everyone, HasTag, Messaged, Op, Or, Verb
from core.condition.leaf import Known
from tests.campaigns.journeys.journeys import journeys

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "journeys.md"
HEAD = 'journey "x"\n  when asked\n'


def one_step(text: str) -> Step:
    (step,) = parse(f"{HEAD}  {text}\n").steps
    return step


def one_trigger(text: str) -> Trigger:
    (trigger,) = parse(f'journey "x"\n  when {text}\n').triggers
    return trigger


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(journeys())
def test_what_is_written_is_read_back_equal(journey) -> None:
    text = format(journey)

    assert parse(text) == journey
    assert format(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ('enters segment "New leads"', OnSegment("New leads")),
        ('LEAVES Segment "X" if everyone', OnSegment("X", leaves=True, only=Everyone())),
        (
            'event purchase where total > 50 by order_id if tier = "premium"',
            OnEvent(
                Happens("purchase", (Compare("total", Op.GT, 50),), "order_id"),
                Compare("tier", Op.EQ, "premium"),
            ),
        ),
        ('event "opted in"', OnEvent(Happens("opted in"))),
        ('reply "Join" by sms', OnReply(Replies(("join",), Channel.SMS))),
        ("reply", OnReply(Replies())),
        ('form "newsletter"', OnForm("newsletter")),
        ("asked", OnRequest()),
        (
            "3d before date_of_birth every year at 09:00 member-time",
            OnDate("date_of_birth", -3, time(9), MEMBER_TIME, yearly=True),
        ),
        ("2w after last_active", OnDate("last_active", 14)),
        ("on attributes.Renewal at 7:05 utc", OnDate("attributes.Renewal", 0, time(7, 5), "UTC")),
        (
            'every week on monday at 09:00 UTC for has tag "lead"',
            OnSchedule(Every.WEEK, HasTag("lead")),
        ),
        (
            "every month on 31 at 10:00 Europe/Berlin for everyone",
            OnSchedule(Every.MONTH, Everyone(), 31, time(10), "Europe/Berlin"),
        ),
        ("every day for everyone", OnSchedule(Every.DAY, Everyone())),
    ],
)
def test_what_starts_a_journey(text, trigger) -> None:
    assert one_trigger(text) == trigger


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("never", Again()),
        ("always", Again(most=None)),
        ("after 30d", Again(None, timedelta(days=30))),
        ("up to 3 times", Again(3)),
        ("after 30d up to 3 times", Again(3, timedelta(days=30))),
        ("after 12h, up to 1 time", Again(1, timedelta(hours=12))),
    ],
)
def test_how_often_one_may_enter(text, again) -> None:
    assert parse(f'journey "x"\n  again {text}\n').again == again


def test_what_holds_throughout() -> None:
    journey = parse(
        'journey "x"\n'
        "  goal event purchase within 30d\n"
        '  goal clicked "offer" by email within 2d\n'
        "  goal did purchase within 7 days within 2d\n"
        "  exit when not consent email\n"
        "  quiet 21:00-08:00\n"
        "  limit 3 per 24h\n"
    )

    assert journey.goals[0] == Goal(Happens("purchase"), timedelta(days=30))
    assert journey.goals[1] == Goal(Messaged(Verb.CLICKED, "offer", "email"), timedelta(days=2))
    assert journey.goals[2].within == timedelta(days=2)
    assert journey.quiet == Quiet(time(21), time(8), MEMBER_TIME)
    assert journey.limit == Limit(3, timedelta(days=1))
    assert len(journey.exits) == 1


def test_a_duration_behind_or_is_the_timeout() -> None:
    step = one_step('wait until clicked "a" or has tag "b" or 3d')

    assert isinstance(step, WaitFor)
    assert step.what == Or((Messaged(Verb.CLICKED, "a"), HasTag("b")))
    assert step.timeout == timedelta(days=3)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            'event "joined" where plan = "pro" and n > 2 by order_id or 3d',
            Happens(
                "joined",
                (Compare("plan", Op.EQ, "pro"), Compare("n", Op.GT, 2)),
                "order_id",
            ),
        ),
        ('reply "yes", "ok" by sms or 3d', Replies(("yes", "ok"), Channel.SMS)),
        ("reply or 3d", Replies()),
        ("everyone or 3d", Everyone()),
    ],
)
def test_a_wait_for_something(text, what) -> None:
    step = one_step(f"wait until {text} as joined")

    assert step == WaitFor(what=what, timeout=timedelta(days=3), name="joined")


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("wait 1d12h", Wait(over=timedelta(hours=36))),
        ("WAIT 90M", Wait(over=timedelta(minutes=90))),
        ("wait until 09:00", WaitTime(at=time(9))),
        (
            "wait until Monday 09:00 europe/berlin",
            WaitTime(at=time(9), weekday=0, zone="Europe/Berlin"),
        ),
        ('set attributes.stage = "warm"', Set(field="attributes.stage", value="warm")),
        ("set attributes.n = 2.5 as x", Set(field="attributes.n", value=2.5, name="x")),
        ("set location to nothing", Set(field="location", value=None)),
        ('set tier = "Premium"', Set(field="tier", value="premium")),
        ('untag "Cold  Lead"', Tag(tag="cold lead", remove=True)),
    ],
)
def test_steps(text, step) -> None:
    assert one_step(text) == step


def test_variants_have_shares() -> None:
    step = one_step('send email "a" 50 / "b" or sms "c"')

    assert isinstance(step, Send)
    assert [option.channel for option in step.options] == [Channel.EMAIL, Channel.SMS]
    assert [one.weight for one in step.options[0].contents] == [50, 1]


def test_comments_go_to_the_step_behind_them() -> None:
    journey = parse(
        "# one\n"
        'journey "x"  # two\n'
        "  # three\n"
        "  when asked  # four\n"
        "  # five\n"
        "  stage Hook  # six\n"
        '    tag "# no comment"\n'
        "    # seven\n"
        "  branch\n"
        "    # eight\n"
        "    if everyone  # nine\n"
        "      # ten\n"
        "    else\n"
        "      exit  # eleven\n"
        "      # twelve\n"
        "# thirteen"
    )

    stage, branch = journey.steps
    assert journey.comments == ("one", "two", "three", "four")
    assert isinstance(stage, Stage)
    assert stage.comments == ("five", "six")
    assert stage.steps == (Tag(tag="# no comment"),)
    assert branch.comments == ("seven",)
    assert branch.otherwise[0].comments == ("eight", "nine", "ten", "eleven")
    assert journey.ending == ("twelve", "thirteen")


def test_any_deeper_indent_will_do() -> None:
    wide = 'journey "x"\r\n   when asked\r\n\r\n   stage Hook\r\n        exit\r\n'

    assert parse(wide) == parse('journey "x"\n  when asked\n  stage Hook\n    exit\n')


def test_lines_of_steps_are_those_of_the_text() -> None:
    text = f"# a\n{HEAD}\n  stage Hook\n\n    # why\n    wait 1d\n  exit\n"

    assert read(text).lines == (5, 8, 9)


ERRORS = [
    # text, line, column, a part of the message, a part of the remedy
    ("", None, None, "there is no journey", 'journey "'),
    ('jurney "x"', 1, 1, "not jurney", "“journey”"),
    ("journey x", 1, 9, "quotation marks", None),
    ('journey "x"\nwhen asked', 2, 1, "beside the journey", "spaces"),
    (HEAD + "\twait 1d", 3, 2, "tab", "spaces"),
    (HEAD + '  snd sms "x"', 3, 3, "“snd” is not a step", "did you mean “send”?"),
    (HEAD + '  wait until event x whre total > 5', 3, 22, "the end", "did you mean “where”?"),
    (HEAD + '  wait until reply or clicked "x"', 3, 23, "a duration such as 3d", "one thing"),
    (HEAD + '  send smms "x"', 3, 8, "a channel", "“sms”"),
    (HEAD + '  send sms "x\\', 3, 12, "not closed", "close"),
    (HEAD + '  send sms "x\n  tag "y"', 3, 12, "not closed", "close"),
    (HEAD + "  wait 1x", 3, 8, "“1x” is no duration", "30m"),
    (HEAD + "  wait 3", 3, 8, "a duration", None),
    (HEAD + "  wait 0s", 3, 8, "1 second to 5 years", None),
    (HEAD + "  wait 6000d", 3, 8, "1 second to 5 years", None),
    (HEAD + "  wait until 25:00", 3, 14, "no time 25:00", "23:59"),
    (HEAD + "  wait until 09:00 Europe/Berln", 3, 20, "time zone", "Europe/Berlin"),
    (HEAD + '  wait until clicked "x" or', 3, 28, "a field or a condition", None),
    (HEAD + '  wait until clickd "x" or 3d', 3, 14, "“clickd”", "“clicked”"),
    (HEAD + "  wait 1d\n    exit", 4, 5, "nothing stands below “wait”", "fewer"),
    (HEAD + "  stage Hook\n      exit\n    exit", 5, 5, "begins neither", "6 spaces"),
    (HEAD + "  stage Hok", 3, 9, "an Elevate step", "“hook”"),
    (HEAD + "  branch", 3, 3, "at least one “if”", None),
    (HEAD + "  branch\n    iff everyone", 4, 5, "“if” or “else”", "“if”"),
    (HEAD + '  branch\n    if teir = "x"', 4, 8, "“teir”", "“tier”"),
    (HEAD + "  branch\n    else\n    if everyone", 5, 5, "nothing stands below the “else”", None),
    (HEAD + "  if everyone", 3, 3, "“if” belongs right below a branch", None),
    (HEAD + "  50", 3, 3, "“50” belongs right below a split", None),
    (HEAD + "  split\n    50", 3, 3, "at least two ways", "shares"),
    (HEAD + "  wait until everyone\n    thn", 4, 5, "“then” or “else”", "“then”"),
    (HEAD + "  wait 1d\n  when asked", 4, 3, "“when” stands above the first step", "move"),
    (HEAD + "  wait 1d\n  exit when everyone", 4, 3, "“exit when” stands above", "move"),
    (HEAD + "  when evnt x", 3, 8, "what starts it", "“event”"),
    (HEAD + "  when 12h before last_active", 3, 8, "whole days", "3d"),
    (HEAD + "  when on email", 3, 8, "no date of members", "date_of_birth"),
    (HEAD + "  when every month on 32 for everyone", 3, 8, "no day 32", None),
    (HEAD + "  again sometimes", 3, 9, "“never”", "never"),
    (HEAD + "  limit 3 per 1d\n  limit 3 per 1d", 4, 3, "twice", "one of them"),
    (HEAD + "  set email = \"x\"", 3, 3, "cannot set “email”", None),
    (HEAD + '  set tier = "gold"', 3, 3, "no tier “gold”", "premium"),
    (HEAD + "  set tier to nothing", 3, 3, "never empty", None),
    (HEAD + '  set date_of_birth = "soon"', 3, 3, "a date", "2026-01-31"),
    (HEAD + "  exit as 9", 3, 11, "a name", None),
    (HEAD + f"  exit as {'a' * 41}", 3, 11, "no name of a step", "small letters"),
    (HEAD + '  webhook "http://example.com"', 3, 3, "no URL", "https://"),
    (HEAD + '  wait until reply "two words"', 3, 20, "more than one word", "first word"),
    (HEAD + f'  tag "{"x" * 65}"', 3, 3, "65 characters", "64"),
    (HEAD + "  go to x", 3, 10, "“at” was expected", None),
    (HEAD + "  go to x at most 0 times", 3, 3, "from 1", None),
    (HEAD + "  wait until everyone\n    then\n    then", 5, 5, "“then” stands here twice", None),
    (HEAD + "  digest a where n > 1 over 1d", 3, 3, "all events of a name", None),
    (HEAD + "  go to 9 at most 1 time", 3, 9, "the name of a step", None),
    (HEAD + "  wait 999999999w999999999w", 3, 8, "too long", "5 years"),
    (HEAD + "    exit", 3, 5, "nothing stands below “when”", None),
    (HEAD + "  when event a by 3", 3, 19, "a property of the event", None),
    (HEAD + "  when event a by x.y", 3, 14, "no name of a property", None),
    (HEAD + "  when 3d befor last_active", 3, 11, "“before” or “after”", "“before”"),
    (HEAD + "  when every fortnight for everyone", 3, 14, "“day”", "day"),
    (HEAD + "  when every week on 3 for everyone", 3, 22, "a weekday", None),
    (HEAD + "  when every week on mondy for everyone", 3, 22, "a weekday", "“monday”"),
    (HEAD + "  when every day on monday for everyone", 3, 18, "“for” was expected", None),
    (HEAD + "  exit 5", 3, 8, "the end of the line was expected, not 5", None),
    (HEAD + "  quiet 9 - 10", 3, 9, "a time such as 09:00", None),
    (HEAD + '  set 5 = "x"', 3, 7, "a field of members", None),
    (HEAD + "  wait until reply" + ' "a",' * 20 + ' "a"', 3, 20, "21 words", "20"),
    (HEAD + '  webhook "https://[x"', 3, 3, "no URL", "https://"),
    (HEAD + '  webhook "https://a b"', 3, 3, "no URL", "https://"),
    (HEAD + "  exit\n" * 201, 203, 3, "more than 200 steps", "call"),
    (HEAD + "x" * 40_000, None, None, "characters", "shorter"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "message", "remedy"), ERRORS)
def test_an_error_says_where_and_what_to_do(text, line, column, message, remedy) -> None:
    with pytest.raises(JourneyError) as caught:
        parse(text)

    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.field == (None if line is None else f"{line}:{column}")
    assert message in str(caught.value)
    assert remedy is None or remedy in str(caught.value.remedy)


def test_an_error_is_a_sentence() -> None:
    with pytest.raises(JourneyError) as caught:
        parse(HEAD + 'snd sms "x"'.rjust(13))

    assert caught.value.sentence == "Line 3: “snd” is not a step. Did you mean “send”?"
    assert JourneyError("no", remedy="do so").sentence == "no. Do so."
    assert JourneyError("no").sentence == "no."


def nested(depth: int) -> str:
    below = [f"{'  ' * (level + 1)}stage Hook" for level in range(depth - 1)]
    return HEAD + "\n".join([*below, f"{'  ' * depth}exit"])


def test_steps_stand_eight_deep_at_most() -> None:
    parse(nested(8))
    with pytest.raises(JourneyError, match="more than 8 deep"):
        parse(nested(9))


def test_a_text_that_is_too_long_when_written_is_refused() -> None:
    long = "\n".join(f'  tag "{number:060}"' for number in range(199))
    more = "\n".join(f"  # {'x' * 400}" for _ in range(20))

    with pytest.raises(JourneyError, match="characters"):
        parse(HEAD + long + "\n" + more)


def test_names_are_the_clients_own() -> None:
    known = Known(segments=frozenset({"Warm leads"}), tags=frozenset({"vip"}))

    with pytest.raises(JourneyError, match=r"Line 2.*Warm lead") as caught:
        parse('journey "x"\n  when enters segment "Warm lead"', known)
    assert caught.value.remedy == "did you mean “Warm leads”?"
    with pytest.raises(JourneyError, match=r"Line 2.*vipp"):
        parse('journey "x"\n  exit when has tag "vipp"', known)
    assert isinstance(parse('journey "x"\n  tag "new"', known), Journey)


def test_the_reference_holds_what_it_shows() -> None:
    page = PAGE.read_text()
    texts = [block for block in page.split("```")[1::2] if not block.startswith("json")]
    (data,) = [block for block in page.split("```")[1::2] if block.startswith("json")]

    assert len(texts) == 2
    for text in texts:
        assert format(parse(text)) == text.lstrip("\n")
        assert {one.level for one in findings(parse(text))} <= {Level.WARNING}
    assert from_json(json.loads(data.removeprefix("json"))).name == "Elevate nurture"


@pytest.mark.parametrize(
    "heading", ["What starts it", "What holds throughout", "Steps"], ids=["when", "head", "steps"]
)
def test_the_reference_lists_what_can_be_read(heading) -> None:
    page = PAGE.read_text()
    section = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    shown = [text for cell in cells for text in cell.split("`")[1::2]]

    assert len(shown) >= 5
    for text in shown:
        step = "" if heading == "Steps" else "\n  exit"
        assert parse(f'journey "x"\n  {text}{step}\n')
