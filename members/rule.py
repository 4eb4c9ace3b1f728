"""Rules: a condition as the WHERE clause over members that it means.

members/match.py answers the same for one member in memory; a property test holds the two equal.
Whatever a member does not have matches `is not set` and `!=`, and no other comparison.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    and_,
    exists,
    not_,
    or_,
    select,
    true,
    type_coerce,
)
from sqlalchemy.orm import Session

from core.condition.ast import (
    ATTRIBUTES,
    FIELDS,
    And,
    Compare,
    Condition,
    Consented,
    Everyone,
    HasTag,
    InSegment,
    Kind,
    Not,
    Or,
    Reachable,
)
from core.condition.check import ConditionError
from core.condition.json import from_json
from members.address import AddressState, MemberAddress
from members.comparison import attribute, compared
from members.consent import ConsentState, CurrentConsent
from members.member import Member, MemberTag
from members.segment import Segment, SegmentKind, SegmentMember
from members.suppression import Scope, Suppression

M = Member
MAX_SEGMENT_DEPTH = 8


def compile_rule(
    session: Session, condition: Condition, *, client_id: int, now: datetime
) -> ColumnElement[bool]:
    """Return the WHERE clause over `members` that a condition means for one client.

    Tags, consent and addresses become uncorrelated `members.id IN (SELECT …)`, which both databases
    answer from an index once (LIBS 3). It does not scope to the client: the caller's query does.
    Raises ConditionError for a segment that does not exist or contains itself.
    """
    return _Compiler(session, client_id, now).where(condition)


@dataclass(frozen=True, slots=True)
class _Compiler:
    session: Session
    client_id: int
    now: datetime
    inside: tuple[str, ...] = ()

    def where(self, condition: Condition) -> ColumnElement[bool]:
        match condition:
            case Everyone():
                return true()
            case And(items=items):
                return and_(*[self.where(item) for item in items])
            case Or(items=items):
                return or_(*[self.where(item) for item in items])
            case Not(item=item):
                return not_(self.where(item))
            case Compare():
                return self._compare(condition)
            case _:
                return self._membership(condition)

    def _membership(self, condition: Condition) -> ColumnElement[bool]:
        match condition:
            case HasTag(tag=tag):
                query = select(MemberTag.member_id).where(
                    MemberTag.client_id == self.client_id, MemberTag.tag == tag
                )
                return M.id.in_(query)
            case Consented(channel=channel, topic=topic):
                query = select(CurrentConsent.member_id).where(
                    CurrentConsent.client_id == self.client_id,
                    CurrentConsent.channel == channel,
                    CurrentConsent.topic == topic,
                    CurrentConsent.state == ConsentState.GRANTED,
                )
                return M.id.in_(query)
            case Reachable(channel=channel):
                return M.id.in_(reachable(self.client_id, channel))
            case InSegment(name=name):
                return self._segment(name)
            case _:
                raise AssertionError(condition)

    def _segment(self, name: str) -> ColumnElement[bool]:
        if name in self.inside or len(self.inside) >= MAX_SEGMENT_DEPTH:
            raise ConditionError(f"the segment “{name}” contains itself")
        segment = self.session.scalar(
            select(Segment).where(
                Segment.client_id == self.client_id,
                Segment.name == name,
                Segment.deleted_at.is_(None),
            )
        )
        if segment is None:
            raise ConditionError(f"there is no segment “{name}”", remedy="create it first")
        if segment.kind is SegmentKind.STATIC:
            members = select(SegmentMember.member_id).where(SegmentMember.segment_id == segment.id)
            return M.id.in_(members)
        inner = _Compiler(self.session, self.client_id, self.now, (*self.inside, name))
        return inner.where(from_json(segment.rule))

    def _compare(self, compare: Compare) -> ColumnElement[bool]:
        if compare.field.startswith(ATTRIBUTES):
            return attribute(self.session, compare)
        column = getattr(M, compare.field)
        kind = FIELDS[compare.field]
        if kind is Kind.TEXT:
            # Enumerations are compared as the text they are stored as.
            column = type_coerce(column, String)
        return compared(column, compare, self.now, kind)


def reachable(client_id: int, channel: str) -> Select[int]:
    """Return the ids of members with an address on a channel that can be written to at all."""
    suppressed = exists().where(
        Suppression.client_id == client_id,
        Suppression.channel == channel,
        Suppression.address_hash == MemberAddress.hash,
        Suppression.scope == Scope.ALL,
    )
    return select(MemberAddress.member_id).where(
        MemberAddress.client_id == client_id,
        MemberAddress.channel == channel,
        MemberAddress.is_primary,
        MemberAddress.state == AddressState.ACTIVE,
        ~suppressed,
    )
