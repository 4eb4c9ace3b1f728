"""Membership: who belongs to a tracked segment since when, and who did until when.

A change of a member leaves a note (members/touch.py); `refresh_touched` looks at the noted members
alone. What time alone changes, `refresh` finds by looking at everybody, as a set.

Invariants
    1. A member has at most one stay in a segment that has not ended (a unique index).
    2. One transaction at a time decides for a segment: each locks its row first, so that an older
       look never overwrites a newer one.

Cost at a million members on PostgreSQL, two busy cores (bench/segments.py): one member's change
12 ms for a tracked rule of attributes, 0.3 s for one that counts events of the last days; a look
at everybody two to three counts of the rule.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    String,
    case,
    cast,
    delete,
    exists,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.news import News
from accounts.outbox import publish_found
from core.clock import Clock
from core.condition.check import ConditionError
from core.condition.json import from_json
from core.db import Base, BigId, Id, UtcDateTime
from core.log import get
from core.rows import among
from core.sql import ample_memory, avoid_nested_loops, insert_into, json_object
from members.dependence import is_timed, names_in
from members.member import Member
from members.pin import pinned
from members.rule import compile_rule
from members.segment import Pin, Segment, SegmentKind, belonging, living
from members.signal import JOINED, LEFT, signal_all
from members.touch import Touch, is_tracked

log = get(__name__)

M = Member
BATCH = 1_000
"""Notes read in one transaction."""
SOON = timedelta(minutes=1)
"""Who changed while tracking began may have left no note; everybody is looked at once more."""
TIMED = timedelta(minutes=5)
"""Between two looks at everybody where time alone, or a message, can change who belongs."""
REPAIR = timedelta(days=1)
"""Likewise where it cannot: whatever was changed past the notes is found."""


class Cause(enum.StrEnum):
    """Why somebody joined or left."""

    START = "start"  # tracking began: they belonged already
    CHANGE = "change"  # something about them changed
    TIME = "time"  # nothing but the time passed
    EDIT = "edit"  # the rule, or one it names, was edited
    PIN = "pin"  # they were put in or kept out by hand
    DELETED = "deleted"  # they were deleted, or merged into another
    END = "end"  # tracking ended: they still belonged


PRESENT = text("left_at IS NULL")


class SegmentMembership(Base):
    """One stay of one member in one tracked segment; the present one has not ended."""

    __tablename__ = "segment_memberships"
    __table_args__ = (
        Index(
            "uq_segment_memberships_present",
            "segment_id",
            "member_id",
            unique=True,
            sqlite_where=PRESENT,
            postgresql_where=PRESENT,
        ),
        Index(None, "segment_id", "id"),
        Index(None, "segment_id", "left_at"),
        Index(None, "member_id", "id"),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    segment_id: Mapped[int] = mapped_column(ForeignKey("segments.id"))
    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    joined_at: Mapped[datetime]
    """When it was seen: within a second of a change, within minutes of the time's passing."""
    reason: Mapped[Cause]
    left_at: Mapped[datetime | None]
    left_reason: Mapped[Cause | None]


S = SegmentMembership


@dataclass(frozen=True, slots=True)
class Moves:
    """How many joined and left."""

    joined: int = 0
    left: int = 0

    def __add__(self, other: "Moves") -> "Moves":
        """Return both together."""
        return Moves(self.joined + other.joined, self.left + other.left)


def track(session: Session, clock: Clock, segment: Segment) -> None:
    """Write down who joins and leaves from now on; who belongs already is found within a second."""
    if not segment.tracked:
        segment.tracked, segment.refreshed_at, segment.refresh_at = True, None, clock.now()
        session.flush()


def untrack(session: Session, clock: Clock, segment: Segment) -> None:
    """Write it down no longer; stays end here, and what was written is kept."""
    if not segment.tracked:
        return
    _locked(session, Segment.id == segment.id)
    segment.tracked, segment.refresh_at = False, None
    session.flush()
    session.execute(
        update(S)
        .where(S.segment_id == segment.id, S.left_at.is_(None))
        .values(left_at=clock.now(), left_reason=Cause.END)
        .execution_options(synchronize_session=False)
    )
    if not is_tracked(session, segment.client_id):
        session.execute(delete(Touch).where(Touch.client_id == segment.client_id))


