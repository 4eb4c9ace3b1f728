"""BulkEdit: one change said of many members at once, which can be taken back for a day."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Text,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.clock import Clock
from core.condition.check import ConditionError
from core.condition.json import from_json, to_json
from core.db import Base, BigId, Id
from core.rows import among
from members.change import MemberChange, plain
from members.edit import BLANKABLE
from members.errors import BulkEditError, BulkEditNotFoundError, MemberInvalidError
from members.member import Member
from members.own import require_members
from members.person import Person, read_person
from members.plan import Plan, backwards, plans_of, tags_of, write_plans
from members.queries import meant
from members.segment import condition_of
from members.upsert import take_turn

M = Member
MEMBERS: Any = Member.__table__
CHUNK = 500
"""Members of one transaction: each holds SQLite's write lock for some 50 ms."""
MAX_IDS = 10_000
UNDO_HOURS = 24
FIELDS = frozenset(
    {"tier", "status", "gender", "location", "timezone", "language", "acquisition_channel",
     "acquisition_cost", "engagement_score", "notes", "attributes", "add_tags", "remove_tags"}
)  # fmt: skip
"""What many may be given at once: nothing that tells one person from another."""


class BulkStatus(enum.StrEnum):
    """Where a bulk edit stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNDOING = "undoing"
    UNDONE = "undone"


class BulkEdit(Base):
    """One bulk edit. total = changed + unchanged + failed when it is done."""

    __tablename__ = "bulk_edits"
    __table_args__ = (Index(None, "client_id", "id"), Index(None, "status"))

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    actor: Mapped[str | None] = mapped_column(String(100))
    chosen: Mapped[dict[str, Any]]
    """`{"ids": […]}` or `{"rule": condition as JSON}`."""
    changes: Mapped[dict[str, Any]]
    """Field → value, as the API has them; `add_tags` and `remove_tags` are lists."""
    status: Mapped[BulkStatus] = mapped_column(default=BulkStatus.QUEUED)
    position: Mapped[int] = mapped_column(BigId, default=0)
    """The last member's id that was dealt with."""
    total: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    error: Mapped[str | None] = mapped_column(String(300))
    """Why it could not go on, when it has failed."""
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]


