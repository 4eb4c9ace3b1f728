"""Mirrors channels/wording.py: B019, B023, B086 and B088 of the test plan."""

import pytest

from channels.channel import Channel
from channels.template import TemplateError, compile_template
from channels.wording import MAX_SMS, refuse
from core.lines import line_break


def saved(
    channel: Channel, subject: str | None = None, html: str | None = None, text: str | None = None
) -> None:
    """What saving a wording does."""
    compiled = compile_template(channel, subject=subject, html=html, text=text)
    refuse(compiled.skeleton, subject=subject, html=html, text=text)


def email(html: str, *, subject: str = "Hi", text: str | None = None) -> None:
    saved(Channel.EMAIL, subject, html, text)


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " java\tscript:alert(1)",
        "java\nscript:alert(1)",
        "\x01javascript:alert(1)",
        "java&#x73;cript:alert(1)",
        "&#106;avascript&colon;alert(1)",
        "jav&Tab;ascript:alert(1)",
        "java{{ first_name }}script:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "intent://x",
    ],
)
@pytest.mark.parametrize(
    "html",
    [
        '<a href="{}">x</a>', "<a/href='{}'>x</a>", '<AREA shape=x HREF = "{}">x',
        '<svg><a xlink:href="{}">x</a></svg>', '<form action="{}">x</form>',
        '<button type=submit formaction="{}">x</button>',
    ],
)  # fmt: skip
def test_b019_a_link_that_is_no_page_or_address_is_refused_with_its_place(
    html: str, link: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        email(f"<p>x</p>\n{html.format(link)}")
    assert (caught.value.field, caught.value.line) == ("html", 2)
    assert "https:" in str(caught.value.remedy)


@pytest.mark.parametrize(
    "link",
    [
        "https://x.test/a:b?c=javascript:d", "HTTP://x.test", "mailto:a@b.co", "tel:+1", "sms:+1",
        "#top", "", "/path:x", "?a=b:c", "//x.test:80/", "{{ unsubscribe_url }}",
        "{{ attributes.url }}", "{{ attributes.base }}:8080/x", "https://x.test/{{ first_name }}",
    ],
)  # fmt: skip
def test_b019_other_links_stay(link: str) -> None:
    email(f'<p>x</p><a href="{link}">x</a>')


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_b023_a_subject_is_one_line(end: str) -> None:
    with pytest.raises(TemplateError) as caught:
        email("<p>x</p>", subject=f"Hi{end}Bcc: x@y.co")
    assert (caught.value.field, caught.value.column) == ("subject", 3)
    with pytest.raises(TemplateError):
        saved(Channel.PUSH, subject=f"Hi{end} folded", text="x")
    assert line_break(f"Hi{end}") == 2
    assert line_break("Hi") is None


def test_b023_liquid_may_stand_on_several_lines_and_what_looks_encoded_is_text() -> None:
    email("<p>x</p>", subject="\nHi {{ first_name\n| upcase }}%0d%0aBcc: x ")


def test_b086_a_text_message_is_no_longer_than_providers_take() -> None:
    block = "{% if tier == 'elite' %}" + "a" * 1_000 + "{% else %}" + "b" * 1_000 + "{% endif %}"
    for text in ("a" * MAX_SMS, "🎁" * MAX_SMS, block):
        saved(Channel.SMS, text=text)
    for text in ("a" * (MAX_SMS + 1), "e" + "\u0301" * MAX_SMS, "a" * MAX_SMS + "{{ tier }}b"):
        with pytest.raises(TemplateError) as caught:
            saved(Channel.SMS, text=text)
        assert caught.value.field == "text"
    email("<p>" + "a" * 5_000)


@pytest.mark.parametrize(
    "html", ["<p> </p>", "<img src='https://x.test/a.png' alt='A'>", "<p>&nbsp;</p><br>", "<b></b>"]
)
def test_b088_an_email_says_something_in_words(html: str) -> None:
    with pytest.raises(TemplateError) as caught:
        email(html)
    assert caught.value.field == "html"
    with pytest.raises(TemplateError):
        email(html, text=" ")
    email(html, text="In words")
    email(html + "{{ first_name }}")


def test_much_of_it_takes_no_time() -> None:
    """Linear, whatever is opened and not closed."""
    for piece in (' href="', " href='x", " href=x:", " action=", '<a href="&#106;'):
        with pytest.raises(TemplateError):
            email("<p>x</p>" + piece * (400_000 // len(piece)) + '" <a href="x:y">')