def tracking(session: Session) -> list[int]:
    """Return the ids of the clients with a tracked segment."""
    return list(session.scalars(select(Segment.client_id).where(Segment.tracked).distinct()))


def is_noted(session: Session, client_id: int) -> bool:
    """Say whether notes of changed members wait to be read."""
    query = select(Touch.id).where(Touch.client_id == client_id).limit(1)
    return session.scalar(query) is not None


def due(session: Session, clock: Clock) -> Segment | None:
    """Return the tracked segment that has waited longest to be looked at wholly, if any."""
    query = select(Segment).where(Segment.tracked, Segment.refresh_at <= clock.now())
    return session.scalar(query.order_by(Segment.refresh_at).limit(1))


def refresh_touched(
    session: Session, clock: Clock, *, client_id: int, limit: int = BATCH
) -> Moves | None:
    """Read up to `limit` notes and decide for their members in every tracked segment.

    None when there was no note. A rule that cannot be evaluated is logged and passed over.
    """
    segments = _locked(session, Segment.client_id == client_id)
    notes = select(Touch.id).where(Touch.client_id == client_id).order_by(Touch.id).limit(limit)
    read = delete(Touch).where(Touch.id.in_(notes.scalar_subquery())).returning(Touch.member_id)
    members = sorted(set(session.scalars(read.execution_options(synchronize_session=False))))
    if not members:
        return None
    moves = Moves()
    # Who belongs at the beginning did not join: the first look at everybody says so.
    for segment in [one for one in segments if one.refreshed_at is not None]:
        try:
            moves += _settle(session, clock.now(), segment, Cause.CHANGE, members)
        except ConditionError as error:
            log.warning("segment cannot be evaluated", segment_id=segment.id, reason=str(error))
    return moves


def refresh(session: Session, clock: Clock, *, segment_id: int) -> Moves | None:
    """Decide for everybody in one tracked segment, and say when to do so again.

    None when it is no longer tracked. A rule that cannot be evaluated is logged and tried again.
    """
    found = _locked(session, Segment.id == segment_id)
    if not found:
        return None
    segment, now = found[0], clock.now()
    moves, again = Moves(), TIMED
    try:
        below = _below(session, segment)
        moves = _settle(session, now, segment, _cause(segment, below), None)
        again = _again(segment, below)
    except ConditionError as error:
        log.warning("segment cannot be evaluated", segment_id=segment.id, reason=str(error))
    segment.refreshed_at, segment.refresh_at = now, now + again
    session.flush()
    return moves


def _locked(session: Session, which: ColumnElement[bool]) -> list[Segment]:
    query = select(Segment).where(Segment.tracked, which).order_by(Segment.id)
    # Not the key: rows that refer to the segment may be written meanwhile.
    query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return list(session.scalars(query))


def _below(session: Session, segment: Segment) -> list[Segment]:
    """Return the segment and all that its rule names, directly or not."""
    named = {one.name: one for one in living(session, segment.client_id)}
    found: dict[int, Segment] = {}
    wanted = [segment]
    while wanted:
        one = wanted.pop()
        if one.id not in found:
            found[one.id] = one
            if one.kind is SegmentKind.DYNAMIC:
                names = names_in(from_json(one.rule))
                wanted += [named[name] for name in names if name in named]
    return list(found.values())


def _cause(segment: Segment, below: Sequence[Segment]) -> Cause:
    if segment.refreshed_at is None:
        return Cause.START
    edited = any(one.updated_at >= segment.refreshed_at for one in below)
    return Cause.EDIT if edited else Cause.TIME


def _again(segment: Segment, below: Sequence[Segment]) -> timedelta:
    if segment.refreshed_at is None:
        return SOON
    dynamic = [one for one in below if one.kind is SegmentKind.DYNAMIC]
    return TIMED if any(is_timed(from_json(one.rule)) for one in dynamic) else REPAIR


