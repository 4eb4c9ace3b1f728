"""Rules: a condition as the WHERE clause over members that it means.

members/match.py answers the same for one member in memory; a property test holds the two equal.
Whatever a member does not have matches `is not set` and `!=`, and no other comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
    BARE,
    EXTERNAL,
    FIELDS,
    And,
    Compare,
    Condition,
    Consented,
    Did,
    Everyone,
    HasTag,
    InSegment,
    Kind,
    Leaf,
    Lot,
    Measure,
    Messaged,
    Not,
    Op,
    Or,
    Reachable,
    each_leaf,
)
from core.condition.check import ConditionError, nearest
from core.condition.json import from_json
from core.db import is_sqlite
from core.rows import within
from core.sql import estimated_rows
from members.address import AddressState, MemberAddress
from members.comparison import compared, json_compared, plain
from members.consent import ConsentState, CurrentConsent
from members.did import did, did_any, doers
from members.identity import EXTERNAL as ELSEWHERE
from members.identity import Identity
from members.lot import drawn
from members.member import Member, MemberTag
from members.messages import messaged
from members.pin import pinned, with_pins
from members.segment import Pin, Segment, SegmentKind, living, referred
from members.suppression import Scope, Suppression

M = Member
MAX_SEGMENT_DEPTH = 8
FEW = 50_000
"""So many rows of an index are read and sorted in some 20 ms."""


def compile_rule(
    session: Session, condition: Condition, *, client_id: int, now: datetime, each: bool = False
) -> ColumnElement[bool]:
    """Return the WHERE clause over `members` that a condition means for one client.

    Tags, addresses, events and messages become sets of ids that each database reads once, from an
    index (core.rows.within; LIBS 3). With `each`, what members did is added up for one at a time,
    for who looks at few. It does not scope to the client: the caller's query does.
    Raises ConditionError for a segment that does not exist or contains itself.
    """
    return _Compiler(session, client_id, now, each).where(condition)


@dataclass(frozen=True, slots=True)
class _Compiler:
    session: Session
    client_id: int
    now: datetime
    each: bool
    inside: tuple[str, ...] = ()

    def where(self, condition: Condition) -> ColumnElement[bool]:
        match condition:
            case Everyone():
                return true()
            case And(items=items):
                return and_(*[self.where(item) for item in items])
            case Or(items=items):
                return self._any(items)
            case Not(item=item):
                return not_(self.where(item))
            case Compare():
                return self._compare(condition)
            case _:
                return self._membership(condition)

    def _any(self, items: Sequence[Condition]) -> ColumnElement[bool]:
        """Return an OR; tags, and events of the same days, become one list of ids."""
        tags: list[str] = []
        events: dict[int | None, list[str]] = {}
        others = []
        for item in items:
            match item:
                case HasTag(tag=tag):
                    tags.append(tag)
                case Did(measure=Measure.COUNT, op=Op.GE, value=1, where=()):
                    events.setdefault(item.days, []).append(item.event)
                case _:
                    others.append(self.where(item))
        others += [self._tagged(tags)] if tags else []
        owner: Any = {"client_id": self.client_id, "now": self.now}
        return or_(
            *others,
            *[did_any(self.session, names, days, **owner) for days, names in events.items()],
        )

    def _tagged(self, tags: Sequence[str]) -> ColumnElement[bool]:
        query = select(MemberTag.member_id).where(
            MemberTag.client_id == self.client_id, MemberTag.tag.in_(tags)
        )
        return within(self.session, M.id, query)

    def _membership(self, condition: Leaf) -> ColumnElement[bool]:
        match condition:
            case HasTag(tag=tag):
                return self._tagged([tag])
            case Consented(channel=channel, topic=topic):
                query = select(CurrentConsent.member_id).where(
                    CurrentConsent.client_id == self.client_id,
                    CurrentConsent.channel == channel,
                    CurrentConsent.topic == topic,
                    CurrentConsent.state == ConsentState.GRANTED,
                )
                return within(self.session, M.id, query)
            case Reachable(channel=channel):
                return within(self.session, M.id, reachable(self.client_id, channel))
            case InSegment(name=name):
                return self._segment(name)
            case _:
                return self._happened(condition)

    def _happened(self, condition: Leaf) -> ColumnElement[bool]:
        match condition:
            case Did():
                owner: Any = {"client_id": self.client_id, "now": self.now}
                return did(self.session, condition, **owner, each=self.each)
            case Messaged():
                query = messaged(self.session, condition, client_id=self.client_id, now=self.now)
                return within(self.session, M.id, query)
            case Lot():
                return drawn(condition)
            case _:
                raise AssertionError(condition)

    def _segment(self, name: str) -> ColumnElement[bool]:
        if name in self.inside or len(self.inside) >= MAX_SEGMENT_DEPTH:
            raise ConditionError(f"the segment “{name}” contains itself")
        segment, pin = self._named(name)
        if pin is not None:
            return M.id.in_(pinned(segment, pin))
        if segment.kind is SegmentKind.STATIC:
            return M.id.in_(pinned(segment, Pin.INCLUDE))
        inner = _Compiler(self.session, self.client_id, self.now, self.each, (*self.inside, name))
        return with_pins(self.session, segment, inner.where(from_json(segment.rule)))

    def _named(self, name: str) -> tuple[Segment, Pin | None]:
        """Return a segment by its name, or by a reference to it, which outlives it."""
        reference = referred(name)
        which = [Segment.name == name, Segment.deleted_at.is_(None)]
        if reference is not None:
            which = [Segment.id == reference[0]]
        segment = self.session.scalar(
            select(Segment).where(Segment.client_id == self.client_id, *which)
        )
        if segment is None:
            names = [one.name for one in living(self.session, self.client_id)]
            raise ConditionError(
                f"there is no segment “{name}”",
                remedy=nearest(name, names) if names else "create it first",
            )
        return segment, reference and reference[1]

    def _compare(self, compare: Compare) -> ColumnElement[bool]:
        if compare.field.startswith(ATTRIBUTES):
            name = compare.field.removeprefix(ATTRIBUTES)
            return json_compared(self.session, M.attributes.expression, name, compare)
        if compare.field.startswith(EXTERNAL):
            return self._external(compare)
        column = getattr(M, compare.field)
        kind = FIELDS[compare.field]
        if kind is Kind.TEXT:
            # Enumerations are compared as the text they are stored as.
            column = type_coerce(column, String)
        return compared(column, compare, self.now, kind)

    def _external(self, compare: Compare) -> ColumnElement[bool]:
        """Return who has such an id in another system; `!=` is the contrary of `=`."""
        query = select(Identity.member_id).where(
            Identity.client_id == self.client_id,
            Identity.kind == ELSEWHERE + compare.field.removeprefix(EXTERNAL),
        )
        contrary = compare.op in (Op.NE, Op.IS_NOT_SET)
        if compare.op not in BARE:
            op = Op.EQ if contrary else compare.op
            query = query.where(plain(Identity.value.expression, op, compare.value))
        found = within(self.session, M.id, query)
        return not_(found) if contrary else found


def few_meant(
    session: Session, condition: Condition, *, client_id: int, now: datetime
) -> Select[Any] | None:
    """Return the ids of few members, perhaps repeated, among whom all are that a condition means.

    Those of events or messages that are few by the planner's estimate; None where there are none,
    and on SQLite, which reads each set of ids once anyway.
    """
    if is_sqlite(session):
        return None
    for part in condition.items if isinstance(condition, And) else (condition,):
        found: Select[Any] | None
        match part:
            case Messaged():
                found = messaged(session, part, client_id=client_id, now=now)
            case Did():
                found = doers(session, part, client_id=client_id, now=now)
            case _:
                continue
        if found is not None and estimated_rows(session, found) <= FEW:
            return found
    return None


def adds_up(condition: Condition) -> bool:
    """Say whether a condition adds up what each member did in some time, or in such a way."""
    return any(isinstance(one, Did) and bool(one.days or one.where) for one in each_leaf(condition))


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
