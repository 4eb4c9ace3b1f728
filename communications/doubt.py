"""Doubt: what becomes of messages when the database went back in time, or has a double.

A restored database says `queued` where the one that was lost may have said `sent`. Nobody can tell
from the row, so it becomes `unknown`: evidence or an operator decides, never a second send.
"""

from datetime import datetime

from sqlalchemy import or_, text, update
from sqlalchemy.orm import Session

from communications.communication import Communication, Reason
from communications.status import STEPS, Status, Step
from core.clock import Clock
from core.db import is_sqlite
from core.log import get

log = get(__name__)

C = Communication
LEAP = 10**9
"""More messages than anybody sends between a backup and its restoration."""


def doubt(session: Session, clock: Clock, *, until: datetime, born: datetime | None = None) -> int:
    """Turn what may have been sent up to `until` into `unknown`; return how many.

    That is everything on its way and everything queued that was due by then, claimed, held or not.
    With `born`, only rows that are no younger. Claims of live workers are void: their intent fails.
    """
    allowed, target = STEPS[Step.DOUBT]
    older = [] if born is None else [C.created_at <= born]
    doubted = session.connection().execute(
        update(C)
        .where(
            C.status.in_(allowed), or_(C.status == Status.SENDING, C.not_before <= until), *older
        )
        .values(
            status=target,
            reason=Reason.RESTORED,
            open_attempts=C.open_attempts + 1,
            held=None,
            owner=None,
            lease_until=None,
            updated_at=clock.now(),
        )
        .execution_options(preserve_rowcount=True)
    )
    return doubted.rowcount


def leap(session: Session) -> None:
    """Number what comes from now on beyond anything that was numbered in the time that is lost.

    What was sent then is still out there: its receipts, clicks and unsubscribe links name numbers
    that this database knows nothing of, and they must not come to mean somebody else's message.
    """
    if not is_sqlite(session):
        _leap_on_a_server(session)
        return
    counted = "SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'"
    if session.scalar(text(counted)) is None:
        log.warning("this file is from before 0.1.0 was finished: numbers of lost messages return")
        return
    known = {"table": C.__tablename__, "leap": LEAP}
    session.execute(text("UPDATE sqlite_sequence SET seq = seq + :leap WHERE name = :table"), known)
    session.execute(
        text(
            "INSERT INTO sqlite_sequence (name, seq) SELECT :table, :leap WHERE NOT EXISTS "
            "(SELECT 1 FROM sqlite_sequence WHERE name = :table)"
        ),
        known,
    )


def _leap_on_a_server(session: Session) -> None:
    sequence = session.scalar(
        text("SELECT pg_get_serial_sequence(:table, 'id')"), {"table": C.__tablename__}
    )
    session.execute(
        text("SELECT setval(:sequence, nextval(:sequence) + :leap)"),
        {"sequence": sequence, "leap": LEAP},
    )
