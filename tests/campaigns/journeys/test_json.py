"""Mirrors campaigns/journeys/json.py and codec.py."""

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.journeys.errors import JourneyError
from campaigns.journeys.json import from_json, to_json
from campaigns.journeys.spelling import format
from campaigns.journeys.text import parse
from tests.campaigns.journeys.journeys import journeys


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(journeys())
def test_what_is_written_is_read_back_equal(journey) -> None:
    assert from_json(json.loads(json.dumps(to_json(journey)))) == journey


def test_what_it_looks_like() -> None:
    text = (
        '# why\njourney "x"\n  when event purchase where total > 50 by order_id\n'
        '  goal has tag "a" within 2d\n  quiet 21:00-08:00 UTC\n'
        '  wait until reply "yes" or 3d as asked\n    else\n      send sms "a" 2 / "b" 3\n'
    )

    assert to_json(parse(text)) == {
        "name": "x",
        "when": [
            {
                "on": "event",
                "event": {
                    "name": "purchase",
                    "where": [{"field": "total", "op": ">", "value": 50}],
                    "by": "order_id",
                },
            }
        ],
        "goals": [{"reached": {"condition": {"tag": "a"}}, "within": "2d"}],
        "quiet": {"start": "21:00", "end": "08:00", "zone": "UTC"},
        "steps": [
            {
                "do": "wait for",
                "as": "asked",
                "until": {"reply": {"words": ["yes"]}},
                "timeout": "3d",
                "else": [
                    {
                        "do": "send",
                        "by": [
                            {
                                "channel": "sms",
                                "contents": [
                                    {"template": "a", "weight": 2},
                                    {"template": "b", "weight": 3},
                                ],
                            }
                        ],
                    }
                ],
            }
        ],
        "comments": ["why"],
    }


def steps(*given: object) -> object:
    return {"name": "x", "when": [{"on": "request"}], "steps": list(given)}


def branch(condition: object, *inside: object) -> object:
    return {"do": "branch", "cases": [{"condition": condition, "steps": list(inside)}]}


