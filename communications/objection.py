"""Objection: who wants no more messages or calls them spam, with proof, and what still left."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select, tuple_
from sqlalchemy.orm import Session, aliased

from channels.adapter import EventType
from communications.communication import Communication, Direction, MessageType
from communications.event import CommunicationEvent, EventState
from members.consent import Consent, ConsentState

C, E = Communication, CommunicationEvent
Yes = aliased(Consent)


@dataclass(frozen=True, slots=True)
class OptOut:
    """One withdrawal of consent, whichever way it came."""

    id: int
    member_id: int
    channel: str
    topic: str
    source: str
    """`unsubscribe`, `one_click`, `stop`, `api`, `import:12`, …"""
    proof: dict[str, Any]
    occurred_at: datetime
    """When it was said."""
    recorded_at: datetime
    """When we knew."""
    sent_after: int
    """Marketing messages on that channel that left after we knew and before the member agreed
    again: none, unless on the wire."""


@dataclass(frozen=True, slots=True)
class SpamReport:
    """One complaint of a person to their mailbox provider, or about a number."""

    id: int
    communication_id: int | None
    member_id: int | None
    campaign_id: int | None
    channel: str | None
    source: str
    detail: str | None
    occurred_at: datetime
    received_at: datetime


def opt_outs_page(
    session: Session, client_id: int, *, before: int | None = None, limit: int = 50
) -> list[OptOut]:
    """Return up to `limit` withdrawals of consent, newest first, older than id `before`."""
    after = (
        select(func.count())
        .select_from(C)
        .where(
            C.client_id == Consent.client_id,
            C.member_id == Consent.member_id,
            C.channel == Consent.channel,
            C.direction == Direction.OUTBOUND,
            C.message_type == MessageType.MARKETING,
            C.sent_at > Consent.created_at,
            ~_agreed_again(),
        )
        .scalar_subquery()
    )
    query = select(Consent, after).where(
        Consent.client_id == client_id, Consent.state == ConsentState.WITHDRAWN
    )
    if before is not None:
        query = query.where(Consent.id < before)
    return [
        OptOut(
            id=said.id,
            member_id=said.member_id,
            channel=said.channel,
            topic=said.topic,
            source=said.source,
            proof=said.proof,
            occurred_at=said.occurred_at,
            recorded_at=said.created_at,
            sent_after=sent,
        )
        for said, sent in session.execute(query.order_by(Consent.id.desc()).limit(limit))
    ]


def _agreed_again() -> ColumnElement[bool]:
    """Return whether a later yes was known when a message left."""
    return (
        exists()
        .where(
            Yes.client_id == Consent.client_id,
            Yes.member_id == Consent.member_id,
            Yes.channel == Consent.channel,
            Yes.topic == Consent.topic,
            Yes.state == ConsentState.GRANTED,
            tuple_(Yes.occurred_at, Yes.id) > tuple_(Consent.occurred_at, Consent.id),
            Yes.created_at <= C.sent_at,
        )
        .correlate(Consent, C)
    )


def spam_reports_page(
    session: Session, client_id: int, *, before: int | None = None, limit: int = 50
) -> list[SpamReport]:
    """Return up to `limit` complaints, newest first, older than id `before`."""
    query = (
        select(
            E.id,
            E.communication_id,
            C.member_id,
            C.campaign_id,
            C.channel,
            E.source,
            E.detail,
            E.occurred_at,
            E.received_at,
        )
        .outerjoin(C, C.id == E.communication_id)
        .where(
            E.client_id == client_id,
            E.type == EventType.COMPLAINED,
            E.state != EventState.PARKED,
        )
    )
    if before is not None:
        query = query.where(E.id < before)
    rows = session.execute(query.order_by(E.id.desc()).limit(limit))
    return [SpamReport(*row) for row in rows]
