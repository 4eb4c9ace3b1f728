"""ClientExport: the export of everything of a client, which one worker writes at one go.

It shows the database at one moment, which nobody can come back to. So a worker that died, or an
erasure, makes it begin anew, under another name of its file.
"""

import secrets
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from communications.export import Export, ExportOf, ExportStatus
from core.clock import Clock

LEASE = timedelta(seconds=120)
"""A worker that has not told of progress for so long is taken for dead."""


def _open(clock: Clock) -> tuple[ColumnElement[bool], ...]:
    lost = and_(Export.status == ExportStatus.RUNNING, Export.leased_until < clock.now())
    return Export.of == ExportOf.CLIENT, or_(Export.status == ExportStatus.QUEUED, lost)


def archive_waits(session: Session, clock: Clock) -> bool:
    """Say whether any client's archive waits to be begun, or lost its worker."""
    return session.scalar(select(Export.id).where(*_open(clock)).limit(1)) is not None


def take_up(session: Session, clock: Clock) -> Export | None:
    """Begin the oldest archive that waits; None when there is none."""
    query = select(Export).where(*_open(clock)).order_by(Export.id).limit(1)
    found = session.scalar(query.with_for_update(skip_locked=True))
    if found is None:
        return None
    now = clock.now()
    found.status, found.started_at = ExportStatus.RUNNING, found.started_at or now
    found.kept_as, found.leased_until = secrets.token_hex(16), now + LEASE
    found.rows, found.position, found.last_id = 0, 0, 0
    session.flush()
    return found


def still_wanted(session: Session, clock: Clock, export: Export, *, rows: int, of: int) -> bool:
    """Note how many rows `of` all there are; False when it was cancelled, deleted or begun anew."""
    held = session.execute(
        update(Export)
        .where(
            Export.id == export.id,
            Export.kept_as == export.kept_as,
            Export.status == ExportStatus.RUNNING,
        )
        .values(rows=rows, position=rows, last_id=of, leased_until=clock.now() + LEASE)
        .returning(Export.id)
        .execution_options(synchronize_session=False)
    )
    return held.scalar() is not None
