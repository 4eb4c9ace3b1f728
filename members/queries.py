"""Reads of people and segments. The client is in every WHERE; nothing is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, true
from sqlalchemy.orm import Session

from core.condition.ast import Condition
from core.db import is_sqlite
from core.page import OLDEST, Walk
from core.rows import among
from core.sql import ample_memory, estimated_rows
from members.address import MemberAddress
from members.consent import CurrentConsent
from members.errors import ImportNotFoundError, MemberNotFoundError, SegmentNotFoundError
from members.identity import FORMER_KEY, resolve
from members.import_job import ImportJob, ImportReject
from members.member import Member, MemberTag
from members.person import key_of
from members.rule import adds_up, compile_rule, few_meant, reachable
from members.segment import Segment
from members.suppression import Suppression

M = Member
KINDS = ("email", "sms", "push")
NEAR = 5_000
"""So many members are asked one by one before all who are meant are looked for."""


def member(session: Session, client_id: int, member_id: int) -> Member:
    """Return the client's member by our id. Raises MemberNotFoundError.

    For a member that was merged, the error says into whom.
    """
    try:
        return _one(session, client_id, M.id == member_id, f"no member {member_id}")
    except MemberNotFoundError as error:
        survivor = session.scalar(
            select(M.merged_into).where(M.client_id == client_id, M.id == member_id)
        )
        if survivor is not None:
            error.remedy = f"it was merged into member {survivor}"
        raise


def member_by_key(session: Session, client_id: int, key: str) -> Member:
    """Return the client's member by the client's own id, however it is spelt.

    The id of a member that was merged leads to its survivor. Raises MemberNotFoundError.
    """
    wanted = key_of(key)
    former = resolve(session, client_id=client_id, names=[(FORMER_KEY, wanted)])
    which = M.member_id == wanted
    if former:
        which = or_(which, M.id == former[FORMER_KEY, wanted])
    return _one(session, client_id, which, f"no member with id “{wanted[:40]}”")


def member_by_email(session: Session, client_id: int, email: str) -> list[Member]:
    """Return the client's members with this email (normal form); a mailbox may be shared."""
    return members_at(session, client_id, "email", email)


def members_at(session: Session, client_id: int, kind: str, value: str) -> list[Member]:
    """Return the client's members with this address (`email`, `sms`) in normal form."""
    held = select(MemberAddress.member_id).where(
        MemberAddress.client_id == client_id,
        MemberAddress.channel == kind,
        MemberAddress.value == value,
    )
    query = select(M).where(M.client_id == client_id, M.deleted_at.is_(None), M.id.in_(held))
    return list(session.scalars(query.order_by(M.id)))


def _one(session: Session, client_id: int, which: ColumnElement[bool], missing: str) -> Member:
    query = select(M).where(M.client_id == client_id, M.deleted_at.is_(None), which)
    found = session.scalar(query)
    if found is None:
        raise MemberNotFoundError(missing)
    return found


def meant(
    session: Session, client_id: int, condition: Condition, now: datetime
) -> tuple[ColumnElement[bool], ...]:
    """Return the WHERE clauses for the client's members that a condition means."""
    rule = compile_rule(session, condition, client_id=client_id, now=now)
    return M.client_id == client_id, M.deleted_at.is_(None), rule


def members_page(
    session: Session,
    client_id: int,
    *,
    condition: Condition | None = None,
    now: datetime | None = None,
    after: int = 0,
    walk: Walk | None = None,
    limit: int = 50,
) -> list[Member]:
    """Return up to `limit` members; all, or those meant: after id `after`, or as `walk` says.

    `now` is needed with a condition: it is what “in the last 30 days” counts back from.
    """
    walk = walk or Walk(edge=(after,))
    mine = (M.client_id == client_id, M.deleted_at.is_(None))
    if condition is None or now is None:
        return list(session.scalars(walk.over(select(M).where(*mine), M, limit)))
    if walk.column == "id" and not is_sqlite(session):
        each = (*mine, compile_rule(session, condition, client_id=client_id, now=now, each=True))
        few = few_meant(session, condition, client_id=client_id, now=now)
        if few is not None:
            ids = _first_of(few, select(M.id).where(*each), walk, limit)
            return list(session.scalars(walk.over(select(M).where(M.id.in_(ids)), M, limit)))
        near = _near(session, mine, each, walk, limit) if adds_up(condition) else None
        if near is not None:
            return near
    rule = compile_rule(session, condition, client_id=client_id, now=now)
    return list(session.scalars(walk.over(select(M).where(*mine, rule), M, limit)))


