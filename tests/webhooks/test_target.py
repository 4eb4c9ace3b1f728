"""Mirrors webhooks/target.py."""

import pytest

from communications.communication import Communication
from webhooks.target import resolve


@pytest.fixture
def lead(make, sessions):
    """Resolve a link for a message with given merge values."""

    def resolved(link: str, **merge: str) -> str | None:
        message = make.message(merge=merge)
        with sessions() as session:
            return resolve(session, session.get_one(Communication, message), link)

    return resolved


def test_a_plain_link_leads_where_it_says(lead):
    assert lead("https://shop.example/a?b=1&c=%20#d") == "https://shop.example/a?b=1&c=%20#d"


def test_a_link_is_filled_with_the_messages_own_values(lead):
    link = "https://shop.example/{{ member.attributes.city }}?n={{ first_name }}"
    filled = lead(link, **{"attributes.city": "Bonn", "first_name": "Ana"})
    assert filled == "https://shop.example/Bonn?n=Ana"


def test_a_link_may_name_the_client(lead):
    assert lead("https://x.example/?c={{ client.name }}") == "https://x.example/?c=Elevate"


def test_values_cannot_break_out_of_the_header(lead):
    found = lead("https://x.example/{{ first_name }}", first_name="a\r\nSet-Cookie: x=1\u2028é")
    assert found is not None
    assert found.isascii()
    assert found.isprintable()


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        " java\tscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "//evil.example",
        "/relative",
        "https://",
        "https:///path",
        "https://[::1",
        "",
    ],
)
def test_what_is_no_web_address_leads_nowhere(lead, link):
    """B019, B065."""
    assert lead(link) is None
    assert lead("{{ first_name }}", first_name=link) is None


def test_a_link_that_does_not_render_leads_nowhere(lead):
    assert lead("https://x.example/{{ nonsense }}") is None
    assert lead("https://x.example/{% if %}") is None