EXIT = {"do": "exit"}
ERRORS = [
    # JSON, path, a part of the message, a part of the remedy
    ([], "", "an object", None),
    ({"name": "x", "when": []}, "steps", "missing", None),
    ({"name": "x", "when": [], "steps": [], "stepz": 1}, "stepz", "does not belong", "steps"),
    ({"name": " ", "when": [], "steps": []}, "", "a journey's name", None),
    ({"name": 1, "when": [], "steps": []}, "name", "text was expected", None),
    (steps({"do": "snd"}), "steps/0/do", "“snd” is no step", "send"),
    (steps({}), "steps/0/do", "is no step", None),
    (steps(EXIT, {"do": "wait"}), "steps/1/over", "missing", None),
    (steps({"do": "wait", "over": "3x"}), "steps/0/over", "no duration", "30m"),
    (steps({"do": "wait", "over": 3}), "steps/0/over", "text was expected", None),
    (steps({"do": "wait until", "at": "25:00"}), "steps/0/at", "no time", None),
    (
        steps({"do": "wait until", "at": "9:00", "weekday": "mon"}),
        "steps/0/weekday",
        "weekday",
        "mon",
    ),
    (steps({"do": "wait until", "at": "9:00", "zone": "X"}), "steps/0", "time zone", None),
    (steps({"do": "send", "by": []}), "steps/0/by", "at least 1", None),
    (
        steps({"do": "send", "by": [{"channel": "smms", "contents": []}]}),
        "steps/0/by/0/channel",
        "smms",
        "sms",
    ),
    (
        steps({"do": "split", "arms": [{"weight": 1, "steps": []}]}),
        "steps/0/arms",
        "at least 2",
        None,
    ),
    (
        steps({"do": "split", "arms": [{"weight": True, "steps": []}] * 2}),
        "steps/0/arms/0/weight",
        "a whole number",
        None,
    ),
    (steps({"do": "branch", "cases": []}), "steps/0/cases", "at least 1", None),
    (
        steps(EXIT, EXIT, branch({"tagg": "x"})),
        "steps/2/cases/0/condition",
        "exactly one of",
        "tag",
    ),
    (
        steps(branch({"and": [{"tag": "x"}, {"field": "teir", "op": "=", "value": "a"}]})),
        "steps/0/cases/0/condition/and/1",
        "teir",
        "tier",
    ),
    (steps(branch({"tag": "x"}, {"do": "tag"})), "steps/0/cases/0/steps/0/tag", "missing", None),
    (steps({"do": "wait for", "until": {}}), "steps/0/until", "exactly one of", None),
    (steps({"do": "wait for", "until": {"evnt": {}}}), "steps/0/until", "exactly one of", "event"),
    (
        steps({"do": "wait for", "until": {"event": {"name": "a", "where": [{"field": "x y"}]}}}),
        "steps/0/until/event/where",
        "comparison",
        None,
    ),
    (steps({"do": "set", "field": "email", "value": "x"}), "steps/0", "cannot set", None),
    (
        steps({"do": "set", "field": "attributes.a", "value": []}),
        "steps/0/value",
        "text, a number",
        None,
    ),
    (steps({"do": "exit", "as": "A b"}), "steps/0", "no name of a step", None),
    (steps({"do": "exit", "comments": ["a\nb"]}), "steps/0", "one line", None),
    (steps({"do": "go to", "target": "a", "most": 0}), "steps/0", "from 1", None),
    ({"name": "x", "when": [{"on": "evnt"}], "steps": []}, "when/0/on", "evnt", "event"),
    (
        {
            "name": "x",
            "when": [{"on": "schedule", "every": "month", "for": {"everyone": True}}],
            "steps": [],
        },
        "when/0",
        "no day 0",
        None,
    ),
    (
        {"name": "x", "when": [], "steps": [], "goals": [{"reached": {"reply": {}}}]},
        "goals/0/reached",
        "an event or a condition",
        None,
    ),
    (
        {
            "name": "x",
            "when": [{"on": "date", "field": "last_active", "days": 5000}],
            "steps": [],
        },
        "when/0",
        "5 years",
        None,
    ),
    (steps({"do": "wait", "over": "999999999w"}), "steps/0/over", "too long", "5 years"),
    (steps(*[EXIT] * 201), "", "201 steps", "200"),
]


@pytest.mark.parametrize(("data", "path", "message", "remedy"), ERRORS)
def test_an_error_says_where_and_what_to_do(data, path, message, remedy) -> None:
    with pytest.raises(JourneyError) as caught:
        from_json(data)

    assert caught.value.field == path
    assert message in str(caught.value)
    assert remedy is None or remedy in str(caught.value.remedy)


@pytest.mark.parametrize("deep", [9, 300])
def test_steps_stand_eight_deep_at_most(deep) -> None:
    step: object = EXIT
    for _ in range(deep - 1):
        step = {"do": "stage", "stage": "Hook", "steps": [step]}

    with pytest.raises(JourneyError, match="more than 8 deep"):
        from_json(steps(step))


def test_values_get_their_normal_form() -> None:
    journey = from_json(
        steps(
            {"do": "tag", "tag": " VIP "},
            {"do": "set", "field": "tier", "value": "Elite"},
            {"do": "wait until", "at": "9:00", "zone": "europe/berlin"},
        )
    )

    assert format(journey).split("\n")[3:6] == [
        '  tag "vip"',
        '  set tier = "elite"',
        "  wait until 09:00 Europe/Berlin",
    ]


SCRAPS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["send", "1d", "x", "sms", "event"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "when", "steps", "do", "on", "over", "by", "cases", "until", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(SCRAPS)
def test_nothing_but_journey_errors_comes_of_scraps(data) -> None:
    for given_ in (data, steps(data), {"name": "x", "when": [data], "steps": []}):
        with contextlib.suppress(JourneyError):
            journey = from_json(given_)
            assert parse(format(journey)) == journey