def _settle(
    session: Session,
    now: datetime,
    segment: Segment,
    cause: Cause,
    members: Sequence[int] | None,
) -> Moves:
    """Write down who joined and who left, of some members or of all. Raises ConditionError."""
    rule = compile_rule(session, belonging(segment), client_id=segment.client_id, now=now)
    meant = select(M.id).where(M.client_id == segment.client_id, M.deleted_at.is_(None), rule)
    present = select(S.member_id).where(S.segment_id == segment.id, S.left_at.is_(None))
    joining: ColumnElement[bool]
    leaving: ColumnElement[bool]
    if members is None:
        # It expects one row where a look a moment ago wrote a million.
        avoid_nested_loops(session)
        ample_memory(session)
        joining, leaving = M.id.in_(meant.except_(present)), S.member_id.in_(present.except_(meant))
    else:
        inside = set(session.scalars(meant.where(among(session, M.id, members))))
        before = set(session.scalars(present.where(among(session, S.member_id, members))))
        if inside == before:
            return Moves()
        joining = among(session, M.id, sorted(inside - before))
        leaving = among(session, S.member_id, sorted(before - inside))
    moves = Moves(
        joined=_join(session, now, segment, cause, joining),
        left=_leave(session, now, segment, cause, leaving),
    )
    _tell(session, now, segment, cause, moves)
    return moves


def _tell(session: Session, now: datetime, segment: Segment, cause: Cause, moves: Moves) -> None:
    """Signal who came and went; not those who belonged already when tracking began."""
    if moves.joined and cause is not Cause.START:
        came = select(S.member_id).where(
            S.segment_id == segment.id, S.joined_at == now, S.reason != Cause.START
        )
        name = f"{JOINED}{segment.id}"
        signal_all(session, client_id=segment.client_id, name=name, at=now, members=came)
        _publish(session, now, segment, News.JOINED, came)
    if moves.left:
        went = select(S.member_id).where(S.segment_id == segment.id, S.left_at == now)
        name = f"{LEFT}{segment.id}"
        signal_all(session, client_id=segment.client_id, name=name, at=now, members=went)
        _publish(session, now, segment, News.LEFT, went)


def _publish(
    session: Session, now: datetime, segment: Segment, news: News, who: Select[int]
) -> None:
    ids = who.subquery().c[0]
    data = json_object({"segment_id": literal(segment.id), "member_id": ids})
    about = literal("member:") + cast(ids, String)
    found = select(about.label("object"), literal(now, UtcDateTime()), data.label("data"))
    publish_found(session, now, client_id=segment.client_id, news=news, found=found)


def _join(
    session: Session, now: datetime, segment: Segment, cause: Cause, who: ColumnElement[bool]
) -> int:
    by_hand = M.id.in_(pinned(segment, Pin.INCLUDE))
    rows = (
        select(
            literal(segment.client_id),
            literal(segment.id),
            M.id,
            literal(now, UtcDateTime()),
            _reason(cause, (by_hand, Cause.PIN)),
        )
        .where(who)
        .order_by(M.id)
    )
    columns = ["client_id", "segment_id", "member_id", "joined_at", "reason"]
    statement = insert_into(session, S).from_select(columns, rows).on_conflict_do_nothing()
    return _counted(session, statement)


def _leave(
    session: Session, now: datetime, segment: Segment, cause: Cause, who: ColumnElement[bool]
) -> int:
    deleted = exists().where(M.id == S.member_id, M.deleted_at.is_not(None))
    by_hand = S.member_id.in_(pinned(segment, Pin.EXCLUDE))
    reason = _reason(cause, (deleted, Cause.DELETED), (by_hand, Cause.PIN))
    statement = (
        update(S)
        .where(S.segment_id == segment.id, S.left_at.is_(None), who)
        .values(left_at=now, left_reason=reason)
        .execution_options(synchronize_session=False)
    )
    return _counted(session, statement)


def _reason(cause: Cause, *rather: tuple[ColumnElement[bool], Cause]) -> ColumnElement[str]:
    return case(*[(if_so, literal(one.value)) for if_so, one in rather], else_=literal(cause.value))


def _counted(session: Session, statement: Any) -> int:
    return (
        session.connection().execute(statement.execution_options(preserve_rowcount=True)).rowcount
    )
