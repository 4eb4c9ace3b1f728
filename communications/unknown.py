"""Unknown: messages whose provider may or may not have them, and what an operator decides of them.

The engine never decides it: an unknown message leaves by evidence, or by one of these decisions
(status.py, invariant 2). An operator who says `sent` states a fact, which is folded like any other
evidence; `not_sent` and `resend` are steps, guarded UPDATEs from `unknown` and from nothing else.

Invariants
    1. A decision acts on exactly as many messages as the operator expects, or on none.
    2. Later evidence wins over every decision: it raises what was given up, and takes what was
       queued again off the queue (its intent fails, so it is not sent a second time).
"""

import enum
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal, literal_column, select, update
from sqlalchemy.orm import Session

from accounts.audit import record
from channels.adapter import EventType, ProviderEvent
from communications.attempt import Attempt, AttemptOutcome
from communications.communication import Communication, Reason
from communications.errors import ContentRemovedError, NothingExpectedError, UnexpectedCountError
from communications.news import changed
from communications.receipt import learn_facts
from communications.status import STEPS, Step
from core.clock import Clock
from core.db import UtcDateTime
from core.rows import among

C = Communication
UNKNOWN = C.status == literal_column("'unknown'")
"""Literal, not bound: only then do both databases use the partial index."""
OPEN_OUTCOMES = (AttemptOutcome.AMBIGUOUS, AttemptOutcome.CRASHED)
OPERATOR = "operator"
"""The source of an operator's facts, in a message's story."""
RESENT_LIVES = timedelta(hours=24)
"""A message that is sent again expires no sooner than so: an operator who asks for it wants it
sent, and the time it was unknown may have used up what it had."""
SHOWN = 50
"""Ids kept in the audit log; the count beside them is of all."""


class Decision(enum.StrEnum):
    """What an operator says of unknown messages."""

    SENT = "sent"  # the provider has it: somebody looked
    NOT_SENT = "not_sent"  # treat it as failed
    RESEND = "resend"  # send it again, and accept that some get it twice


@dataclass(frozen=True, slots=True)
class Which:
    """Which unknown messages of a client; what is None does not matter."""

    ids: tuple[int, ...] | None = None
    run_id: int | None = None
    provider_account_id: int | None = None
    reason: Reason | None = None
    older_than_seconds: int | None = None
    """Unknown for at least so long."""


ALL = Which()


@dataclass(frozen=True, slots=True)
class UnknownGroup:
    """Unknown messages that are alike."""

    provider_account_id: int | None
    run_id: int | None
    reason: Reason | None
    rows: int
    oldest: datetime
    """Since when the first of them is unknown."""
    newest: datetime
    content_removed: int
    """How many cannot be sent again, as nobody keeps any longer what they said."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a decision did."""

    rows: int
    run_ids: tuple[int, ...]
    """The runs whose messages it moved."""


def unknown_groups(session: Session, client_id: int) -> list[UnknownGroup]:
    """Count a client's unknown messages by account, run and reason, largest group first."""
    query = (
        select(
            C.provider_account_id,
            C.run_id,
            C.reason,
            func.count(),
            func.min(C.updated_at, type_=UtcDateTime()),
            func.max(C.updated_at, type_=UtcDateTime()),
            func.count(C.content_removed_at),
        )
        .where(C.client_id == client_id, UNKNOWN)
        .group_by(C.provider_account_id, C.run_id, C.reason)
        .order_by(func.count().desc(), C.provider_account_id, C.run_id, C.reason)
    )
    return [UnknownGroup(*row) for row in session.execute(query)]


def unknown_rows(
    session: Session, clock: Clock, client_id: int, which: Which = ALL, *, limit: int = 50
) -> list[Communication]:
    """Return up to `limit` of the messages, oldest first."""
    query = select(C).where(*matching(session, clock, client_id, which))
    return list(session.scalars(query.order_by(C.id).limit(limit)))


def unknown_count(session: Session, clock: Clock, client_id: int, which: Which = ALL) -> int:
    """Return how many messages a decision would act on."""
    query = select(func.count()).where(*matching(session, clock, client_id, which))
    return session.scalar(query) or 0


