"""Mirrors channels/names.py: what templates may say besides their member."""

from typing import Any

import pytest

from channels.channel import Channel
from channels.template import CompiledTemplate, RenderContext, TemplateError, compile_template

CONTEXT = RenderContext(
    client={"name": "Shop", "address": "1 Way"},
    unsubscribe_url="https://example.com/u",
    click_url="https://example.com/c/{}".format,
    open_url=None,
)


def sms(text: str) -> CompiledTemplate:
    return compile_template(Channel.SMS, subject=None, html=None, text=text)


def said(text: str, merge: dict[str, Any]) -> str:
    compiled = sms(text)
    return compiled.skeleton.fill(compiled.render(merge, CONTEXT))["body"]


@pytest.mark.parametrize(
    ("text", "merge", "shown"),
    [
        ("{{ event.total }}", {"event.total": 9.5}, "9.5"),
        ("{{ event.total }}", {}, ""),
        ("{{ event.item.name }}", {"event.item": {"name": "Mug"}}, "Mug"),
        ("{{ event.items[0].name }}", {"event.items": [{"name": "Mug"}]}, "Mug"),
        ("{{ event.items.size }}", {"event.items": [1, 2]}, "2"),
        ("{{ journey.crm.score }}", {"journey.crm": {"score": 7}}, "7"),
        (
            "{% for one in journey.news %}{{ one.title }};{% endfor %}",
            {"journey.news": [{"title": "A"}, {"title": "B"}]},
            "A;B;",
        ),
        ("{{ foundation.offer | default: 'our course' }}", {}, "our course"),
        ("{{ foundation.offer | default: 'x' }}", {"foundation.offer": "Lessons"}, "Lessons"),
        ("{{ foundation.pains | first }}", {"foundation.pains": ["no time"]}, "no time"),
        ("{% if foundation.offer_url %}a{% else %}b{% endif %}", {}, "b"),
        # A member's own fields beside them, and an attribute of the same name.
        (
            "{{ first_name }} {{ member.attributes.offer }} {{ foundation.offer | upcase }}",
            {"first_name": "Ana", "attributes.offer": "x", "foundation.offer": "y"},
            "Ana x Y",
        ),
    ],
)
def test_a_template_shows_the_foundation_and_what_a_journey_knows(
    text: str, merge: dict[str, Any], shown: str
) -> None:
    assert said(text, merge) == shown


def test_a_field_is_the_root_and_one_name_whatever_is_read_of_it() -> None:
    text = "{{ event.item.name }}{{ event.item.price }}{{ journey.crm.a.b }}{{ foundation.gift }}"

    assert sms(text).fields == ("event.item", "journey.crm", "foundation.gift")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("{{ foundation.ofer }}", "did you mean “foundation.offer”?"),
        ("{{ foundation }}", None),
        ("{{ event }}", None),
        ("{{ member.event.total }}", None),
    ],
)
def test_an_unknown_fact_is_refused_with_the_nearest_one(text: str, remedy: str | None) -> None:
    with pytest.raises(TemplateError) as caught:
        sms(text)

    assert caught.value.line == 1
    assert remedy is None or caught.value.remedy == remedy


def test_a_link_may_lead_where_the_foundation_says() -> None:
    html = '<a href="{{ foundation.offer_url }}">See</a> {{ unsubscribe_url }}'
    compiled = compile_template(Channel.EMAIL, subject="Hi", html=html, text=None)

    assert compiled.links == ("{{ foundation.offer_url }}",)
    assert compiled.fields == ("foundation.offer_url",)
