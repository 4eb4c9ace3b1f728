"""Poison: queued messages that are held because workers died with them, one after the other.

Nothing of the last try was sent, so letting one go again cannot make a second copy.
"""

import enum
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from accounts.audit import record
from communications.claim import POISON
from communications.communication import Communication, Reason
from communications.errors import NothingExpectedError, UnexpectedCountError
from communications.ledger import QUEUED, closed
from communications.news import changed
from communications.status import STEPS, Step
from communications.unknown import SHOWN, Resolved
from core.clock import Clock
from core.rows import among

C = Communication


class Verdict(enum.StrEnum):
    """What an operator says of poison."""

    RELEASE = "release"  # try it again: the workers died of something else
    SKIP = "skip"  # do not send it


def held_rows(
    session: Session,
    client_id: int,
    *,
    ids: Sequence[int] | None = None,
    limit: int | None = 50,
) -> list[Communication]:
    """Return up to `limit` messages of a client that are held as poison, oldest first."""
    query = select(C).where(*_held(session, client_id, ids)).order_by(C.id).limit(limit)
    return list(session.scalars(query))


def held_count(session: Session, client_id: int, ids: Sequence[int] | None = None) -> int:
    """Return how many messages of a client are held as poison; of `ids`, where given."""
    return session.scalar(select(func.count()).where(*_held(session, client_id, ids))) or 0


def decide(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    ids: Sequence[int] | None,
    verdict: Verdict,
    expected: int,
    actor: str,
) -> Resolved:
    """Release or skip held messages (those of `ids`, or all), and record it.

    Raises UnexpectedCountError when they are not as many as `expected`, NothingExpectedError for
    0; nothing is changed then.
    """
    if expected < 1:
        raise NothingExpectedError(
            "no messages are meant", field="count", remedy="choose held messages"
        )
    now = clock.now()
    found = session.execute(
        select(C.id, C.run_id)
        .where(*_held(session, client_id, ids))
        .order_by(C.id)
        .with_for_update()
    ).all()
    if len(found) != expected:
        raise UnexpectedCountError(len(found), expected)
    session.execute(
        update(C)
        .where(among(session, C.id, [row.id for row in found]), QUEUED, C.held == POISON)
        .values(held=None, updated_at=now, **_values(verdict))
        .execution_options(synchronize_session=False)
    )
    changed(session, now, [(client_id, row.id) for row in found])
    record(
        session,
        clock,
        client_id=client_id,
        actor=actor,
        action=f"poison.{verdict.value}",
        rows=len(found),
        ids=[row.id for row in found[:SHOWN]],
    )
    session.flush()
    return Resolved(len(found), tuple(sorted({row.run_id for row in found if row.run_id})))


def _values(verdict: Verdict) -> dict[str, Any]:
    if verdict is Verdict.RELEASE:
        return {"crashes": 0}
    return closed(STEPS[Step.SKIP][1], Reason.CANCELLED)


def _held(session: Session, client_id: int, ids: Sequence[int] | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [C.client_id == client_id, QUEUED, C.held == POISON]
    if ids is not None:
        conditions.append(among(session, C.id, ids))
    return conditions
