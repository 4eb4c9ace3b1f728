"""Mirrors campaigns/template.py."""

import pytest
from sqlalchemy import select

from campaigns.errors import NameTakenError, TemplateNotFoundError
from campaigns.template import (
    Template,
    create_template,
    latest_version,
    load_content,
    new_version,
    versions,
)
from channels.channel import Channel
from channels.template import TemplateError
from communications.link import Link
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.errors import InvalidError

HTML = """<p>Hello {{ member.first_name | default: "friend" }} in {{ member.attributes.city }}</p>
<a href="https://shop.example/guide">Guide</a> <a href="https://shop.example/{{ tier }}">Yours</a>
<a href="{{ unsubscribe_url }}">Unsubscribe</a>"""


def test_a_template_has_its_first_version_with_fields_and_links(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    template_id = email(sessions, clock, client_id, subject="Hi {{ last_name }}", html=HTML)

    with read(sessions) as session:
        version = latest_version(session, client_id, template_id)
        links = session.scalars(
            select(Link.url).where(Link.template_version_id == version.id).order_by(Link.position)
        ).all()

    assert version.number == 1
    assert version.fields == ["last_name", "first_name", "attributes.city", "tier"]
    assert links == ["https://shop.example/guide", "https://shop.example/{{ tier }}"]


def test_an_email_without_a_text_gets_one_from_its_html(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    template_id = email(sessions, clock, client_id, html=HTML)

    with read(sessions) as session:
        version = latest_version(session, client_id, template_id)

    assert 'Hello {{ member.first_name | default: "friend" }}' in version.text
    assert "<p>" not in version.text


def test_an_unknown_variable_is_refused_with_its_place_and_nothing_is_stored(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with pytest.raises(TemplateError) as caught:
        email(sessions, clock, client_id, html="<p>Hello\n {{ member.frist_name }}</p>")

    assert (caught.value.field, caught.value.line) == ("html", 2)
    assert "first_name" in (caught.value.remedy or "")
    with read(sessions) as session:
        assert session.scalars(select(Template)).all() == []


def test_an_attribute_with_a_quotation_mark_is_refused(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with pytest.raises(TemplateError, match="quotation mark"):
        email(sessions, clock, client_id, html="{{ member.attributes['a\"b'] }}")


@pytest.mark.parametrize("channel", ["sms", "push", "email"])
def test_a_template_without_words_is_refused(
    sessions: Sessions, clock: ManualClock, client_id: int, channel: str
) -> None:
    with pytest.raises(TemplateError), write(sessions) as session:
        create_template(
            session, clock, client_id=client_id, name="Empty", channel=channel, text=" "
        )


def test_an_unknown_channel_is_refused_with_the_nearest(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with pytest.raises(InvalidError) as caught, write(sessions) as session:
        create_template(
            session, clock, client_id=client_id, name="Mail", channel="e-mail", text="Hi"
        )

    assert caught.value.field == "channel"
    assert "email" in (caught.value.remedy or "")


def test_two_templates_of_one_client_cannot_share_a_name(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    email(sessions, clock, client_id)

    with pytest.raises(NameTakenError):
        email(sessions, clock, client_id)


def test_a_new_version_leaves_the_old_one_as_it_was(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    template_id = email(sessions, clock, client_id, subject="One")

    with write(sessions) as session:
        new_version(
            session, clock, client_id=client_id, template_id=template_id, subject="Two", html=HTML
        )

    with read(sessions) as session:
        stored = [(v.number, v.subject) for v in versions(session, client_id, template_id)]
        assert stored == [(2, "Two"), (1, "One")]
        assert latest_version(session, client_id, template_id).number == 2


def test_a_template_of_another_client_does_not_exist(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    template_id = email(sessions, clock, client_id)

    with read(sessions) as session, pytest.raises(TemplateNotFoundError):
        latest_version(session, client_id + 1, template_id)
    with write(sessions) as session, pytest.raises(TemplateNotFoundError):
        new_version(
            session, clock, client_id=client_id + 1, template_id=template_id, subject="x", text="x"
        )


def test_the_loader_gives_the_wording_and_the_clients_name(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    template_id = email(sessions, clock, client_id, subject="One", html=HTML)

    with read(sessions) as session:
        version = latest_version(session, client_id, template_id)
        content = load_content(session, version.id)

    assert (content.client_id, content.channel) == (client_id, Channel.EMAIL)
    assert (content.subject, content.html, content.text) == ("One", HTML, version.text)
    assert content.client == {"name": "Elevate", "address": None}


def email(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    *,
    subject: str = "Hello",
    html: str = "<p>Hello</p>",
) -> int:
    with write(sessions) as session:
        return create_template(
            session,
            clock,
            client_id=client_id,
            name="Gift guide",
            channel="email",
            subject=subject,
            html=html,
        ).id