def _near(
    session: Session,
    mine: Sequence[ColumnElement[bool]],
    each: Sequence[ColumnElement[bool]],
    walk: Walk,
    limit: int,
) -> list[Member] | None:
    """Return a page if it is found among the next 5,000 members, asked one by one; else None.

    Who did something twice is added up of all who did it otherwise, for a page of some: measured,
    0.8 s instead of 10 ms.
    """
    last = session.scalar(walk.over(select(M.id).where(*mine), M, 1).offset(NEAR))
    query = select(M).where(*each)
    if last is not None:
        query = query.where(M.id >= last if walk.descending else M.id <= last)
    found = list(session.scalars(walk.over(query, M, limit)))
    return found if last is None or len(found) == limit else None


def _first_of(few: Select[Any], query: Select[Any], walk: Walk, limit: int) -> Select[Any]:
    """Return the ids of a page, looked for among those of a few members, one after the other.

    PostgreSQL takes what happened for spread over all members, and walks these until it has met
    enough; who did something lately may all be among the last: measured, 0.9 s instead of 20 ms.
    """
    (mine,) = few.selected_columns
    if walk.edge is not None:
        few = few.where(mine < walk.edge[0] if walk.descending else mine > walk.edge[0])
    # In order before it is joined: PostgreSQL sorts what it has joined, all of it, otherwise.
    each = few.distinct().order_by(mine.desc() if walk.descending else mine).subquery("few")
    (given,) = each.c
    found = walk.over(query.where(M.id == given).correlate(each), M, limit).lateral("found")
    ids = select(found.c.id).select_from(each.join(found, true()))
    return ids.order_by(given.desc() if walk.descending else given).limit(limit)


EXACT = 10_000
"""Up to here lists are counted; beyond, PostgreSQL's planner estimates."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are; beyond 10,000 perhaps by the planner's estimate."""

    value: int
    exact: bool


def count_members(
    session: Session, client_id: int, *, condition: Condition | None, now: datetime
) -> Count:
    """Count members, all or those meant: exactly up to 10,000, then by estimate on PostgreSQL.

    SQLite counts to the end; it holds no more than it can count at once.
    """
    clauses: tuple[ColumnElement[bool], ...] = (M.client_id == client_id, M.deleted_at.is_(None))
    if condition is not None:
        clauses = meant(session, client_id, condition, now)
    query = select(M.id).where(*clauses)
    if is_sqlite(session):
        return Count(session.scalar(select(func.count()).select_from(query.subquery())) or 0, True)
    some = select(func.count()).select_from(query.limit(EXACT + 1).subquery())
    counted = session.scalar(some) or 0
    if counted <= EXACT:
        return Count(counted, True)
    return Count(max(counted, estimated_rows(session, query)), False)


def count_rule(session: Session, client_id: int, condition: Condition, now: datetime) -> int:
    """Return how many members a condition means: one indexed scan of the client's members."""
    ample_memory(session)
    query = select(func.count()).select_from(M).where(*meant(session, client_id, condition, now))
    return session.scalar(query) or 0


def reach(session: Session, client_id: int, condition: Condition, now: datetime) -> dict[str, int]:
    """Return, per kind of address, how many of the members meant can be written to at all."""
    clauses = meant(session, client_id, condition, now)
    found: dict[str, int] = {}
    for kind in KINDS:
        query = select(func.count()).select_from(M).where(*clauses)
        found[kind] = session.scalar(query.where(M.id.in_(reachable(client_id, kind)))) or 0
    return found


@dataclass(frozen=True, slots=True)
class Around:
    """What belongs to one member beside its own row."""

    addresses: tuple[MemberAddress, ...] = ()
    tags: tuple[str, ...] = ()
    consents: tuple[CurrentConsent, ...] = ()


