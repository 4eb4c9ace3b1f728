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
from core.condition import Condition, from_json, parse, to_json
from members.member import Member, MemberStatus
from members.queries import segment
from members.rule import compile_rule

UNREACHED = (MemberStatus.SUSPENDED, MemberStatus.CHURNED)
"""Members with these statuses get no campaign."""


def audience_of(session: Session, client_id: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a target audience as it is stored, checked.

    Takes `{"segment_id": 7}` or `{"rule": condition}`, the condition as JSON or as text. Raises
    CampaignInvalidError, ConditionError, or a NotFoundError for the segment.
    """
    match given:
        case {"segment_id": int(segment_id)} if len(given) == 1:
            segment(session, client_id, segment_id)
            return {"segment_id": segment_id}
        case {"rule": str(text)} if len(given) == 1:
            return {"rule": to_json(parse(text))}
        case {"rule": dict(rule)} if len(given) == 1:
            return {"rule": to_json(from_json(rule))}
    raise CampaignInvalidError(
        "the audience is neither a segment nor a rule",
        field="target_audience",
        remedy='give {"segment_id": 7} or {"rule": "tier = premium"}',
    )


def condition_of(session: Session, client_id: int, audience: Mapping[str, Any]) -> Condition:
    """Return the condition a stored audience means now. Raises a NotFoundError for its segment."""
    if "segment_id" in audience:
        return from_json(segment(session, client_id, audience["segment_id"]).rule)
    return from_json(audience["rule"])


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
