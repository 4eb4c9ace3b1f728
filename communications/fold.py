"""Folding: evidence raises what communications know, in one statement per set.

A row keeps the highest rank it was ever told and the earliest time of each stage. Both are maxima
and minima, so the order and the number of tellings do not matter (status.py, invariant 3).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    FromClause,
    Integer,
    String,
    Table,
    Update,
    and_,
    case,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from channels.adapter import EventType, ProviderEvent
from communications.attempt import Attempt, AttemptOutcome
from communications.communication import Communication, Direction, Reason
from communications.news import Learnt
from communications.news import learnt as tell_learnt
from communications.status import FACTS, STATUS_OF, Fact, Rank, Status
from core.clock import Clock
from core.db import UtcDateTime
from core.rows import among, table
from members.signal import MESSAGE, Heard, signal

C = Communication
TABLE: Table = Communication.__table__  # type: ignore[assignment]  # a mapped class's table is one
STAGES = ("sent_at", "delivered_at", "read_at", "clicked_at", "replied_at", "failed_at")
NEGATIVE = frozenset({Rank.UNDELIVERED, Rank.BOUNCED_SOFT, Rank.BOUNCED_HARD})
DOUBTFUL = frozenset({Status.UNKNOWN, Status.QUEUED, Status.FAILED})
"""What may have attempts that evidence proves: also a row that an operator queued again, or gave
up."""
UNPROVEN = (AttemptOutcome.AMBIGUOUS, AttemptOutcome.CRASHED, AttemptOutcome.RESOLVED_ABSENT)
MACHINES = {EventType.OPENED: C.machine_read, EventType.CLICKED: C.machine_clicked}
FACT_OF = {fact.value: fact for fact in Fact}
RAISED = ("rank", "status", "reason", "error_code", "error_message", "provider_status")
"""What the highest rank says."""
CLAIMED = ("lease_until", "owner", "held")
"""What ends once evidence came."""
LEARNT: dict[str, TypeEngine[Any]] = {
    "id": BigInteger(),
    "rank": Integer(),
    **dict.fromkeys(RAISED[1:], String()),
    **dict.fromkeys(STAGES, UtcDateTime()),
}
"""What a set of evidence taught about one communication, as columns."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One event on its way into the log: who it speaks of, as far as that is known."""

    event: ProviderEvent
    dedup_key: str
    occurred_at: datetime
    communication_id: int | None


def locked(session: Session, client_id: int, ids: Iterable[int | None]) -> dict[int, Any]:
    """Read and lock the client's outbound communications, by id.

    In id order, so that two folds that share rows wait for each other instead of deadlocking.
    """
    wanted = sorted({i for i in ids if i is not None})
    if not wanted:
        return {}
    query = (
        select(
            C.id,
            C.client_id,
            C.member_id,
            C.run_id,
            C.channel,
            C.to_address,
            C.address_hash,
            C.status,
        )
        .where(
            among(session, C.id, wanted),
            C.client_id == client_id,
            C.direction == Direction.OUTBOUND,
        )
        .order_by(C.id)
        .with_for_update()
    )
    return {row.id: row for row in session.execute(query)}


def fold(
    session: Session, clock: Clock, rows: dict[int, Any], evidence: Sequence[Evidence]
) -> None:
    """Raise the ranks and fill the stage times of `rows` (from `locked`) with what is new.

    What machines opened and clicked is noted beside.
    """
    _note_machines(session, rows, evidence)
    learnt: dict[int, dict[str, Any]] = {}
    facts: list[Learnt] = []
    for one in evidence:
        fact = fact_of(one.event)
        if fact is not None and one.communication_id in rows:
            _learn(
                learnt.setdefault(one.communication_id, _nothing(one.communication_id)), fact, one
            )
            code = clean(one.event.code, 40) if FACTS[fact][0] in NEGATIVE else None
            facts.append(Learnt(one.communication_id, fact, one.occurred_at, code))
    if not learnt:
        return
    tell_learnt(session, clock, rows[facts[0].communication_id].client_id, facts)
    # By id, so that two folds that share rows wait for each other.
    told = [tuple(learnt[key].values()) for key in sorted(learnt)]
    session.execute(_raise(table(session, LEARNT, told)))
    told_of = [rows[key] for key in sorted(learnt) if rows[key].member_id is not None]
    if told_of:
        heard = [Heard(MESSAGE, row.member_id, clock.now(), row.id) for row in told_of]
        signal(session, client_id=told_of[0].client_id, heard=heard)
    doubtful = [i for i in learnt if rows[i].status in DOUBTFUL]
    if doubtful:
        session.execute(
            update(Attempt)
            .where(
                among(session, Attempt.communication_id, doubtful),
                Attempt.outcome.in_(UNPROVEN),
            )
            .values(outcome=AttemptOutcome.RESOLVED_SENT, finished_at=clock.now())
            .execution_options(synchronize_session=False)
        )


def fact_of(event: ProviderEvent) -> Fact | None:
    """Return what an event says about the status; a machine's opens and clicks say nothing."""
    return None if event.machine else FACT_OF.get(event.type.value)


def _note_machines(session: Session, rows: dict[int, Any], evidence: Sequence[Evidence]) -> None:
    """Mark what machines opened or clicked, once: a mark stays, and a second changes no row."""
    for kind, mark in MACHINES.items():
        seen = {e.communication_id for e in evidence if e.event.machine and e.event.type is kind}
        ids = sorted(key for key in rows if key in seen)
        if ids:
            session.execute(
                update(C)
                .where(among(session, C.id, ids), mark.is_(False))
                .values({mark: True})
                .execution_options(synchronize_session=False)
            )


def clean(text: str | None, length: int) -> str | None:
    """Cut foreign text to a column's length, without what a database cannot hold."""
    if text is None:
        return None
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:length]


def _nothing(communication_id: int) -> dict[str, Any]:
    return dict.fromkeys(LEARNT) | {"id": communication_id, "rank": 0}


def _learn(value: dict[str, Any], fact: Fact, evidence: Evidence) -> None:
    rank, _, stage = FACTS[fact]
    event = evidence.event
    if rank > value["rank"]:
        negative = rank in NEGATIVE
        value |= {
            "rank": int(rank),
            "status": STATUS_OF[rank].value,
            "reason": Reason.UNDELIVERED.value if rank is Rank.UNDELIVERED else None,
            "error_code": clean(event.code, 40) if negative else None,
            "error_message": clean(event.text, 300) if negative else None,
            "provider_status": clean(event.provider_status, 40),
        }
    known = value[stage]
    value[stage] = evidence.occurred_at if known is None else min(known, evidence.occurred_at)


def _raise(told: FromClause) -> Update:
    """Return the statement that raises ranks and fills stage times from rows as LEARNT has them."""
    c, new = TABLE.c, told.c
    higher = c.rank < new.rank

    def earliest(name: str) -> Any:
        sooner = or_(c[name].is_(None), c[name] > new[name])
        return case((and_(new[name].is_not(None), sooner), new[name]), else_=c[name])

    return (
        update(TABLE)
        .where(c.id == new.id)
        .values(
            **{name: case((higher, new[name]), else_=c[name]) for name in RAISED},
            **{name: case((higher, None), else_=c[name]) for name in CLAIMED},
            **{name: earliest(name) for name in STAGES},
        )
    )
