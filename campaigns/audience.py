"""Audience: the members a campaign is for.

A campaign names a segment or holds a condition; a run holds the condition as it was at launch.
Whoever was deleted, suspended or has churned is in no audience, whatever the condition says.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from campaigns.errors import CampaignInvalidError
from core.clock import Clock
from core.condition.ast import And, Condition, InSegment, Not, Or
from core.condition.check import ConditionError, check_size
from core.condition.json import from_json, to_json
from members.member import Member, MemberStatus
from members.queries import segment, segment_by_name
from members.rule import compile_rule
from members.segment import SegmentKind, condition_of

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
            segment(session, client_id, segment_id)
            return {"segment_id": segment_id}
        case {"rule": rule} if len(given) == 1:
            condition = condition_of(rule)
            compile_rule(session, condition, client_id=client_id, now=clock.now())
            return {"rule": to_json(condition)}
    raise CampaignInvalidError(
        "the audience is neither a segment nor a rule",
        field="target_audience",
        remedy='give {"segment_id": 7}, or {"rule": "everyone"}',
    )


def frozen(session: Session, client_id: int, audience: Mapping[str, Any]) -> Condition:
    """Return the condition a stored audience means now, with the rules of its segments in it.

    A static segment stays a segment: it is a list of members, not a rule. Raises
    SegmentNotFoundError, or ConditionError for what cannot be evaluated.
    """
    if "segment_id" in audience:
        found = segment(session, client_id, audience["segment_id"])
        condition: Condition = InSegment(found.name)
    else:
        condition = from_json(audience["rule"])
    return check_size(_inlined(session, client_id, condition, ()))


def _inlined(
    session: Session, client_id: int, condition: Condition, inside: tuple[str, ...]
) -> Condition:
    match condition:
        case And(items=items):
            return And(tuple(_inlined(session, client_id, item, inside) for item in items))
        case Or(items=items):
            return Or(tuple(_inlined(session, client_id, item, inside) for item in items))
        case Not(item=item):
            return Not(_inlined(session, client_id, item, inside))
        case InSegment(name=name):
            found = segment_by_name(session, client_id, name)
            if found.kind is SegmentKind.STATIC:
                return condition
            if name in inside:
                raise ConditionError(f"the segment “{name}” contains itself")
            return _inlined(session, client_id, from_json(found.rule), (*inside, name))
        case _:
            return condition


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
