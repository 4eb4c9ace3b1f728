"""Folding: evidence raises what communications know, in one statement per set.

A row keeps the highest rank it was ever told and the earliest time of each stage. Both are maxima
and minima, so the order and the number of tellings do not matter (status.py, invariant 3).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table, Update, bindparam, case, or_, select, update
from sqlalchemy.orm import Session

from channels.adapter import ProviderEvent
from communications.attempt import Attempt, AttemptOutcome
from communications.communication import Communication, Direction, Reason
from communications.status import FACTS, STATUS_OF, Fact, Rank, Status
from core.clock import Clock
from core.rows import among

C = Communication
TABLE: Table = Communication.__table__  # type: ignore[assignment]  # a mapped class's table is one
STAGES = ("sent_at", "delivered_at", "read_at", "clicked_at", "replied_at", "failed_at")
NEGATIVE = frozenset({Rank.UNDELIVERED, Rank.BOUNCED_SOFT, Rank.BOUNCED_HARD})
FACT_OF = {fact.value: fact for fact in Fact}


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
    session: Session, clock: Clock, rows: dict[int, Any], evidence: Iterable[Evidence]
) -> None:
    """Raise the ranks and fill the stage times of `rows` (from `locked`) with what is new."""
    learnt: dict[int, dict[str, Any]] = {}
    for one in evidence:
        fact = fact_of(one.event)
        if fact is not None and one.communication_id in rows:
            _learn(
                learnt.setdefault(one.communication_id, _nothing(one.communication_id)), fact, one
            )
    if not learnt:
        return
    session.connection().execute(RAISE, [learnt[key] for key in sorted(learnt)])
    unknown = [i for i in learnt if rows[i].status is Status.UNKNOWN]
    if unknown:
        session.execute(
            update(Attempt)
            .where(
                among(session, Attempt.communication_id, unknown),
                Attempt.outcome.in_((AttemptOutcome.AMBIGUOUS, AttemptOutcome.CRASHED)),
            )
            .values(outcome=AttemptOutcome.RESOLVED_SENT, finished_at=clock.now())
            .execution_options(synchronize_session=False)
        )


def fact_of(event: ProviderEvent) -> Fact | None:
    """Return what an event says about the status; a machine's opens and clicks say nothing."""
    return None if event.machine else FACT_OF.get(event.type.value)


def clean(text: str | None, length: int) -> str | None:
    """Cut foreign text to a column's length, without what a database cannot hold."""
    if text is None:
        return None
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:length]


def _nothing(communication_id: int) -> dict[str, Any]:
    names = ("status", "reason", "code", "error", "provider_status", *STAGES)
    return {"b_id": communication_id, "b_rank": 0} | {f"b_{name}": None for name in names}


def _learn(value: dict[str, Any], fact: Fact, evidence: Evidence) -> None:
    rank, _, stage = FACTS[fact]
    event = evidence.event
    if rank > value["b_rank"]:
        negative = rank in NEGATIVE
        value |= {
            "b_rank": int(rank),
            "b_status": STATUS_OF[rank].value,
            "b_reason": Reason.UNDELIVERED.value if rank is Rank.UNDELIVERED else None,
            "b_code": clean(event.code, 40) if negative else None,
            "b_error": clean(event.text, 300) if negative else None,
            "b_provider_status": clean(event.provider_status, 40),
        }
    known = value[f"b_{stage}"]
    value[f"b_{stage}"] = (
        evidence.occurred_at if known is None else min(known, evidence.occurred_at)
    )


def _raise_statement() -> Update:
    c = TABLE.c
    higher = c.rank < bindparam("b_rank", type_=c.rank.type)

    def raised(new: str, name: str) -> Any:
        return case((higher, bindparam(f"b_{new}", type_=c[name].type)), else_=c[name])

    def earliest(name: str) -> Any:
        told = bindparam(f"b_{name}", type_=c[name].type)
        return case(
            (told.is_(None), c[name]), (or_(c[name].is_(None), c[name] > told), told), else_=c[name]
        )

    return (
        update(TABLE)
        .where(c.id == bindparam("b_id"))
        .values(
            status=raised("status", "status"),
            rank=raised("rank", "rank"),
            reason=raised("reason", "reason"),
            error_code=raised("code", "error_code"),
            error_message=raised("error", "error_message"),
            provider_status=raised("provider_status", "provider_status"),
            lease_until=case((higher, None), else_=c.lease_until),
            owner=case((higher, None), else_=c.owner),
            held=case((higher, None), else_=c.held),
            **{name: earliest(name) for name in STAGES},
        )
    )


RAISE = _raise_statement()