def around(session: Session, client_id: int, ids: Sequence[int]) -> dict[int, Around]:
    """Return addresses, tags and consents of members, in three queries whatever their number."""
    addresses = session.scalars(
        select(MemberAddress)
        .where(MemberAddress.client_id == client_id, among(session, MemberAddress.member_id, ids))
        .order_by(MemberAddress.id)
    ).all()
    tags = session.scalars(
        select(MemberTag)
        .where(MemberTag.client_id == client_id, among(session, MemberTag.member_id, ids))
        .order_by(MemberTag.tag)
    ).all()
    consents = session.scalars(
        select(CurrentConsent)
        .where(CurrentConsent.client_id == client_id, among(session, CurrentConsent.member_id, ids))
        .order_by(CurrentConsent.channel, CurrentConsent.topic)
    ).all()
    return {
        one: Around(
            tuple(a for a in addresses if a.member_id == one),
            tuple(t.tag for t in tags if t.member_id == one),
            tuple(c for c in consents if c.member_id == one),
        )
        for one in ids
    }


def addresses(session: Session, client_id: int, ids: Sequence[int]) -> list[MemberAddress]:
    """Return every address of these members."""
    query = select(MemberAddress).where(
        MemberAddress.client_id == client_id, among(session, MemberAddress.member_id, ids)
    )
    return list(session.scalars(query.order_by(MemberAddress.id)))


def segment(session: Session, client_id: int, segment_id: int) -> Segment:
    """Return the client's segment. Raises SegmentNotFoundError."""
    return _segment(session, client_id, Segment.id == segment_id, f"no segment {segment_id}")


def segment_by_name(session: Session, client_id: int, name: str) -> Segment:
    """Return the client's segment by name. Raises SegmentNotFoundError."""
    return _segment(session, client_id, Segment.name == name, f"no segment “{name[:80]}”")


def _segment(session: Session, client_id: int, which: ColumnElement[bool], missing: str) -> Segment:
    query = select(Segment).where(
        Segment.client_id == client_id, Segment.deleted_at.is_(None), which
    )
    found = session.scalar(query)
    if found is None:
        raise SegmentNotFoundError(missing)
    return found


def segments_page(
    session: Session, client_id: int, *, walk: Walk = OLDEST, limit: int = 50
) -> list[Segment]:
    """Return up to `limit` segments, oldest first or as `walk` says."""
    query = select(Segment).where(Segment.client_id == client_id, Segment.deleted_at.is_(None))
    return list(session.scalars(walk.over(query, Segment, limit)))


def suppressions_page(
    session: Session,
    client_id: int,
    *,
    channel: str | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[Suppression]:
    """Return up to `limit` suppressions after id `after`."""
    query = select(Suppression).where(Suppression.client_id == client_id, Suppression.id > after)
    if channel is not None:
        query = query.where(Suppression.channel == channel)
    return list(session.scalars(query.order_by(Suppression.id).limit(limit)))


def import_job(session: Session, client_id: int, import_id: int) -> ImportJob:
    """Return the client's import. Raises ImportNotFoundError."""
    found = session.scalar(
        select(ImportJob).where(ImportJob.client_id == client_id, ImportJob.id == import_id)
    )
    if found is None:
        raise ImportNotFoundError(f"no import {import_id}")
    return found


def imports_page(
    session: Session, client_id: int, *, before: int | None = None, limit: int = 50
) -> list[ImportJob]:
    """Return up to `limit` imports, newest first, older than id `before`."""
    query = select(ImportJob).where(ImportJob.client_id == client_id)
    if before is not None:
        query = query.where(ImportJob.id < before)
    return list(session.scalars(query.order_by(ImportJob.id.desc()).limit(limit)))


def import_rejects(
    session: Session, client_id: int, import_id: int, *, after: int = 0, limit: int = 1000
) -> list[ImportReject]:
    """Return up to `limit` rejected rows after id `after`, in the order of the file."""
    query = (
        select(ImportReject)
        .where(
            ImportReject.client_id == client_id,
            ImportReject.import_id == import_id,
            ImportReject.id > after,
        )
        .order_by(ImportReject.id)
        .limit(limit)
    )
    return list(session.scalars(query))
