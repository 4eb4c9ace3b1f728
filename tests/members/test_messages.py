"""Mirrors members/messages.py and members/known.py."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy import select

from campaigns.campaign import Campaign
from campaigns.template import Template, TemplateVersion
from channels.channel import Channel
from communications.communication import Communication, Direction
from communications.status import Status
from core.condition.ast import MESSAGES
from core.condition.text import parse
from core.db import write
from members.known import known_names
from members.member import Member
from members.messages import (
    BOUNCED,
    CAMPAIGNS,
    COMMUNICATIONS,
    OUTBOUND,
    TEMPLATES,
    VERSIONS,
    Message,
)
from members.rule import compile_rule
from tests.members.conditions import NOW
from tests.members.population import PERSON, SEGMENTS, fill


@pytest.mark.parametrize(
    ("named", "real"),
    [
        (COMMUNICATIONS, Communication),
        (CAMPAIGNS, Campaign),
        (TEMPLATES, Template),
        (VERSIONS, TemplateVersion),
    ],
)
def test_the_columns_named_here_are_those_of_the_tables(named, real) -> None:
    assert named.name == real.__tablename__
    for column in named.c:
        theirs = real.__table__.c[column.name].type
        assert isinstance(theirs, sa.Enum | type(column.type) | sa.Integer)


def test_the_words_named_here_are_those_of_the_log() -> None:
    assert set(MESSAGES) == {channel.value for channel in Channel}
    assert (Direction.OUTBOUND.value, Status.BOUNCED.value) == (OUTBOUND, BOUNCED)


def count(sessions, client_id, text: str) -> int:
    with sessions() as session:
        where = compile_rule(session, parse(text), client_id=client_id, now=NOW)
        return len(session.scalars(select(Member.id).where(where)).all())


def told(**times: datetime) -> dict:
    return PERSON | {"messages": (Message("email", "sent", "Gift guide", times),)}


def test_whoever_clicked_has_read_and_received_it(sessions, client_id) -> None:
    fill(sessions, client_id, [told(sent_at=NOW), told(clicked_at=NOW), PERSON])

    found = {
        verb: count(sessions, client_id, f'{verb} "Gift guide"')
        for verb in ("was sent", "received", "read", "clicked", "replied", "bounced")
    }

    assert found == {
        "was sent": 2, "received": 1, "read": 1, "clicked": 1, "replied": 0, "bounced": 0
    }  # fmt: skip
    assert count(sessions, client_id, 'was not sent "Gift guide"') == 1
    assert count(sessions, client_id, 'was sent "Gift guide" by sms') == 0


def test_single_messages_are_messages_of_no_campaign(sessions, client_id) -> None:
    single = PERSON | {"messages": (Message("sms", "sent", None, {"sent_at": NOW}),)}
    fill(sessions, client_id, [single, told(sent_at=NOW)])

    assert count(sessions, client_id, "was sent any message") == 2
    assert count(sessions, client_id, "was sent any campaign") == 1


def test_a_failure_that_was_no_bounce_is_none(sessions, client_id) -> None:
    late = datetime(2026, 11, 14, 23, tzinfo=UTC)
    bounced = Message("email", "bounced", None, {"failed_at": late})
    failed = Message("email", "failed", None, {"failed_at": late})
    fill(sessions, client_id, [PERSON | {"messages": (one,)} for one in (bounced, failed)])

    assert count(sessions, client_id, "bounced any message in the last 8 days") == 1
    assert count(sessions, client_id, "bounced any message in the last 7 days") == 0


def test_what_people_wrote_to_us_and_others_clients_log_say_nothing(sessions, client_id) -> None:
    (member_id,) = fill(sessions, client_id, [told(clicked_at=NOW)])
    with sessions() as session:
        other = compile_rule(session, parse("clicked any message"), client_id=9_999, now=NOW)
        assert session.scalars(select(Member.id).where(other)).all() == []
    with write(sessions) as session:
        session.execute(sa.update(Communication).values(direction=Direction.INBOUND))

    assert count(sessions, client_id, "clicked any message") == 0
    assert member_id


def test_a_clients_names_are_known(sessions, client_id) -> None:
    fill(sessions, client_id, [PERSON | {"tags": {"vip"}}])

    with sessions() as session:
        known = known_names(session, client_id=client_id)
        assert (known.tags, known.segments) == ({"vip"}, SEGMENTS.keys())
        assert known.campaigns == {"Gift guide", 'A "b"'}
        assert known.events == set()
        assert known_names(session, client_id=9_999).campaigns == set()
