"""Messages: what conditions ask of the communications log.

The log belongs to communications/, a layer above that imports members/. A condition only reads a
few of its columns, so they are named here as bare tables; tests/members/test_messages.py holds the
names to the real tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    String,
    column,
    func,
    literal,
    or_,
    select,
    table,
)
from sqlalchemy.orm import Session

from core.condition.ast import Messaged, Verb
from core.condition.check import ConditionError, nearest
from core.db import UtcDateTime
from members.window import days_of, edges

TIMES = ("sent_at", "delivered_at", "read_at", "clicked_at", "replied_at", "failed_at")
COMMUNICATIONS = table(
    "communications",
    *[
        column(name, BigInteger())
        for name in ("id", "client_id", "member_id", "campaign_id", "template_version_id")
    ],
    *[column(name, String()) for name in ("channel", "direction", "status")],
    *[column(name, UtcDateTime()) for name in TIMES],
)
CAMPAIGNS = table(
    "campaigns",
    column("id", BigInteger()),
    column("client_id", BigInteger()),
    column("name", String()),
)
TEMPLATES = table(
    "templates",
    column("id", BigInteger()),
    column("client_id", BigInteger()),
    column("name", String()),
)
VERSIONS = table(
    "template_versions", column("id", BigInteger()), column("template_id", BigInteger())
)
C = COMMUNICATIONS.c
OUTBOUND = "outbound"
BOUNCED = "bounced"

STAGES = {
    # verb: the times that prove it, the best first; whoever clicks has received, and read
    Verb.SENT: ("sent_at", "delivered_at", "read_at", "clicked_at", "replied_at"),
    Verb.RECEIVED: ("delivered_at", "read_at", "clicked_at", "replied_at"),
    Verb.READ: ("read_at", "clicked_at", "replied_at"),
    Verb.CLICKED: ("clicked_at",),
    Verb.REPLIED: ("replied_at",),
    Verb.BOUNCED: ("failed_at",),
}


@dataclass(frozen=True, slots=True)
class Message:
    """One message to a member, as far as conditions ask about it."""

    channel: str
    status: str
    campaign: str | None
    """The name of its campaign; None for a single message."""
    times: Mapping[str, datetime | None]
    """By the names of TIMES."""
    template: str | None = None
    """The name of what it said."""


def messaged(session: Session, asked: Messaged, *, client_id: int, now: datetime) -> Select[Any]:
    """Return the ids of members with such a message, as a query.

    Raises ConditionError for a campaign or template that the client never had.
    """
    query = select(C.member_id).where(
        C.client_id == client_id, C.direction == OUTBOUND, C.member_id.is_not(None)
    )
    names = STAGES[asked.verb]
    when = func.coalesce(*[C[name] for name in names]) if len(names) > 1 else C[names[0]]
    if asked.days is None:
        query = query.where(when.is_not(None))
    else:
        start, end = edges(asked.days, now)
        query = query.where(
            when >= literal(start, UtcDateTime()), when < literal(end, UtcDateTime())
        )
    if asked.verb is Verb.BOUNCED:
        query = query.where(C.status == BOUNCED)
    if asked.channel is not None:
        query = query.where(C.channel == asked.channel)
    if asked.campaign is True:
        query = query.where(C.campaign_id.is_not(None))
    elif asked.campaign is not None:
        query = query.where(_named(session, asked.campaign, client_id))
    return query


def is_such(message: Message, asked: Messaged, now: datetime) -> bool:
    """Say whether a message is one that the condition asks for."""
    day = day_of(message, asked.verb)
    if day is None or (asked.days is not None and day not in days_of(asked.days, now)):
        return False
    if asked.channel not in (None, message.channel):
        return False
    if asked.campaign is None:
        return True
    if asked.campaign is True:
        return message.campaign is not None
    return asked.campaign in (message.campaign, message.template)


def day_of(message: Message, verb: Verb) -> date | None:
    """Return the day (UTC) on which this became of a message; None when it did not."""
    if verb is Verb.BOUNCED and message.status != BOUNCED:
        return None
    found = [message.times.get(name) for name in STAGES[verb]]
    return next((time.date() for time in found if time is not None), None)


def messages_of(session: Session, *, client_id: int, member_id: int) -> tuple[Message, ...]:
    """Return the messages to one member, oldest first."""
    query = (
        select(
            C.channel,
            C.status,
            CAMPAIGNS.c.name,
            TEMPLATES.c.name.label("template"),
            *[C[name] for name in TIMES],
        )
        .select_from(
            COMMUNICATIONS.outerjoin(CAMPAIGNS, CAMPAIGNS.c.id == C.campaign_id)
            .outerjoin(VERSIONS, VERSIONS.c.id == C.template_version_id)
            .outerjoin(TEMPLATES, TEMPLATES.c.id == VERSIONS.c.template_id)
        )
        .where(C.client_id == client_id, C.member_id == member_id, C.direction == OUTBOUND)
        .order_by(C.id)
    )
    return tuple(
        Message(channel, status, name, dict(zip(TIMES, times, strict=True)), template)
        for channel, status, name, template, *times in session.execute(query)
    )


def message_names(session: Session, *, client_id: int) -> frozenset[str]:
    """Return the names of all campaigns and templates a client has or had."""
    return frozenset(
        name
        for named in (CAMPAIGNS.c, TEMPLATES.c)
        for name in session.scalars(select(named.name).where(named.client_id == client_id))
    )


def _named(session: Session, name: str, client_id: int) -> ColumnElement[bool]:
    """Return that a message is of the campaign, or says the template, of this name.

    Also deleted ones: a rule does not break because a campaign is put away.
    """
    campaigns, templates = (
        session.scalars(
            select(named.id).where(named.client_id == client_id, named.name == name)
        ).all()
        for named in (CAMPAIGNS.c, TEMPLATES.c)
    )
    if not campaigns and not templates:
        known = message_names(session, client_id=client_id)
        raise ConditionError(
            f"there is no campaign or template “{name}”",
            remedy=nearest(name, known) if known else "create it first",
        )
    versions = select(VERSIONS.c.id).where(VERSIONS.c.template_id.in_(templates))
    of_campaign = C.campaign_id.in_(campaigns)
    if not templates:
        return of_campaign
    said = C.template_version_id.in_(versions)
    return or_(of_campaign, said) if campaigns else said
