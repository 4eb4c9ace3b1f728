"""The ledger: every guarded UPDATE that moves a communication, one statement a batch.

A worker claims rows (a lease on queued rows), intends (queued → sending, committed before the first
byte leaves), and settles (sending → what the provider said). Every statement repeats the old state
and the claim in its WHERE; a row it does not touch was decided by somebody else, and is dropped.

Invariants
    1. INTEND happens only to a queued row under a live lease of this very claim, that is not held,
       not expired, not suppressed, and consented to where consent is needed (law 4), of a client
       that may use the engine, and that wants it tracked if it is.
    2. A refusal or a decision not to send closes a row only when no earlier attempt of it is open;
       otherwise it is unknown again (`closed`): the earlier copy may have arrived.

Costs on PostgreSQL are about 3, 7 and 15 µs a row for claim, intent and settle (bench/).
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    exists,
    literal_column,
    null,
    or_,
    update,
)
from sqlalchemy.orm import Session

from accounts.client import TRACKS, usable
from channels.channel import Channel
from communications.communication import Communication, MessageType, Reason
from communications.news import changed
from communications.status import STEPS, Status, Step
from core.clock import Clock
from core.db import over_deadlocks
from core.rows import among
from members.consent import MARKETING, ConsentState, CurrentConsent
from members.member import Member
from members.refusal import refused_at
from members.suppression import Scope, Suppression

C = Communication
QUEUED = C.status == literal_column("'queued'")
"""Literal, not bound: only then do both databases use the partial index."""
SENDING = C.status == literal_column("'sending'")
IN_PROGRESS = C.status.in_([literal_column("'queued'"), literal_column("'sending'")])
"""What is OPEN, in the words of its index."""
CANCELLED = "cancelled"
"""Why a row on the wire is held whose run was cancelled meanwhile."""


def closed(status: Status, reason: Reason | ColumnElement[Any]) -> dict[str, Any]:
    """Return what becomes of a row that does not go again: `status`, for that reason.

    While an earlier attempt is open it becomes unknown instead (invariant 2).
    """
    certain = C.open_attempts == 0
    why = reason.value if isinstance(reason, Reason) else reason
    return {
        "status": case((certain, status.value), else_=Status.UNKNOWN.value),
        "reason": case((certain, why), else_=Reason.NO_ANSWER.value),
    }


KIND = case(
    (C.channel.in_((Channel.EMAIL, Channel.PUSH)), C.channel), else_=literal_column("'sms'")
)
"""Of the address."""


def _suppressed() -> ColumnElement[bool]:
    return exists().where(
        Suppression.client_id == C.client_id,
        Suppression.channel == KIND,
        Suppression.address_hash == C.address_hash,
        or_(Suppression.scope == Scope.ALL, C.message_type == MessageType.MARKETING),
    )


def _consented() -> ColumnElement[bool]:
    granted = exists().where(
        CurrentConsent.member_id == C.member_id,
        CurrentConsent.channel == C.channel,
        CurrentConsent.topic == MARKETING,
        CurrentConsent.state == ConsentState.GRANTED,
    )
    allowed = and_(granted, ~refused_at(C.client_id, KIND, C.channel, C.address_hash))
    return or_(C.message_type != MessageType.MARKETING, C.member_id.is_(None), allowed)


def _deleted() -> ColumnElement[bool]:
    return exists().where(Member.id == C.member_id, Member.deleted_at.is_not(None))


def intend(
    session: Session, clock: Clock, *, ids: Sequence[int], owner: str, lease_seconds: int
) -> set[int]:
    """Write the intent to send: the last gate, in one statement. Return the ids that may be sent.

    The caller commits before the first byte leaves. What is not returned must not be sent.
    """
    now = clock.now()
    allowed, target = STEPS[Step.INTEND]
    passed = session.execute(
        update(C)
        .where(
            among(session, C.id, ids),
            C.status.in_(allowed),
            C.owner == owner,
            C.lease_until > now,
            C.held.is_(None),
            or_(C.expires_at.is_(None), C.expires_at > now),
            ~_suppressed(),
            _consented(),
            ~_deleted(),
            usable(C.client_id, or_(~C.tracked, TRACKS)),
        )
        .values(status=target, lease_until=now + timedelta(seconds=lease_seconds), updated_at=now)
        .returning(C.id)
        .execution_options(synchronize_session=False)
    )
    return set(passed.scalars())


def turn_away(session: Session, clock: Clock, *, ids: Sequence[int], owner: str) -> None:
    """Settle claimed rows that did not pass the gate: skipped with the reason, or given back."""
    now = clock.now()
    allowed, target = STEPS[Step.SKIP]
    why = case(
        (_deleted(), Reason.MEMBER_DELETED.value),
        (and_(C.expires_at.is_not(None), C.expires_at <= now), Reason.EXPIRED.value),
        (_suppressed(), Reason.SUPPRESSED.value),
        (~_consented(), Reason.NO_CONSENT.value),
    )
    mine = and_(among(session, C.id, ids), C.status.in_(allowed), C.owner == owner)
    skipped = session.execute(
        update(C)
        .where(mine, C.held.is_(None), why.is_not(None))
        .values(**closed(target, why), owner=None, lease_until=None, updated_at=now)
        .returning(C.client_id, C.id)
        .execution_options(synchronize_session=False)
    )
    changed(session, now, [(row.client_id, row.id) for row in skipped])
    release(session, ids=ids, owner=owner)


def release(session: Session, *, ids: Sequence[int], owner: str) -> None:
    """Give claimed rows back untouched: nothing was sent, so this is always safe."""
    session.execute(
        update(C)
        .where(among(session, C.id, ids), QUEUED, C.owner == owner)
        .values(owner=None, lease_until=None, tries=C.tries - 1)
        .execution_options(synchronize_session=False)
    )


def skip_claimed(
    session: Session, clock: Clock, *, ids: Sequence[int], owner: str, reason: Reason, detail: str
) -> None:
    """Skip claimed rows that cannot be sent at all, such as those that do not render."""
    now = clock.now()
    allowed, target = STEPS[Step.SKIP]
    skipped = session.execute(
        update(C)
        .where(among(session, C.id, ids), C.status.in_(allowed), C.owner == owner)
        .values(
            **closed(target, reason),
            error_message=detail[:300],
            owner=None,
            lease_until=None,
            updated_at=now,
        )
        .returning(C.client_id, C.id)
        .execution_options(synchronize_session=False)
    )
    changed(session, now, [(row.client_id, row.id) for row in skipped])


def skip_queued(
    session: Session,
    clock: Clock,
    *,
    reason: Reason,
    run_id: int | None = None,
    client_id: int | None = None,
    member_id: int | None = None,
    address_hashes: Sequence[str] | None = None,
    marketing_only: bool = False,
) -> int:
    """Skip what is still queued, claimed or not: the intent of a claimed row then fails.

    Give a run, or a client with a member or addresses. Returns how many rows were skipped.
    """
    now = clock.now()
    allowed, target = STEPS[Step.SKIP]
    condition: list[ColumnElement[bool]] = [C.status.in_(allowed)]
    if run_id is not None:
        condition.append(C.run_id == run_id)
    if client_id is not None:
        condition.append(C.client_id == client_id)
    if member_id is not None:
        condition.append(C.member_id == member_id)
    if address_hashes is not None:
        condition.append(among(session, C.address_hash, list(address_hashes)))
    if marketing_only:
        condition.append(C.message_type == MessageType.MARKETING)
    if run_id is not None:
        # What is on the wire finishes; should it come back unsent, it is not to go again.
        flying = (
            update(C)
            .where(C.run_id == run_id, SENDING)
            .values(held=CANCELLED)
            .execution_options(synchronize_session=False)
        )
        over_deadlocks(session, lambda: session.execute(flying))
    statement = (
        update(C)
        .where(*condition)
        .values(
            **closed(target, reason),
            held=None,
            owner=None,
            lease_until=None,
            updated_at=now,
        )
        .returning(C.client_id, C.id)
        .execution_options(synchronize_session=False)
    )
    skipped = over_deadlocks(session, lambda: session.execute(statement).all())
    changed(session, now, [(row.client_id, row.id) for row in skipped])
    return len(skipped)


def hold_run(session: Session, run_id: int, *, why: str = "paused") -> int:
    """Keep a run's queued rows from being sent; return how many.

    Effective at once, also for rows a worker has claimed: the intent refuses held rows. A row on
    the wire is held too: it finishes, and waits if it comes back unsent. Costs one update of every
    queued row of the run, so that idle lanes cost nothing while it is paused.
    """
    statement = (
        update(C)
        .where(C.run_id == run_id, IN_PROGRESS, C.held.is_(None))
        .values(held=why)
        .returning(C.id)
        .execution_options(synchronize_session=False)
    )
    return over_deadlocks(session, lambda: len(session.execute(statement).all()))


def free_run(session: Session, run_id: int, *, why: str = "paused") -> int:
    """Let a held run's rows go again; return how many."""
    statement = (
        update(C)
        .where(C.run_id == run_id, IN_PROGRESS, C.held == why)
        .values(held=None)
        .returning(C.id)
        .execution_options(synchronize_session=False)
    )
    return over_deadlocks(session, lambda: len(session.execute(statement).all()))


def untrack_campaign(session: Session, campaign_id: int) -> int:
    """Let a campaign's queued rows tell of no opens and clicks; return how many.

    Effective at once, also for rows a worker has claimed: they are its own no longer, and rendered
    anew. What is on the wire at that moment is as it was rendered, and goes again untracked should
    it come back unsent.
    """
    claimed = and_(QUEUED, C.owner.is_not(None))
    statement = (
        update(C)
        .where(C.campaign_id == campaign_id, IN_PROGRESS, C.tracked)
        .values(
            tracked=False,
            owner=case((QUEUED, null()), else_=C.owner),
            lease_until=case((QUEUED, null()), else_=C.lease_until),
            tries=C.tries - case((claimed, 1), else_=0),
        )
        .returning(C.id)
        .execution_options(synchronize_session=False)
    )
    return over_deadlocks(session, lambda: len(session.execute(statement).all()))
