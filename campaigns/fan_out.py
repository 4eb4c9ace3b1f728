"""Fan-out: a run's audience becomes rows of the log, chunk by chunk.

Each chunk is one transaction: a keyset of members, one INSERT … SELECT per channel, the cursor. A
crash between two chunks loses nothing and repeats nothing; the first message leaves while the last
chunk is still to come.

Invariants
    1. Rows and cursor move together, or not at all.
    2. Every member of the audience gets one row per channel: to be sent, or skipped with a reason.
       Of several wordings it has the one that a lot over the member's id draws, skipped or not.
    3. Members who came after the launch are not in it.

100,000 members over one channel take about 4 s on PostgreSQL, 2 s on SQLite (bench/fan_out.py).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from sqlalchemy import ColumnElement, Subquery, case, func, literal, null, select, true, update
from sqlalchemy.orm import Session

from accounts.client import usable
from campaigns.audience import matching
from campaigns.control import pause
from campaigns.decision import decisions
from campaigns.merge import NOTHING
from campaigns.plan import Lane, Plan
from campaigns.run import Run, RunStatus
from communications.communication import Communication, Direction, Reason
from communications.news import tell
from communications.status import Status
from core.clock import Clock
from core.condition.ast import Lot
from core.condition.json import from_json
from core.db import Sessions, UtcDateTime, read, write
from core.errors import EngineError
from core.failpoint import reach
from core.log import get
from core.rows import among
from core.sql import avoid_nested_loops, insert_into
from members.lot import drawn
from members.member import Member

log = get(__name__)

C = Communication

FIRST_CHUNK = 500
"""Members in a run's first chunk: small, so that the first message leaves at once."""
CHUNK = 5_000
EXPIRES = timedelta(hours=72)
"""A message that could not leave within three days of its run's start is no longer news."""

EXPANDING = (Run.status == RunStatus.RUNNING, Run.expanded_at.is_(None))
WAITING = (*EXPANDING, usable(Run.client_id))


def step(sessions: Sessions, clock: Clock) -> bool:
    """Fan out one chunk of one run; return whether there was one.

    Any number of workers may step at once: a run is one worker's for the length of a chunk. The
    run is picked at random, so that a large one does not keep a small one waiting. One whose rule
    cannot be evaluated is paused, with the reason.
    """
    with read(sessions) as session:
        if session.scalar(select(Run.id).where(*WAITING).limit(1)) is None:
            return False
    taken: dict[str, Any] = {}
    try:
        with write(sessions) as session:
            query = select(Run).where(*WAITING).order_by(func.random()).limit(1)
            run = session.scalar(query.with_for_update(skip_locked=True))
            if run is None:
                return False
            taken = {"client_id": run.client_id, "campaign_id": run.campaign_id}
            _expand(session, clock, run)
            reach("C2")
        reach("C3")
    except EngineError as error:
        log.exception("fan-out failed", **taken)
        with write(sessions) as session:
            pause(session, clock, **taken, reason=str(error))
    return True


def _expand(session: Session, clock: Clock, run: Run) -> None:
    """Insert the rows of the run's next chunk and move its cursor."""
    now = clock.now()
    limit = CHUNK if run.cursor else FIRST_CHUNK
    chunk = _next_members(session, run, limit)
    if chunk:
        avoid_nested_loops(session)
        plan = Plan.from_json(run.plan)
        for lane in plan.lanes:
            _insert(session, now, run, plan, lane, chunk)
        decided = (C.run_id == run.id, C.member_id.between(chunk[0], chunk[-1]))
        tell(session, now, run.client_id, decided)
    expanded = run.expanded + len(chunk)
    done = len(chunk) < limit
    session.execute(
        update(Run)
        .where(Run.id == run.id, Run.cursor == run.cursor, *EXPANDING)
        .values(
            cursor=chunk[-1] if chunk else run.cursor,
            expanded=expanded,
            audience_size=expanded if done else max(run.audience_size, expanded),
            expanded_at=now if done else None,
        )
        .execution_options(synchronize_session=False)
    )


