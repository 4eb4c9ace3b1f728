"""Mirrors channels/template.py."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from liquid import Markup

from channels.channel import Channel
from channels.liquid import HTML, TEXT
from channels.template import (
    CompiledTemplate,
    RenderContext,
    TemplateError,
    TemplateRenderError,
    compile_template,
    link_url,
)

CLIENT = {"name": "Dot & Dash", "address": "1 <Main> St"}


def context(**changes: Any) -> RenderContext:
    given = {
        "client": CLIENT,
        "unsubscribe_url": "https://ex.test/u/1?a=1&b=2",
        "click_url": "https://ex.test/c/{}".format,
        "open_url": "https://ex.test/o/1.gif",
    }
    return RenderContext(**given | changes)


def email(html: str, *, subject: str = "Hi", text: str | None = "text") -> CompiledTemplate:
    return compile_template(Channel.EMAIL, subject=subject, html=html, text=text)


def sms(text: str) -> CompiledTemplate:
    return compile_template(Channel.SMS, subject=None, html=None, text=text)


def shown(template: CompiledTemplate, merge: Mapping[str, Any] | None = None) -> dict[str, str]:
    return template.skeleton.fill(template.render(merge or {}, context()))


def refused(text: str) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        sms(text)
    return caught.value


class TestFastPath:
    """What is filled in equals what plain Liquid renders."""

    SOURCES = st.lists(
        st.sampled_from(
            [
                "Hello ",
                "\n",
                "<b>{{ first_name }}</b>",
                "{{ member.first_name }}",
                "{{ member.first_name | default: 'a & b' }}",
                '{{ last_name | default: "there" | upcase }}',
                "{{ member.attributes.city }}",
                "{{ attributes.city | default: 'x' }}",
                "{{ member.attributes['two words'] }}",
                "{{ member.total_spend | plus: 1 }}",
                "{{ member.first_name.size }}",
                "{{ client.name }}, {{ client.address | escape }}",
                "{{ unsubscribe_url }}",
                "{% if member.tier == 'elite' %}E {{ first_name }}{% else %}n{% endif %}",
                "{% unless attributes.city %}nowhere{% endunless %}",
                "{% for i in (1..3) %}{{ i }}{{ first_name }}{% endfor %}",
                "{%- if true -%} trimmed {%- endif -%}",
                "{% case member.tier %}{% when 'elite' %}1{% else %}2{% endcase %}",
                "{% assign x = first_name | append: '!' %}",
                "{% if member.tier %}{% assign x = 'inner' %}{% endif %}",
                "{% capture y %}{{ first_name }}{% endcapture %}",
                "{% cycle 'odd', 'even' %}",
                "{% increment n %}",
                "{% raw %}{{ not_a_name }}{% endraw %}",
                "{% comment %}{{ nothing }}{% endcomment %}",
                "{% # a remark %}",
                "{{ 'literal <i>' }}",
                "{% echo first_name | downcase %}",
                "{{ 3 | times: 2 }}",
            ]
        ),
        min_size=1,
        max_size=8,
    ).map("".join)
    VALUES = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.floats(-5, 5),
        st.text(max_size=10),
        st.sampled_from(["<b>", "a&b", "{{ first_name }}", "'\""]),
    )
    MERGE = st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("first_name", "last_name", "total_spend", "tier", "attributes.city"), VALUES
        )
        | {"attributes.two words": VALUES},
    )

    @settings(max_examples=300)
    @given(source=SOURCES, merge=MERGE)
    def test_it_equals_plain_liquid(self, source: str, merge: dict[str, Any]) -> None:
        if not source.strip():
            return
        template = email(source + "<p>", text=source + ".")
        faces = template.skeleton.fill(template.render(merge, context(open_url=None)))

        assert faces["html"] == HTML.from_string(source + "<p>").render(**plain(merge))
        assert faces["text"] == TEXT.from_string(source + ".").render(**plain(merge))

    def test_a_plain_field_is_one_hole(self) -> None:
        [face] = sms("Hi {{ first_name | default: 'you' }}, {{ client.name }}!").skeleton.faces
        assert face.parts == ("Hi ", ", ", "!")

    def test_a_block_is_one_hole(self) -> None:
        [face] = sms("a{% if tier == 'elite' %}b{{ tier }}{% else %}c{% endif %}d").skeleton.faces
        assert face.parts == ("a", "d")

    @pytest.mark.parametrize(
        "state",
        [
            "{% assign x = 1 %}",
            "{% if tier %}{% assign x = 1 %}{% endif %}",
            "{% capture x %}1{% endcapture %}",
            "{% cycle 'a', 'b' %}",
            "{% increment x %}",
            "{% liquid\n assign x = 1\n echo x %}",
        ],
    )
    def test_a_face_that_keeps_state_is_one_hole(self, state: str) -> None:
        [face] = sms(f"a {state} b {{{{ first_name }}}}").skeleton.faces
        assert face.parts == ("", "")

    def test_values_are_plain_text(self) -> None:
        """Markup would escape whatever is added to it."""
        template = email("{{ first_name }}{% if tier %}{{ tier }}{% endif %}{{ unsubscribe_url }}")
        values = template.render({"first_name": "<a>", "tier": "<b>"}, context())
        assert {type(value) for value in values} == {str}
        assert Markup not in map(type, values)

    def test_holes_are_numbered_through_all_faces(self) -> None:
        template = email("<p>{{ first_name }}", subject="S {{ last_name }}", text="T {{ tier }}")
        values = template.render({"first_name": "F", "last_name": "L", "tier": "T"}, context())
        assert [face.name for face in template.skeleton.faces] == ["subject", "html", "text"]
        assert [value for value in values if "<img" not in value] == ["L", "F", "T"]


class TestNames:
    def test_the_fields_read_are_listed_in_order(self) -> None:
        template = email(
            "{{ member.first_name }} {{ attributes.city }} <a href='https://x/{{ tier }}'>x</a>",
            subject="{{ last_name }} {{ member.first_name }}",
        )
        assert template.fields == ("last_name", "first_name", "attributes.city", "tier")

    @pytest.mark.parametrize(
        ("text", "line", "column", "near"),
        [
            ("Hi {{ member.frist_name }}", 1, 7, "member.first_name"),
            ("a\nb\n  {{ fist_name }}", 3, 6, "first_name"),
            ("{{ client.nam }}", 1, 4, "client.name"),
            ("{{ first_name | upcas }}", 1, 17, "upcase"),
            ("{% iff tier %}{% endif %}", 1, 4, "if"),
            ("{% if tier == teir %}{% endif %}", 1, 15, "tier"),
            ("{{ first_name | default: lastname }}", 1, 26, "last_name"),
        ],
    )
    def test_an_unknown_name_is_refused_with_its_place_and_the_nearest(
        self, text: str, line: int, column: int, near: str
    ) -> None:
        error = refused(text)
        assert (error.line, error.column, error.field) == (line, column, "text")
        assert near in str(error.remedy)
        assert f"line {line}, column {column}" in str(error)

    @pytest.mark.parametrize(
        "text",
        [
            "{{ member }}",
            "{{ member.attributes }}",
            "{{ member[first_name] }}",
            "{{ member.first_name.upper }}",
            "{{ member.password }}",
            "{{ client }}",
            "{{ client.id }}",
            "{{ unsubscribe_url.x }}",
            "{{ _click[0] }}",
            "{{ _open }}",
            "{{ forloop.index }}",
        ],
    )
    def test_no_other_path_leads_anywhere(self, text: str) -> None:
        assert "unknown variable" in str(refused(text))

    def test_which_fields_are_allowed_can_be_narrowed(self) -> None:
        given = {"subject": None, "html": None}
        compile_template(Channel.SMS, **given, text="{{ tier }}", fields_allowed={"tier"})
        for text in ("{{ first_name }}", "{{ attributes.city }}"):
            with pytest.raises(TemplateError):
                compile_template(Channel.SMS, **given, text=text, fields_allowed={"tier"})

    @pytest.mark.parametrize(
        ("channel", "field"),
        [(Channel.EMAIL, "subject"), (Channel.PUSH, "subject"), (Channel.SMS, "text")],
    )
    def test_a_missing_face_is_named(self, channel: Channel, field: str) -> None:
        with pytest.raises(TemplateError) as caught:
            compile_template(channel, subject=" ", html=None, text="" if field == "text" else "x")
        assert caught.value.field == field

    def test_each_channel_has_its_faces(self) -> None:
        push = compile_template(Channel.PUSH, subject="T", html=None, text="B")
        plain = compile_template(Channel.EMAIL, subject="S", html=None, text="B")
        assert shown(push) == {"title": "T", "body": "B"}
        assert shown(sms("B")) == {"body": "B"}
        assert shown(plain) == {"subject": "S", "text": "B"}


class TestLinks:
    def test_links_are_tracked_by_position(self) -> None:
        template = email(
            "<a href=\"https://x.test/?a=1&amp;b=2\">1</a> <A class=c HREF='http://y.test'>2</A>"
        )
        assert template.links == ("https://x.test/?a=1&b=2", "http://y.test")
        html = shown(template)["html"]
        assert '<a href="https://ex.test/c/0">1</a>' in html
        assert "HREF='https://ex.test/c/1'" in html

    @pytest.mark.parametrize(
        "href", ["mailto:a@b.c", "tel:+1", "#top", "", "{{ unsubscribe_url }}", "javascript:x"]
    )
    def test_what_is_no_page_is_left_alone(self, href: str) -> None:
        assert email(f'<a href="{href}">x</a>').links == ()

    def test_links_in_blocks_are_tracked(self) -> None:
        template = email(
            "{% if tier == 'elite' %}<a href='https://a.test'>a</a>"
            "{% else %}<a href='https://b.test'>b</a>{% endif %}"
        )
        assert template.links == ("https://a.test", "https://b.test")
        assert "/c/0" in shown(template, {"tier": "elite"})["html"]
        assert "/c/1" in shown(template)["html"]

    def test_a_link_may_be_made_of_values(self) -> None:
        template = email('<a href="https://x.test/{{ attributes.city | url_encode }}?a=b">x</a>')
        [link] = template.links
        assert link_url(link, {"attributes.city": "a b"}, context()) == "https://x.test/a+b?a=b"

    def test_a_link_made_of_a_loop_variable_stays_as_it_is(self) -> None:
        template = email(
            "{% assign ids = 'a,b' | split: ',' %}"
            "{% for i in ids %}<a href='https://x.test/{{ i }}'>x</a>{% endfor %}"
        )
        assert template.links == ()
        assert "https://x.test/b" in shown(template)["html"]

    def test_liquid_inside_a_tag_misleads_nobody(self) -> None:
        template = email(
            "<a {% if total_spend > 1 %}class='big'{% endif %} href='https://x.test'>x</a>"
            "{% comment %}<a href='https://no.test'>{% endcomment %}"
            "{% raw %}<a href='https://raw.test'>{% endraw %}"
        )
        assert template.links == ("https://x.test",)

    @pytest.mark.parametrize("value", ["javascript:alert(1)", "data:x", "//x.test", "x", ""])
    def test_a_value_cannot_lead_anywhere_but_to_a_page(self, value: str) -> None:
        with pytest.raises(TemplateRenderError):
            link_url("{{ attributes.url }}", {"attributes.url": value}, context())

    def test_a_link_is_safe_in_a_header(self) -> None:
        url = link_url(
            "https://x.test/{{ attributes.x }}", {"attributes.x": "é\r\nSet-Cookie: a=b"}, context()
        )
        assert url.isascii()
        assert "\r" not in url
        assert "\n" not in url

    def test_the_open_pixel_is_the_last_thing_in_the_body(self) -> None:
        html = shown(email("<html><body><p>x</p></BODY></html>"))["html"]
        assert html.startswith('<html><body><p>x</p><img src="https://ex.test/o/1.gif"')
        assert html.endswith("></BODY></html>")

    def test_without_open_url_there_is_no_pixel(self) -> None:
        template = email("<p>x</p>")
        values = template.render({}, context(open_url=None))
        assert template.skeleton.fill(values)["html"] == "<p>x</p>"

    def test_whether_one_can_unsubscribe_is_known(self) -> None:
        assert email('<a href="{{ unsubscribe_url }}">bye</a>').has_unsubscribe
        assert email("{% if tier %}{{ unsubscribe_url }}{% endif %}").has_unsubscribe
        assert not email("<p>unsubscribe_url</p>").has_unsubscribe


class TestText:
    def test_a_text_is_made_of_the_html_with_liquid_in_place(self) -> None:
        template = email(
            "<style>p{}</style><h1>Hi {{ first_name | default: 'a_b' }}</h1>"
            "<table>{% for i in (1..2) %}<tr><td>row {{ i }}</td></tr>{% endfor %}</table>"
            '<a href="{{ unsubscribe_url }}">Bye</a>',
            text=None,
        )
        text = shown(template)["text"]
        assert "Hi a_b" in text
        assert "row 1" in text
        assert "row 2" in text
        assert "[Bye](https://ex.test/u/1?a=1&b=2)" in text
        assert "p{}" not in text

    def test_a_text_is_not_escaped_and_html_is(self) -> None:
        faces = shown(email("{{ first_name }}", text="{{ first_name }}"), {"first_name": "<b>&"})
        assert faces["html"].startswith("&lt;b&gt;&amp;")
        assert faces["text"] == "<b>&"

    def test_no_filter_gets_round_the_escaping(self) -> None:
        with pytest.raises(TemplateError):
            email("{{ first_name | safe }}")


def plain(merge: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables as a plain Liquid program would be given them."""
    member = {name: value for name, value in merge.items() if "." not in name}
    attributes = {name.partition(".")[2]: value for name, value in merge.items() if "." in name}
    return {
        **member,
        "attributes": attributes,
        "member": {**member, "attributes": attributes},
        "client": CLIENT,
        "unsubscribe_url": context().unsubscribe_url,
    }
