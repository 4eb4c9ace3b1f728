"""Undo: what an import did is taken back within a day, where nobody has touched it since.

Members it created are deleted, softly as ever, unless they were edited, did something or said
something since. Members it changed get their former values back, field by field, where they still
hold what the import gave them. Consents it recorded for them are withdrawn: the ledger forgets
nothing, and what an operator takes back must not be mailed to. Suppressions stay: opt-out wins.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, cast, exists, func, select, update
from sqlalchemy.orm import Session

from core.clock import Clock
from core.rows import among
from members.address import MemberAddress
from members.change import Change, MemberChange, record_changes
from members.consent import Consent, ConsentState, CurrentConsent, Word, record_many
from members.errors import ImportStateError
from members.event import EventTotal
from members.import_job import ImportJob, ImportStatus, locked_import
from members.member import Member
from members.plan import Plan, backwards, tags_of, write_plans
from members.touch import touch
from members.upsert import take_turn

M = Member
UNDO_HOURS = 24
CHUNK = 1_000
"""Members of one transaction: each holds SQLite's write lock for a tenth of a second."""
PRIMARY = {"email": "email", "phone": "sms"}
"""Column of a member → the kind of address it repeats."""


def undo_import(session: Session, clock: Clock, *, client_id: int, import_id: int) -> ImportJob:
    """Queue the undo of an import that is done or cancelled; workers take it back in chunks.

    Raises ImportNotFoundError, or ImportStateError when it has not ended, was a rehearsal, or ended
    more than a day ago.
    """
    job = locked_import(session, client_id, import_id)
    if job.dry_run or job.status not in (ImportStatus.DONE, ImportStatus.CANCELLED):
        what = "a rehearsal" if job.dry_run else job.status.value
        raise ImportStateError(f"the import is {what}", remedy="undo one that is done")
    ended = job.finished_at or job.created_at
    if clock.now() - ended > timedelta(hours=UNDO_HOURS):
        raise ImportStateError(
            f"an import can be undone for {UNDO_HOURS} hours",
            remedy="choose its people by a segment, and edit or delete those",
        )
    job.status = ImportStatus.UNDOING
    job.report = {**job.report, "undo": dict.fromkeys((*PLACES, *COUNTS), 0)}
    session.flush()
    return job


PLACES = ("change", "word", "member")
"""The last id that each stage has dealt with."""
COUNTS = ("deleted", "kept", "restored")
"""Created and now deleted; created and touched since; changed and now as before."""