def matching(
    session: Session, clock: Clock, client_id: int, which: Which
) -> list[ColumnElement[bool]]:
    """Return the conditions under which a message is unknown and meant by `which`."""
    conditions: list[ColumnElement[bool]] = [C.client_id == client_id, UNKNOWN]
    columns = {
        C.run_id: which.run_id,
        C.provider_account_id: which.provider_account_id,
        C.reason: which.reason,
    }
    conditions += [column == value for column, value in columns.items() if value is not None]
    if which.ids is not None:
        conditions.append(among(session, C.id, which.ids))
    if which.older_than_seconds is not None:
        conditions.append(C.updated_at <= clock.now() - timedelta(seconds=which.older_than_seconds))
    return conditions


def resolve(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    which: Which,
    decision: Decision,
    expected: int,
    actor: str,
) -> Resolved:
    """Do what an operator decided of the unknown messages he means, and record it.

    `expected` is how many he believes they are. Raises UnexpectedCountError when it is another
    number, NothingExpectedError for 0, and ContentRemovedError for a `resend` that means messages
    whose content was removed; nothing is changed then. `resend` gives a message that
    has expired, or will within 24 hours, 24 hours from now.
    """
    if expected < 1:
        raise NothingExpectedError(
            "no messages are meant", field="count", remedy="choose unknown messages"
        )
    rows = _locked(session, clock, client_id, which)
    if len(rows) != expected:
        raise UnexpectedCountError(len(rows), expected)
    DECIDED[decision](session, clock, client_id, rows)
    record(
        session,
        clock,
        client_id=client_id,
        actor=actor,
        action="unknown.resolve",
        decision=decision.value,
        rows=len(rows),
        ids=[row.id for row in rows[:SHOWN]],
        which={
            name: value
            for name, value in asdict(which).items()
            if value is not None and name != "ids"
        },
    )
    session.flush()
    return Resolved(len(rows), tuple(sorted({row.run_id for row in rows if row.run_id})))


def _locked(session: Session, clock: Clock, client_id: int, which: Which) -> Sequence[Any]:
    """Read and lock the messages in id order, as every fold does."""
    query = (
        select(C.id, C.token, C.run_id, C.updated_at, C.content_removed_at)
        .where(*matching(session, clock, client_id, which))
        .order_by(C.id)
        .with_for_update()
    )
    return session.execute(query).all()


def _sent(session: Session, clock: Clock, client_id: int, rows: Sequence[Any]) -> None:
    told = {
        row.id: ProviderEvent(
            type=EventType.SENT,
            dedup_key=f"{row.id}:{row.token}",
            occurred_at=row.updated_at,  # it left shortly before nobody could tell any more
            reference=None,
            provider_id=None,
            provider_status="",
        )
        for row in rows
    }
    learn_facts(session, clock, client_id=client_id, told=told, source=OPERATOR)


def _not_sent(session: Session, clock: Clock, client_id: int, rows: Sequence[Any]) -> None:
    now = clock.now()
    _step(session, now, Step.GIVE_UP, rows, reason=Reason.GIVEN_UP, failed_at=now)
    session.execute(
        update(Attempt)
        .where(
            Attempt.client_id == client_id,
            among(session, Attempt.communication_id, [row.id for row in rows]),
            Attempt.outcome.in_(OPEN_OUTCOMES),
        )
        .values(outcome=AttemptOutcome.RESOLVED_ABSENT, finished_at=now)
        .execution_options(synchronize_session=False)
    )
    changed(session, now, [(client_id, row.id) for row in rows])


def _resend(session: Session, clock: Clock, client_id: int, rows: Sequence[Any]) -> None:
    del client_id
    emptied = [row.id for row in rows if row.content_removed_at is not None]
    if emptied:
        raise ContentRemovedError(emptied, "call these sent or not sent, and resend the others")
    now = clock.now()
    soonest = literal(now + RESENT_LIVES, UtcDateTime())
    _step(
        session,
        now,
        Step.RESEND,
        rows,
        reason=None,
        error_code=None,
        error_message=None,
        held=None,
        not_before=now,
        expires_at=case((C.expires_at < soonest, soonest), else_=C.expires_at),
        tries=0,
        crashes=0,
        resends=C.resends + 1,
        checked_at=None,
    )


def _step(session: Session, now: datetime, step: Step, rows: Sequence[Any], **values: Any) -> None:
    allowed, target = STEPS[step]
    session.execute(
        update(C)
        .where(among(session, C.id, [row.id for row in rows]), C.status.in_(allowed))
        .values(status=target, owner=None, lease_until=None, updated_at=now, **values)
        .execution_options(synchronize_session=False)
    )


DECIDED = {Decision.SENT: _sent, Decision.NOT_SENT: _not_sent, Decision.RESEND: _resend}