def _next_members(session: Session, run: Run, limit: int) -> Sequence[int]:
    """Return the ids of the audience's next members, in order."""
    condition = from_json(run.audience["rule"])
    members = matching(session, condition, client_id=run.client_id, now=run.started_at)
    return session.scalars(
        select(Member.id)
        .where(*members, Member.id > run.cursor, Member.id <= run.last_member_id)
        .order_by(Member.id)
        .limit(limit)
    ).all()


def _insert(
    session: Session, now: datetime, run: Run, plan: Plan, lane: Lane, chunk: Sequence[int]
) -> None:
    """Insert one row per member of the chunk for one channel."""
    span = (chunk[0], chunk[-1])
    members = [among(session, Member.id, chunk), Member.id.between(*span)]
    rows = decisions(
        members, channel=lane.channel, message_type=plan.message_type, fields=lane.fields, span=span
    )
    inserted = _insert_chosen(session, now, run, plan, lane, rows)
    if inserted == len(chunk):
        return
    # The address of those who have no row now went to a member of an earlier chunk.
    present = select(C.member_id).where(
        C.run_id == run.id, C.channel == lane.channel, C.member_id.between(*span)
    )
    again = decisions(
        [*members, Member.id.not_in(present)],
        channel=lane.channel,
        message_type=plan.message_type,
        span=span,
    )
    _insert_chosen(session, now, run, plan, lane, again, Reason.DUPLICATE_ADDRESS)


def _wording(campaign_id: int, lane: Lane, member_id: ColumnElement[int]) -> ColumnElement[int]:
    """Return the template version a member gets: of several, always the same one of a campaign."""
    if not lane.shares:
        return literal(lane.template_version_id)
    bounds = list(accumulate(share.weight for share in lane.shares))
    # A lot in a segment cannot be written like that: one with the same salt would skew the test.
    salt = f"\0campaign:{campaign_id}"
    return case(
        *[
            (drawn(Lot(bound, bounds[-1], salt), member_id), literal(share.template_version_id))
            for bound, share in zip(bounds, lane.shares, strict=True)
        ]
    )


def _insert_chosen(
    session: Session,
    now: datetime,
    run: Run,
    plan: Plan,
    lane: Lane,
    decided: Subquery,
    reason: Reason | None = None,
) -> int:
    """Insert what was decided; with `reason`, skip them all for it. Return how many rows."""
    rows = decided.c
    why = rows.reason if reason is None else literal(reason.value)
    sent = why.is_(None)
    instant = UtcDateTime()
    values = {
        "client_id": literal(run.client_id),
        "member_id": rows.member_id,
        "campaign_id": literal(run.campaign_id),
        "run_id": literal(run.id),
        "channel": literal(lane.channel.value),
        "direction": literal(Direction.OUTBOUND.value),
        "message_type": literal(plan.message_type.value),
        "to_address": rows.address,
        "address_hash": case((sent, rows.hash), else_=null()),
        "template_version_id": _wording(run.campaign_id, lane, rows.member_id),
        "tracked": literal(plan.tracked),
        "merge": case((sent, rows.merge), else_=NOTHING),
        "status": case((sent, Status.QUEUED.value), else_=Status.SKIPPED.value),
        "reason": why,
        "priority": literal(plan.priority),
        "not_before": literal(run.started_at, instant),
        "expires_at": literal(run.started_at + EXPIRES, instant),
        "provider_account_id": literal(lane.provider_account_id),
        "created_at": literal(now, instant),
        "updated_at": literal(now, instant),
    }
    # SQLite needs the WHERE to tell ON CONFLICT from a join's ON.
    chosen = select(*values.values()).where(true()).order_by(rows.member_id)
    statement = insert_into(session, C).from_select(list(values), chosen).on_conflict_do_nothing()
    counted = statement.execution_options(preserve_rowcount=True)
    return session.connection().execute(counted).rowcount
