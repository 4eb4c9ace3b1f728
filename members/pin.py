"""Pins: members put in or kept out of a segment by hand, and lists that are nothing else.

Invariant: a pin goes before the rule. Whoever is put in belongs, whoever is kept out does not,
whatever the rule says of them.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, literal, not_, or_, select
from sqlalchemy.orm import Session

from core.clock import Clock
from core.db import UtcDateTime
from core.rows import among
from core.sql import insert_into
from members.errors import MemberInvalidError, SegmentKindError
from members.member import Member
from members.own import require_members
from members.segment import Pin, Segment, SegmentKind, SegmentMember
from members.touch import touch

S = SegmentMember
MAX_PINS = 10_000
"""Members in one request; a rule is the better word for more."""


def pinned(segment: Segment, pin: Pin) -> Select[int]:
    """Return the ids of the members with a pin, as a subquery."""
    return select(S.member_id).where(S.segment_id == segment.id, S.pin == pin)


def with_pins(session: Session, segment: Segment, rule: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the clause of a segment's rule with its pins; where there are none, the rule alone.

    Pins make an OR, which PostgreSQL answers by reading all members: 0.1 s at a million.
    """
    kinds = pin_kinds(session, segment)
    if Pin.INCLUDE in kinds:
        rule = or_(rule, Member.id.in_(pinned(segment, Pin.INCLUDE)))
    if Pin.EXCLUDE in kinds:
        rule = and_(rule, not_(Member.id.in_(pinned(segment, Pin.EXCLUDE))))
    return rule


def pin_kinds(session: Session, segment: Segment) -> frozenset[Pin]:
    """Return which kinds of pins a segment has."""
    return frozenset(session.scalars(select(S.pin).where(S.segment_id == segment.id).distinct()))


def set_pins(
    session: Session,
    clock: Clock,
    *,
    segment: Segment,
    member_ids: Sequence[int],
    pin: Pin = Pin.INCLUDE,
    actor: str | None = None,
) -> int:
    """Put members in or keep them out; return how many pins are new or were the other way.

    Raises MemberNotFoundError for ids this client does not have, naming the first,
    MemberInvalidError for more than 10,000, SegmentKindError for keeping out of a static segment.
    """
    if segment.kind is SegmentKind.STATIC and pin is Pin.EXCLUDE:
        raise SegmentKindError(
            "nobody needs to be kept out of a static segment",
            field="pin",
            remedy="remove them from it instead",
        )
    wanted = _known(session, segment, member_ids)
    changing = _changing(session, segment, wanted, pin)
    rows = [
        {
            "segment_id": segment.id,
            "member_id": one,
            "client_id": segment.client_id,
            "pin": pin,
            "actor": actor,
            "pinned_at": clock.now(),
        }
        for one in changing
    ]
    if rows:
        new = insert_into(session, S)
        session.execute(
            new.on_conflict_do_update(
                index_elements=["segment_id", "member_id"],
                set_={name: new.excluded[name] for name in ("pin", "actor", "pinned_at")},
            ),
            rows,
        )
        _touched(session, segment, changing)
    return len(rows)


def drop_pins(session: Session, *, segment: Segment, member_ids: Sequence[int]) -> int:
    """Take pins back, so that the rule decides again; return how many there were.

    From a static segment this removes the members. Ids without a pin are passed over.
    """
    statement = (
        delete(S)
        .where(S.segment_id == segment.id, among(session, S.member_id, list(member_ids)))
        .returning(S.member_id)
        .execution_options(synchronize_session=False)
    )
    dropped = list(session.scalars(statement))
    _touched(session, segment, dropped)
    return len(dropped)


def freeze(
    session: Session, clock: Clock, *, segment: Segment, which: Sequence[ColumnElement[bool]]
) -> int:
    """Put everybody `which` (clauses over members) means into a static segment; return how many.

    One INSERT … SELECT: 2 s for a million members on PostgreSQL.
    """
    chosen = select(
        literal(segment.id),
        Member.id,
        literal(segment.client_id),
        literal(Pin.INCLUDE.value),
        literal(clock.now(), UtcDateTime()),
    ).where(Member.client_id == segment.client_id, Member.deleted_at.is_(None), *which)
    columns = ["segment_id", "member_id", "client_id", "pin", "pinned_at"]
    statement = insert_into(session, S).from_select(columns, chosen).on_conflict_do_nothing()
    counted = statement.execution_options(preserve_rowcount=True)
    return session.connection().execute(counted).rowcount


def pins_page(
    session: Session, segment: Segment, *, after: int = 0, limit: int = 50
) -> list[SegmentMember]:
    """Return up to `limit` pins of a segment after member `after`, by member."""
    query = select(S).where(S.segment_id == segment.id, S.member_id > after)
    return list(session.scalars(query.order_by(S.member_id).limit(limit)))


def _known(session: Session, segment: Segment, member_ids: Sequence[int]) -> list[int]:
    wanted = sorted(set(member_ids))
    if len(wanted) > MAX_PINS:
        raise MemberInvalidError(
            f"{len(wanted):,} members at once are too many",
            field="members",
            remedy=f"give at most {MAX_PINS:,}, or use a rule",
        )
    require_members(session, segment.client_id, wanted, field="members")
    return wanted


def _changing(session: Session, segment: Segment, wanted: Sequence[int], pin: Pin) -> list[int]:
    """Return those who do not have this pin yet."""
    same: Any = select(S.member_id).where(
        S.segment_id == segment.id, S.pin == pin, among(session, S.member_id, list(wanted))
    )
    return sorted(set(wanted) - set(session.scalars(same)))


def _touched(session: Session, segment: Segment, member_ids: Sequence[int]) -> None:
    touch(session, client_id=segment.client_id, member_ids=member_ids)
