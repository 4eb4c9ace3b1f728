"""Mirrors channels/template.py and channels/liquid.py: B001 to B010 of the test plan."""

import time

import pytest

from channels.template import TemplateRenderError
from tests.channels.test_template import context, refused, shown, sms

SLOW = 2.0
"""CPU seconds no refusal may take, coverage and all; the attacks below run for minutes if let."""


class TestBadInput:
    """B001 to B010 of the test plan."""

    @pytest.mark.parametrize("text", ["${7*7}", "<%= 7*7 %>", "#{7*7}", "{7*7}", "%7B%7B7*7%7D%7D"])
    def test_b001_other_languages_are_literal_text(self, text: str) -> None:
        assert shown(sms(text)) == {"body": text}

    def test_b001_there_is_no_arithmetic(self) -> None:
        assert refused("{{ 7*7 }}").line == 1

    @pytest.mark.parametrize(
        "text",
        [
            "{{ ''.__class__.__mro__ }}",
            "{{ member.__class__ }}",
            "{{ first_name.__class__ }}",
            "{{ member['__init__'] }}",
        ],
    )
    def test_b002_python_is_out_of_reach(self, text: str) -> None:
        assert refused(text).column is not None

    @pytest.mark.parametrize("name", ["config", "request", "self", "env.DATABASE_URL", "settings"])
    def test_b003_b004_nothing_of_ours_has_a_name(self, name: str) -> None:
        assert "unknown variable" in str(refused(f"{{{{ {name} }}}}"))

    @pytest.mark.parametrize(
        "text", ["{{ 'HOME' | env }}", "{% include 'x' %}", "{% render 'x' %}", "{% layout 'x' %}"]
    )
    def test_b004_b007_nothing_reads_from_outside(self, text: str) -> None:
        assert "unknown" in str(refused(text))

    @pytest.mark.parametrize(
        "text",
        [
            "{{ (1..20000000) | join: '' }}",
            "{% assign r = (1..20000000) %}{{ r | join: '' }}",
            "{{ 'a' " + "| replace: 'a','aaaaaaaaaa' " * 8 + "}}",
            "{{ 'a' " + "| replace: '','aaaaaaaaaa' " * 8 + "}}",
            "{% assign x = 'aaaaaaaaaa' %}" + "{% assign x = x | append: x %}" * 30 + "{{ x }}",
            "{% capture x %}aaaaaaaaaa{% endcapture %}"
            + "{% capture x %}{{ x }}{{ x }}{% endcapture %}" * 30,
            "{% assign x = 'a,b' | split: ',' %}" + "{% assign x = x | concat: x %}" * 30,
            "{% assign g = 'a' " + "| append: 'aaaaaaaaaa' " * 20 + "%}"
            "{% assign g = g " + "| replace: 'a','aaaaaaaaaa' " * 3 + "%}"
            "{{ (1..9999) | join: g }}",
            "{% for i in (1..10000) %}{% for j in (1..10000) %}{% endfor %}{% endfor %}",
            "{% for i in (1..2000000000) reversed %}{% endfor %}",
            "{% for i in (1..2000000000) limit: 20000 %}{% endfor %}",
            "{% for i in (1..9000) %}x{% endfor %}" * 50,
            "{% tablerow i in (1..1000000) cols:2 %}x{% endtablerow %}",
            "{% for i in (1..9000) %}" + "x" * 500 + "{% endfor %}",
            "{% assign x = 9 %}{% for i in (1..1000) %}{% assign x = x | times: x %}{% endfor %}",
        ],
    )
    def test_b005_b006_what_grows_without_bound_is_stopped(self, text: str) -> None:
        begun = time.thread_time()
        refused(text)
        assert time.thread_time() - begun < SLOW

    @pytest.mark.parametrize(
        "text",
        [
            "{{" * 10_000,
            "{{" * 10_000 + "}}" * 10_000,
            "{% if tier %}" * 10_000,
            "{% if tier %}" * 200 + "{% endif %}" * 200,
            "x" * 5_000_000,
            "{{ a }}" * 800_000,
            "{{" + " " * 400_000 + "}}",
            "{% if" + " " * 1_900 + "%}",
            ("{{ x" + " " * 99 + "}}") * 5_000,
            "{% raw %}" * 50_000,
            "{% doc %}" * 50_000,
            "{% comment %}" * 40_000,
            "{{ first_name" + "[first_name" * 150 + "]" * 150 + " }}",
            "{% if " + "tier and " * 200 + "tier %}x{% endif %}{{ y }}",
        ],
    )
    def test_b008_what_is_too_deep_or_too_long_is_refused_at_once(self, text: str) -> None:
        begun = time.thread_time()
        refused(text)
        assert time.thread_time() - begun < SLOW

    @pytest.mark.parametrize("text", ["%mautic.db_password%", "${SECRET}", "%(secret)s"])
    def test_b009_no_setting_is_put_in(self, text: str) -> None:
        assert shown(sms(text)) == {"body": text}

    @pytest.mark.parametrize(
        "source", ["{{ first_name }}", "{% if true %}{{ first_name }}{% endif %}"]
    )
    def test_b010_a_value_is_never_a_template(self, source: str) -> None:
        value = "{{ unsubscribe_url }}{% if true %}x{% endif %}"
        assert shown(sms(source), {"first_name": value}) == {"body": value}

    @pytest.mark.parametrize("word", ["now", "today"])
    def test_a_message_renders_the_same_next_year(self, word: str) -> None:
        assert "present date" in str(refused(f"{{{{ '{word}' | date: '%Y' }}}}"))
        template = sms("{{ attributes.day | date: '%Y' }}")
        with pytest.raises(TemplateRenderError):
            template.render({"attributes.day": word}, context())

    def test_a_value_that_cannot_be_rendered_spoils_its_own_message_only(self) -> None:
        template = sms(
            "{% if total_spend %}{{ attributes.n | divided_by: total_spend }}{% endif %}"
        )
        with pytest.raises(TemplateRenderError):
            template.render({"attributes.n": 6, "total_spend": 0}, context())
        assert shown(template, {"attributes.n": 6, "total_spend": 3}) == {"body": "2"}

    def test_what_fails_for_a_member_with_nothing_filled_in_is_refused(self) -> None:
        assert "divide by 0" in str(refused("{{ attributes.n | divided_by: total_spend }}"))

    def test_an_attribute_may_be_a_number_or_a_text(self) -> None:
        sms("{% if attributes.points > 100 %}much{% endif %}")
        sms("{% if attributes.city contains 'B' %}B{% endif %}")
