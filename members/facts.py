"""Facts: everything conditions can ask about, of one member, loaded at once."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.condition.ast import CHANNELS, FIELDS, Condition, Did, InSegment, Messaged, each_leaf
from core.rows import among
from members.address import MemberAddress
from members.consent import ConsentState, CurrentConsent
from members.event import Event
from members.identity import EXTERNAL as ELSEWHERE
from members.identity import identities
from members.match import Happened, MemberFacts
from members.member import Member, MemberTag
from members.messages import messages_of
from members.rule import compile_rule, reachable


def facts_of(
    session: Session, member: Member, condition: Condition, *, now: datetime
) -> MemberFacts:
    """Return what a condition can ask about a member: events and messages only if it does.

    Raises ConditionError for a segment that does not exist or contains itself.
    """
    leaves = list(each_leaf(condition))
    owned = {"client_id": member.client_id, "member_id": member.id}
    names = sorted({leaf.event for leaf in leaves if isinstance(leaf, Did)})
    asks_messages = any(isinstance(leaf, Messaged) for leaf in leaves)
    return MemberFacts(
        fields={name: _plain(getattr(member, name)) for name in FIELDS},
        attributes=member.attributes,
        external=_external(session, member),
        tags=frozenset(session.scalars(select(MemberTag.tag).filter_by(**owned))),
        consents=_consents(session, member),
        reachable=_reachable(session, member),
        segments=frozenset(
            leaf.name
            for leaf in set(leaves)
            if isinstance(leaf, InSegment) and is_meant(session, member, leaf, now=now)
        ),
        events=_events(session, member, names) if names else (),
        messages=messages_of(session, **owned) if asks_messages else (),
        id=member.id,
    )


def is_meant(session: Session, member: Member, condition: Condition, *, now: datetime) -> bool:
    """Say whether a condition means a member, as the database answers it."""
    rule = compile_rule(session, condition, client_id=member.client_id, now=now)
    query = select(Member.id).where(
        Member.client_id == member.client_id, Member.id == member.id, rule
    )
    return session.scalar(query) is not None


def _plain(value: object) -> object:
    return value.value if isinstance(value, StrEnum) else value


def _external(session: Session, member: Member) -> dict[str, frozenset[str]]:
    names = identities(session, client_id=member.client_id, member_id=member.id)
    found: dict[str, set[str]] = {}
    for name in names:
        if name.kind.startswith(ELSEWHERE):
            found.setdefault(name.kind.removeprefix(ELSEWHERE), set()).add(name.value)
    return {system: frozenset(values) for system, values in found.items()}


def _consents(session: Session, member: Member) -> frozenset[tuple[str, str]]:
    query = select(CurrentConsent.channel, CurrentConsent.topic).where(
        CurrentConsent.client_id == member.client_id,
        CurrentConsent.member_id == member.id,
        CurrentConsent.state == ConsentState.GRANTED,
    )
    return frozenset((channel, topic) for channel, topic in session.execute(query))


def _reachable(session: Session, member: Member) -> frozenset[str]:
    # Of this member alone: SQLite would list everybody who can be reached first.
    mine = MemberAddress.member_id == member.id
    return frozenset(
        channel
        for channel in CHANNELS
        if session.scalar(reachable(member.client_id, channel).where(mine)) is not None
    )


def _events(session: Session, member: Member, names: list[str]) -> tuple[Happened, ...]:
    query = (
        select(Event.name, Event.occurred_at, Event.amount, Event.properties)
        .where(
            Event.client_id == member.client_id,
            Event.member_id == member.id,
            among(session, Event.name, names),
        )
        .order_by(Event.occurred_at)
    )
    return tuple(Happened(*row) for row in session.execute(query))
