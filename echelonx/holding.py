"""Holding: how nothing comes to be sent, what that makes doubtful, and how it ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from accounts.audit import AuditEntry, record
from campaigns.control import pause_unfinished, pause_waiting
from communications.doubt import doubt, leap
from core.clock import Clock
from core.log import get
from echelonx.home import home
from echelonx.logbook import Note
from scheduling import instance
from scheduling.occurrence import miss

log = get(__name__)

COMMAND = "echelonx resume"
HOLD, LIFT = "instance.hold", "instance.resume"
ENGINE = "engine"
SHOWN = 50
"""Names kept in the audit log; the counts beside them are of all."""
PAUSED = (
    "The database was restored or copied while this campaign was still reaching people. "
    "Some of the rest may have got it already."
)
MISSED = (
    "The database was restored or copied after this campaign's time had come, and it may have been "
    "sent already."
)


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold that is in force."""

    since: datetime
    reason: str
    detail: dict[str, Any]
    """What became of the rest: `unknown`, `missed`, `paused`, with `schedules`, `campaigns`."""


def begin_hold(session: Session, clock: Clock, *, reason: str, until: datetime) -> bool:
    """Hold everything, and doubt what may have been sent up to `until`; False if held already."""
    if not instance.hold(session, clock, reason=reason):
        return False
    leap(session)
    # Campaigns first: pausing locks them, as everything does that changes both.
    paused = pause_unfinished(session, clock, reason=PAUSED)
    _doubt(session, clock, action=HOLD, actor=ENGINE, until=until, paused=paused, reason=reason)
    log.error("nothing is sent: held", reason=reason, command=COMMAND)
    return True


def current_hold(session: Session) -> Hold | None:
    """Return the hold in force."""
    row = instance.instance(session)
    if row is None or row.held_at is None:
        return None
    entries = select(AuditEntry.detail).where(
        AuditEntry.client_id.is_(None), AuditEntry.action == HOLD
    )
    detail = session.scalar(entries.order_by(AuditEntry.id.desc()).limit(1))
    return Hold(row.held_at, row.held_reason or "", detail or {})


def end_hold(session: Session, clock: Clock, *, actor: str, note: Note | None) -> int | None:
    """Let it send again from where it is now, and return the new epoch; None if nothing was held.

    `note` is what is known outside. A copy's original may have gone on meanwhile: what it had then,
    and was due since, is doubted too.
    """
    held = instance.instance(session)
    if held is None or held.held_at is None:
        return None
    if note is not None:
        instance.note_epoch(session, note.epoch)
    here, now = home(session), clock.now()
    if held.home != here:
        _doubt(session, clock, action=LIFT, actor=actor, until=now, born=held.held_at)
    else:
        record(session, clock, client_id=None, actor=actor, action=LIFT)
    return instance.lift(session, clock, home=here)


def _doubt(
    session: Session,
    clock: Clock,
    *,
    action: str,
    actor: str,
    until: datetime,
    born: datetime | None = None,
    paused: Sequence[int] = (),
    **more: Any,
) -> None:
    pause_waiting(session, clock, until=until, born=born, reason=MISSED)
    missed = miss(session, until=until, born=born)
    record(
        session,
        clock,
        client_id=None,
        actor=actor,
        action=action,
        until=until.isoformat(),
        unknown=doubt(session, clock, until=until, born=born),
        missed=len(missed),
        schedules=missed[:SHOWN],
        paused=len(paused),
        campaigns=list(paused[:SHOWN]),
        **more,
    )