class BulkError(Base):
    """One member a bulk edit could not change, and why."""

    __tablename__ = "bulk_errors"
    __table_args__ = (Index(None, "bulk_id", "id"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    bulk_id: Mapped[int] = mapped_column(BigId, ForeignKey("bulk_edits.id"))
    member_id: Mapped[int] = mapped_column(BigId)
    field: Mapped[str | None] = mapped_column(String(100))
    message: Mapped[str] = mapped_column(Text)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a bulk edit would do."""

    total: int
    sample: tuple[tuple[int, Mapping[str, tuple[Any, Any]]], ...]
    """(member id, field → (before, after)) of the first few."""


def preview_bulk(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    chosen: Mapping[str, Any],
    changes: Mapping[str, Any],
    sample: int = 10,
) -> Preview:
    """Say how many members a bulk edit means and what it would change about the first few.

    Nothing is written. Raises what `start_bulk` raises.
    """
    chosen, person = _checked(session, client_id, chosen, changes)
    clauses = _meant(session, clock, client_id, chosen)
    total = session.scalar(select(func.count()).select_from(M).where(*clauses)) or 0
    first = session.scalars(select(M.id).where(*clauses).order_by(M.id).limit(sample)).all()
    plans = plans_of(session, client_id, first, changes, person)
    return Preview(total, tuple((plan.member_id, plan.changed) for plan in plans))


def start_bulk(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    chosen: Mapping[str, Any],
    changes: Mapping[str, Any],
    actor: str | None = None,
) -> BulkEdit:
    """Queue a bulk edit of the members `chosen`: `{"ids": […]}` or `{"rule": JSON or text}`.

    `changes` are FIELDS with their values; None empties a field. Raises MemberInvalidError with the
    field, ConditionError for the rule, MemberNotFoundError for an id the client does not have.
    """
    chosen, _ = _checked(session, client_id, chosen, changes)
    clauses = _meant(session, clock, client_id, chosen)
    edit = BulkEdit(
        client_id=client_id,
        actor=actor,
        chosen=chosen,
        changes={name: plain(value) for name, value in changes.items()},
        total=session.scalar(select(func.count()).select_from(M).where(*clauses)) or 0,
        created_at=clock.now(),
    )
    session.add(edit)
    session.flush()
    return edit


def advance_bulk(session: Session, clock: Clock) -> bool:
    """Take one bulk edit or undo of any client a chunk further; say whether there was one.

    A crash loses at most the chunk that was not committed, and the next call does it again.
    """
    waiting = or_(*[BulkEdit.status == one for one in WAITING])
    edit = session.scalar(
        select(BulkEdit)
        .where(waiting)
        .order_by(BulkEdit.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if edit is None:
        return False
    take_turn(session, edit.client_id)
    if edit.status is BulkStatus.UNDOING:
        _undo_chunk(session, clock, edit)
    else:
        _edit_next(session, clock, edit)
    session.flush()
    return True


def bulk_waits(session: Session) -> bool:
    """Say whether any client's bulk edit or undo waits for a worker: one look at a short index."""
    waiting = or_(*[BulkEdit.status == one for one in WAITING])
    return session.scalar(select(BulkEdit.id).where(waiting).limit(1)) is not None


def cancel_bulk(session: Session, clock: Clock, *, client_id: int, bulk_id: int) -> BulkEdit:
    """End a bulk edit after the chunk it is at; what was changed stays, and can be undone.

    Raises BulkEditNotFoundError, or BulkEditError when it has ended.
    """
    edit = bulk_edit(session, client_id, bulk_id, lock=True)
    if edit.status not in (BulkStatus.QUEUED, BulkStatus.RUNNING):
        raise BulkEditError(f"the bulk edit is {edit.status.value}")
    edit.status, edit.finished_at = BulkStatus.CANCELLED, clock.now()
    session.flush()
    return edit


def undo_bulk(session: Session, clock: Clock, *, client_id: int, bulk_id: int) -> BulkEdit:
    """Queue the undo of a bulk edit: what was not changed since gets its former value back.

    One that was cancelled or failed on its way can be undone, too. Raises BulkEditNotFoundError, or
    BulkEditError when it has not ended, was undone, or ended more than a day ago.
    """
    edit = bulk_edit(session, client_id, bulk_id, lock=True)
    if edit.status not in ENDED or edit.finished_at is None:
        raise BulkEditError(f"the bulk edit is {edit.status.value}, not done")
    if clock.now() - edit.finished_at > timedelta(hours=UNDO_HOURS):
        raise BulkEditError(
            f"a bulk edit can be undone for {UNDO_HOURS} hours",
            remedy="make another that says what the members should have",
        )
    edit.status, edit.position = BulkStatus.UNDOING, 0
    session.flush()
    return edit


def bulk_edit(session: Session, client_id: int, bulk_id: int, *, lock: bool = False) -> BulkEdit:
    """Return the client's bulk edit, with `lock` for this transaction's own.

    Raises BulkEditNotFoundError.
    """
    query = select(BulkEdit).where(BulkEdit.client_id == client_id, BulkEdit.id == bulk_id)
    found = session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise BulkEditNotFoundError(f"no bulk edit {bulk_id}")
    return found


def bulk_page(
    session: Session, client_id: int, *, before: int | None = None, limit: int = 50
) -> list[BulkEdit]:
    """Return up to `limit` bulk edits, newest first, older than id `before`."""
    query = select(BulkEdit).where(BulkEdit.client_id == client_id)
    if before is not None:
        query = query.where(BulkEdit.id < before)
    return list(session.scalars(query.order_by(BulkEdit.id.desc()).limit(limit)))


def bulk_errors(
    session: Session, client_id: int, bulk_id: int, *, after: int = 0, limit: int = 50
) -> list[BulkError]:
    """Return up to `limit` members that could not be changed, after id `after`."""
    query = select(BulkError).where(
        BulkError.client_id == client_id, BulkError.bulk_id == bulk_id, BulkError.id > after
    )
    return list(session.scalars(query.order_by(BulkError.id).limit(limit)))


SHAPES: Mapping[str, tuple[type, ...]] = {
    "attributes": (dict,),
    "add_tags": (list, tuple),
    "remove_tags": (list, tuple),
}
"""What these are given as; everything else is text, a number or None."""
WAITING = (BulkStatus.QUEUED, BulkStatus.RUNNING, BulkStatus.UNDOING)
ENDED = (BulkStatus.DONE, BulkStatus.CANCELLED, BulkStatus.FAILED)
"""What was changed by then can be taken back."""


def _checked(
    session: Session, client_id: int, chosen: Mapping[str, Any], changes: Mapping[str, Any]
) -> tuple[dict[str, Any], Person]:
    if set(chosen) == {"ids"} and len(chosen["ids"]) <= MAX_IDS:
        kept: dict[str, Any] = {"ids": sorted(set(chosen["ids"]))}
    elif set(chosen) == {"rule"}:
        kept = {"rule": to_json(condition_of(chosen["rule"]))}
    else:
        raise MemberInvalidError(
            f"say which members: up to {MAX_IDS:,} ids, or a rule", field="ids"
        )
    unknown = sorted(set(changes) - FIELDS)
    if unknown or not changes:
        raise MemberInvalidError(
            "nothing is to be changed"
            if not unknown
            else f"“{unknown[0]}” is told of one at a time",
            field=f"changes.{unknown[0]}" if unknown else "changes",
            remedy=f"use {', '.join(sorted(FIELDS))}",
        )
    person = _person(changes)
    require_members(session, client_id, kept.get("ids", ()), field="ids")
    return kept, person


def _person(changes: Mapping[str, Any]) -> Person:
    blank = sorted(n for n, value in changes.items() if value is None and n not in BLANKABLE)
    if blank:
        raise MemberInvalidError(f"{blank[0]} cannot be empty", field=f"changes.{blank[0]}")
    for name, value in changes.items():
        kind: tuple[type, ...] = SHAPES.get(name, (str, int, float, type(None)))
        if not isinstance(value, kind):
            raise MemberInvalidError(f"{name} cannot be given so", field=f"changes.{name}")
    tags = [*changes.get("add_tags", ()), *changes.get("remove_tags", ())]
    rest = {name: value for name, value in changes.items() if not name.endswith("_tags")}
    return read_person(rest | {"tags": tags}, country=None)


def _meant(
    session: Session, clock: Clock, client_id: int, chosen: Mapping[str, Any]
) -> tuple[ColumnElement[bool], ...]:
    if "rule" in chosen:
        return meant(session, client_id, from_json(chosen["rule"]), clock.now())
    return M.client_id == client_id, M.deleted_at.is_(None), among(session, M.id, chosen["ids"])


def _edit_next(session: Session, clock: Clock, edit: BulkEdit) -> None:
    """Change the next members; a rule that means nothing any longer ends it and holds up no other.

    A segment that it names may have been deleted since it was asked for.
    """
    edit.status, edit.started_at = BulkStatus.RUNNING, edit.started_at or clock.now()
    try:
        clauses = _meant(session, clock, edit.client_id, edit.chosen)
    except ConditionError as error:
        edit.status, edit.error, edit.finished_at = BulkStatus.FAILED, str(error)[:300], clock.now()
    else:
        _edit_chunk(session, clock, edit, clauses)


def _edit_chunk(
    session: Session, clock: Clock, edit: BulkEdit, clauses: Sequence[ColumnElement[bool]]
) -> None:
    query = select(M.id).where(*clauses, M.id > edit.position).order_by(M.id).limit(CHUNK)
    ids = session.scalars(query).all()
    if not ids:
        edit.status, edit.finished_at = BulkStatus.DONE, clock.now()
        edit.total = edit.changed + edit.unchanged + edit.failed
        return
    plans = plans_of(session, edit.client_id, ids, edit.changes, _person(edit.changes))
    refused = [
        {
            "client_id": edit.client_id,
            "bulk_id": edit.id,
            "member_id": plan.member_id,
            "field": plan.problem[0],
            "message": plan.problem[1],
        }
        for plan in plans
        if plan.problem is not None
    ]
    if refused:
        session.execute(insert(BulkError), refused)
    todo = [plan for plan in plans if plan.problem is None and plan.changed]
    _write(session, clock, edit, todo, f"bulk:{edit.id}")
    edit.changed += len(todo)
    edit.failed += len(refused)
    edit.unchanged += len(plans) - len(todo) - len(refused)
    edit.position = ids[-1]


def _undo_chunk(session: Session, clock: Clock, edit: BulkEdit) -> None:
    changes = session.scalars(
        select(MemberChange)
        .where(
            MemberChange.client_id == edit.client_id,
            MemberChange.source == f"bulk:{edit.id}",
            MemberChange.id > edit.position,
        )
        .order_by(MemberChange.id)
        .limit(CHUNK)
    ).all()
    if not changes:
        edit.status, edit.undone_at = BulkStatus.UNDONE, clock.now()
        return
    ids = [change.member_id for change in changes]
    held = tags_of(session, edit.client_id, ids)
    query = select(M).where(
        M.client_id == edit.client_id, M.deleted_at.is_(None), among(session, M.id, ids)
    )
    members = {one.id: one for one in session.scalars(query)}
    plans = [
        backwards(members[one.member_id], one.changed, held.get(one.member_id, set()))
        for one in changes
        if one.member_id in members
    ]
    _write(session, clock, edit, [plan for plan in plans if plan.changed], f"undo:bulk:{edit.id}")
    edit.position = changes[-1].id


def _write(
    session: Session, clock: Clock, edit: BulkEdit, plans: Sequence[Plan], source: str
) -> None:
    write_plans(
        session, clock, client_id=edit.client_id, plans=plans, source=source, actor=edit.actor
    )
