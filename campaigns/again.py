"""Again: what operators put back on the queue minds the campaign it belongs to.

Of a paused campaign it waits with the rest; of a cancelled one it is not sent. What belongs to no
run, or to one that is done, goes at once.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns.campaign import Campaign
from campaigns.run import Run, RunStatus
from communications import failure, poison, unknown
from communications.communication import Communication
from communications.errors import CancelledRunError
from communications.failure import Failed, Retried
from communications.ledger import hold_run
from communications.poison import Verdict
from communications.unknown import Decision, Resolved, Which
from core.clock import Clock
from core.rows import among

C = Communication


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
    """Do what an operator decided of unknown messages (communications.unknown.resolve).

    Raises also CancelledRunError for a `resend` that means messages of a cancelled campaign.
    """
    again = decision is Decision.RESEND
    paused = _paused(session, client_id, _meant(session, clock, client_id, which)) if again else []
    done = unknown.resolve(
        session,
        clock,
        client_id=client_id,
        which=which,
        decision=decision,
        expected=expected,
        actor=actor,
    )
    _wait(session, paused)
    return done


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
    """Release or skip messages that are held as poison (communications.poison.decide)."""
    again = verdict is Verdict.RELEASE
    runs = {row.run_id for row in poison.held_rows(session, client_id, ids=ids, limit=None)}
    paused = _paused(session, client_id, runs) if again else []
    done = poison.decide(
        session,
        clock,
        client_id=client_id,
        ids=ids,
        verdict=verdict,
        expected=expected,
        actor=actor,
    )
    _wait(session, paused)
    return done


def send_again(
    session: Session, clock: Clock, *, client_id: int, which: Failed, expected: int, actor: str
) -> Retried:
    """Send failures again that are mended (communications.failure.send_again)."""
    runs = {row.run_id for row in failure.retryable(session, client_id, which).rows}
    paused = _paused(session, client_id, runs)
    done = failure.send_again(
        session, clock, client_id=client_id, which=which, expected=expected, actor=actor
    )
    _wait(session, paused)
    return done


def _meant(session: Session, clock: Clock, client_id: int, which: Which) -> set[int | None]:
    meant = unknown.matching(session, clock, client_id, which)
    return set(session.scalars(select(C.run_id).where(*meant).distinct()))


def _paused(session: Session, client_id: int, run_ids: Iterable[int | None]) -> list[int]:
    """Return those of the runs that are paused. Raises CancelledRunError.

    Their campaigns are locked first, before any message, as everything does that changes both: one
    that is paused or cancelled at the same moment is so either before this or after.
    """
    wanted = sorted({run_id for run_id in run_ids if run_id is not None})
    of_client = (Run.client_id == client_id, among(session, Run.id, wanted))
    campaigns = select(Campaign.id).where(
        Campaign.id.in_(select(Run.campaign_id).where(*of_client))
    )
    session.execute(campaigns.order_by(Campaign.id).with_for_update()).all()
    found = session.execute(select(Run.id, Run.status).where(*of_client))
    statuses = {row.id: row.status for row in found}
    cancelled = [run_id for run_id, status in statuses.items() if status is RunStatus.CANCELLED]
    if cancelled:
        listed = ", ".join(map(str, cancelled[:5]))
        raise CancelledRunError(
            f"some of these messages belong to cancelled runs ({listed})",
            field="decision",
            remedy="call those sent or not sent, run by run, then send the others again",
        )
    return [run_id for run_id, status in statuses.items() if status is RunStatus.PAUSED]


def _wait(session: Session, run_ids: Iterable[int]) -> None:
    for run_id in run_ids:
        hold_run(session, run_id)
