"""Belonging: the segments a member is in, since when; who came and went.

Reads only. Since when is known of tracked segments alone (members/membership.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, literal, select, union_all
from sqlalchemy.orm import Session

from core.clock import Clock
from core.condition.check import ConditionError
from core.rows import among
from members.member import Member
from members.membership import Cause, SegmentMembership
from members.pin import S as Pinned
from members.queries import member as find_member
from members.queries import segment as find_segment
from members.rule import compile_rule
from members.segment import Pin, Segment, belonging, living

S = SegmentMembership
AT_ONCE = 50
"""Rules in one statement; SQLite takes 500."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """A segment a member is in now."""

    segment: Segment
    pinned: bool
    """Put in by hand; also of a static segment, which has nobody else."""
    since: datetime | None
    """None where the segment is not tracked."""
    reason: Cause | None
    """Why it joined, likewise."""


def segments_of(
    session: Session, clock: Clock, *, client_id: int, member_id: int
) -> list[Belonging]:
    """Return the segments a member is in at this moment, oldest segment first.

    Every rule is asked about this member alone, fifty in a statement; one that cannot be evaluated
    is left out. Raises MemberNotFoundError.
    """
    find_member(session, client_id, member_id)
    segments = {one.id: one for one in living(session, client_id)}
    inside = _inside(session, clock.now(), list(segments.values()), member_id)
    pinned = select(Pinned.segment_id).where(
        Pinned.client_id == client_id, Pinned.member_id == member_id, Pinned.pin == Pin.INCLUDE
    )
    by_hand = set(session.scalars(pinned))
    present = select(S).where(
        S.client_id == client_id, S.member_id == member_id, S.left_at.is_(None)
    )
    stays = {stay.segment_id: stay for stay in session.scalars(present)}
    return [
        Belonging(
            segment=segments[one],
            pinned=one in by_hand,
            since=stays[one].joined_at if one in stays else None,
            reason=stays[one].reason if one in stays else None,
        )
        for one in inside
    ]


def _inside(
    session: Session, now: datetime, segments: Sequence[Segment], member_id: int
) -> list[int]:
    asked = []
    for segment in segments:
        try:
            rule = compile_rule(session, belonging(segment), client_id=segment.client_id, now=now)
        except ConditionError:
            continue
        mine = (Member.client_id == segment.client_id, Member.id == member_id, rule)
        asked.append(select(literal(segment.id).label("segment_id")).where(*mine))
    found: list[int] = []
    for start in range(0, len(asked), AT_ONCE):
        found += session.scalars(union_all(*asked[start : start + AT_ONCE]))
    return sorted(found)


def stays_page(
    session: Session,
    *,
    client_id: int,
    segment_id: int | None = None,
    member_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[SegmentMembership]:
    """Return up to `limit` stays of a segment or of a member, newest first, older than id `before`.

    A stay says when somebody joined and, once they have, when they left. Raises
    SegmentNotFoundError or MemberNotFoundError.
    """
    query = select(S).where(S.client_id == client_id)
    if segment_id is not None:
        query = query.where(S.segment_id == find_segment(session, client_id, segment_id).id)
    if member_id is not None:
        query = query.where(S.member_id == find_member(session, client_id, member_id).id)
    if before is not None:
        query = query.where(S.id < before)
    return list(session.scalars(query.order_by(S.id.desc()).limit(limit)))


def names_of(session: Session, client_id: int, segment_ids: Sequence[int]) -> dict[int, str]:
    """Return the names of segments by id; deleted ones have theirs with a mark."""
    query = select(Segment.id, Segment.name).where(
        Segment.client_id == client_id, among(session, Segment.id, list(segment_ids))
    )
    return {row.id: row.name for row in session.execute(query)}


def moved(session: Session, *, client_id: int, segment_id: int, since: datetime) -> tuple[int, int]:
    """Return how many joined a tracked segment and how many left it since an instant."""
    own = (S.client_id == client_id, S.segment_id == segment_id)
    joined = select(func.count()).select_from(S).where(*own, S.joined_at >= since)
    left = select(func.count()).select_from(S).where(*own, S.left_at >= since)
    return session.scalar(joined) or 0, session.scalar(left) or 0