def advance_undo(session: Session, clock: Clock) -> bool:
    """Take one undo of any client a chunk further; say whether there was one.

    A crash loses at most the chunk that was not committed, and the next call does it again.
    """
    job = session.scalar(
        select(ImportJob)
        .where(ImportJob.status == ImportStatus.UNDOING)
        .order_by(ImportJob.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if job is None:
        return False
    take_turn(session, job.client_id)
    done = dict(job.report["undo"])
    stages = (_restore, _withdraw, _delete)
    if not any(stage(session, clock, job, done) for stage in stages):
        job.status, job.undone_at = ImportStatus.UNDONE, clock.now()
    job.report = {**job.report, "undo": done}
    session.flush()
    return True


def undo_waits(session: Session) -> bool:
    """Say whether any undo waits for a worker: one look at a short index."""
    query = select(ImportJob.id).where(ImportJob.status == ImportStatus.UNDOING)
    return session.scalar(query.limit(1)) is not None


def _restore(session: Session, clock: Clock, job: ImportJob, done: dict[str, int]) -> bool:
    """Go back from the last change to the first: a file may have told of one person twice."""
    C = MemberChange  # noqa: N806  (a table alias)
    query = select(C).where(C.client_id == job.client_id, C.source == f"import:{job.id}")
    if done["change"]:
        query = query.where(C.id < done["change"])
    changes = session.scalars(query.order_by(C.id.desc()).limit(CHUNK)).all()
    if not changes:
        return False
    done["change"] = changes[-1].id
    told = _as_one(changes)
    held = tags_of(session, job.client_id, list(told))
    mine = select(M).where(
        M.client_id == job.client_id, M.deleted_at.is_(None), among(session, M.id, list(told))
    )
    plans = [backwards(one, told[one.id], held.get(one.id, set())) for one in session.scalars(mine)]
    plans = [plan for plan in plans if plan.changed]
    source = f"undo:import:{job.id}"
    write_plans(session, clock, client_id=job.client_id, plans=plans, source=source, actor=None)
    _restore_addresses(session, clock, job.client_id, plans)
    done["restored"] += len(plans)
    return True


def _as_one(changes: Sequence[MemberChange]) -> dict[int, dict[str, Any]]:
    """Return one change for each member from several, the latest first."""
    told: dict[int, dict[str, Any]] = {}
    for change in changes:
        mine = told.setdefault(change.member_id, {})
        for name, (before, after) in change.changed.items():
            if name not in mine:
                mine[name] = [before, after]
            elif name == "tags":
                mine[name] = [mine[name][0] + before, mine[name][1] + after]
            elif mine[name][0] == after:  # else somebody edited it in between
                mine[name] = [before, mine[name][1]]
    return told


def _restore_addresses(
    session: Session, clock: Clock, client_id: int, plans: Sequence[Plan]
) -> None:
    """Let the former address be the primary one again; what the import brought no longer is."""
    A = MemberAddress  # noqa: N806  (a table alias)
    for column, kind in PRIMARY.items():
        again = {p.member_id: p.after[column] for p in plans if column in p.after}
        if not again:
            continue
        mine = (
            A.client_id == client_id,
            A.channel == kind,
            among(session, A.member_id, list(again)),
        )
        rows = session.execute(select(A.id, A.member_id, A.value).where(*mine)).all()
        wanted = [row.id for row in rows if again[row.member_id] == row.value]
        now = clock.now()
        for ids, primary in (([row.id for row in rows], False), (wanted, True)):
            session.execute(
                update(A)
                .where(A.client_id == client_id, among(session, A.id, ids))
                .values(is_primary=primary, updated_at=now)
                .execution_options(synchronize_session=False)
            )


def _delete(session: Session, clock: Clock, job: ImportJob, done: dict[str, int]) -> bool:
    query = (
        select(M.id, _touched(job).label("touched"))
        .where(M.client_id == job.client_id, M.import_id == job.id, M.id > done["member"])
        .where(M.deleted_at.is_(None))
        .order_by(M.id)
        .limit(CHUNK)
    )
    rows = session.execute(query).all()
    if not rows:
        return False
    done["member"] = rows[-1].id
    ids = [row.id for row in rows if not row.touched]
    done["deleted"] += len(ids)
    done["kept"] += len(rows) - len(ids)
    if ids:
        key = func.substr(M.member_id, 1, 100).concat("#deleted-").concat(cast(M.id, String))
        session.execute(
            update(M)
            .where(M.client_id == job.client_id, among(session, M.id, ids))
            .values(
                deleted_at=clock.now(),
                updated_at=clock.now(),
                # The key is free again for whoever gets it next.
                member_id=key,
                version=M.version + 1,
            )
            .execution_options(synchronize_session=False)
        )
        record_changes(
            session,
            clock,
            client_id=job.client_id,
            source=f"undo:import:{job.id}",
            changes=[Change(one, {"deleted": (None, True)}) for one in ids],
        )
        touch(session, client_id=job.client_id, member_ids=ids)
    return True


def _touched(job: ImportJob) -> ColumnElement[bool]:
    """Say whether a created member was edited, did something, or said something elsewhere."""
    source = f"import:{job.id}"
    did = exists().where(EventTotal.client_id == job.client_id, EventTotal.member_id == M.id)
    said = exists().where(
        Consent.client_id == job.client_id, Consent.member_id == M.id, Consent.source != source
    )
    edited: ColumnElement[bool] = M.version > 1
    return edited | did | said


def _withdraw(session: Session, clock: Clock, job: ImportJob, done: dict[str, int]) -> bool:
    """Withdraw what the import granted for members who stay: those it did not create."""
    C, S = Consent, CurrentConsent  # noqa: N806  (table aliases)
    query = (
        select(C.id, C.member_id, C.channel, C.topic)
        .join(M, M.id == C.member_id)
        .join(S, (S.member_id == C.member_id) & (S.channel == C.channel) & (S.topic == C.topic))
        .where(
            C.client_id == job.client_id,
            C.source == f"import:{job.id}",
            C.state == ConsentState.GRANTED,
            S.state == ConsentState.GRANTED,
            M.import_id.is_distinct_from(job.id),
        )
        .order_by(C.id)
        .limit(CHUNK)
    )
    rows = session.execute(query.where(C.id > done["word"])).all()
    words = [
        Word(
            member_id=row.member_id,
            channel=row.channel,
            topic=row.topic,
            state=ConsentState.WITHDRAWN,
            source=f"undo:import:{job.id}",
        )
        for row in rows
    ]
    record_many(session, clock, client_id=job.client_id, words=words)
    if rows:
        done["word"] = rows[-1].id
        touch(session, client_id=job.client_id, member_ids=[row.member_id for row in rows])
    return bool(rows)
