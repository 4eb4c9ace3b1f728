"""Audience: the members a campaign is for.

A campaign names a segment or holds a condition; a run holds the condition as it was at launch.
Whoever was deleted, suspended or has churned is in no audience, whatever the condition says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from campaigns.errors import CampaignInvalidError
from core.clock import Clock
from core.condition.ast import And, Condition, InSegment, Leaf, Not, Or
from core.condition.check import ConditionError, check_size
from core.condition.json import from_json, to_json
from core.errors import within
from members.dependence import each_replaced
from members.member import Member, MemberStatus
from members.pin import pin_kinds
from members.queries import segment, segment_by_name
from members.rule import compile_rule
from members.segment import Pin, Segment, SegmentKind, belonging, condition_of, referred

NOTHING: Mapping[int, Condition] = {}
UNREACHED = (MemberStatus.SUSPENDED, MemberStatus.CHURNED)
"""Members with these statuses get no campaign."""


def audience_of(
    session: Session, clock: Clock, client_id: int, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a target audience as it is stored, checked.

    Takes `{"segment_id": 7}` or `{"rule": condition}`, the condition as JSON or as text. Raises
    CampaignInvalidError, ConditionError, or SegmentNotFoundError.
    """
    match given:
        case {"segment_id": int(segment_id)} if len(given) == 1:
            with within("target_audience/segment_id"):
                segment(session, client_id, segment_id)
            return {"segment_id": segment_id}
        case {"rule": rule} if len(given) == 1:
            with within("target_audience"):
                condition = condition_of(rule)
                compile_rule(session, condition, client_id=client_id, now=clock.now())
            return {"rule": to_json(condition)}
    raise CampaignInvalidError(
        "the audience is neither a segment nor a rule",
        field="target_audience",
        remedy='give {"segment_id": 7}, or {"rule": "everyone"}',
    )


def frozen(
    session: Session,
    client_id: int,
    audience: Mapping[str, Any],
    instead: Mapping[int, Condition] = NOTHING,
) -> Condition:
    """Return the condition a stored audience means now, with the rules of its segments in it.

    A static segment, and pins, stay a reference: they are lists of members, not rules. `instead`
    has rules for segments (by id) in place of their own. Raises SegmentNotFoundError, or
    ConditionError for what cannot be evaluated.
    """
    if "segment_id" in audience:
        condition: Condition = belonging(segment(session, client_id, audience["segment_id"]))
    else:
        condition = from_json(audience["rule"])
    return check_size(_Inliner(session, client_id, instead).inlined(condition))


@dataclass(frozen=True, slots=True)
class _Inliner:
    session: Session
    client_id: int
    instead: Mapping[int, Condition]
    inside: tuple[int, ...] = ()

    def inlined(self, condition: Condition) -> Condition:
        return each_replaced(condition, self._replaced)

    def _replaced(self, leaf: Leaf) -> Condition:
        if not isinstance(leaf, InSegment):
            return leaf
        reference = referred(leaf.name)
        if reference is None:
            found = segment_by_name(self.session, self.client_id, leaf.name)
        elif reference[1] is not None:
            return leaf
        else:
            found = segment(self.session, self.client_id, reference[0])
        if found.kind is SegmentKind.STATIC:
            return belonging(found)
        if found.id in self.inside:
            raise ConditionError(f"the segment “{found.name}” contains itself")
        return self._pinned(found, self._within(found))

    def _within(self, found: Segment) -> Condition:
        """Return the rule of a segment with the rules of those it names in it."""
        inner = _Inliner(self.session, self.client_id, self.instead, (*self.inside, found.id))
        return inner.inlined(self.instead.get(found.id) or from_json(found.rule))

    def _pinned(self, found: Segment, rule: Condition) -> Condition:
        kinds = pin_kinds(self.session, found)
        if Pin.INCLUDE in kinds:
            rule = Or((rule, belonging(found, Pin.INCLUDE)))
        if Pin.EXCLUDE in kinds:
            rule = And((rule, Not(belonging(found, Pin.EXCLUDE))))
        return rule


def matching(
    session: Session, condition: Condition, *, client_id: int, now: datetime
) -> Sequence[ColumnElement[bool]]:
    """Return what a member of the audience fulfils, for a WHERE over members."""
    return (
        Member.client_id == client_id,
        Member.deleted_at.is_(None),
        Member.status.not_in(UNREACHED),
        compile_rule(session, condition, client_id=client_id, now=now),
    )


def size(session: Session, condition: Condition, *, client_id: int, now: datetime) -> int:
    """Return how many members an audience has."""
    members = matching(session, condition, client_id=client_id, now=now)
    return session.scalar(select(func.count()).select_from(Member).where(*members)) or 0


def newest_member(session: Session, client_id: int) -> int:
    """Return the highest member id of a client, 0 for none: where an audience ends."""
    return session.scalar(select(func.max(Member.id)).where(Member.client_id == client_id)) or 0
