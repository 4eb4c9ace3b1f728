"""Partition: the month of events that one table holds, on PostgreSQL; and forgetting old events.

Events of a month that has no table yet wait in `events_default`, which every query reads too, so
nothing depends on this having run; what is older than OLDEST stays there. On SQLite there is one
table and nothing to do.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from core.clock import Clock
from core.db import is_sqlite
from core.rows import among
from members.event import OLDEST, Event

MONTHS_AHEAD = 2
MONTHS_AT_ONCE = 6
"""Each copies its waiting events and locks the table for a moment."""
SLICE = 5000
"""Events that one call forgets: some tenths of a second."""
MAKE = text(
    # DDL takes no parameters; the month travels as a setting of this transaction.
    """
    DO $$
    DECLARE
        first date := current_setting('echelonx.month')::date;
        name text := 'events_' || to_char(first, 'YYYY_MM');
        starts timestamptz := first::timestamp AT TIME ZONE 'UTC';
        ends timestamptz := (first + interval '1 month')::timestamp AT TIME ZONE 'UTC';
    BEGIN
        IF to_regclass(name) IS NOT NULL THEN
            RETURN;
        END IF;
        LOCK TABLE events IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING ALL)', name);
        EXECUTE format(
            'WITH moved AS (DELETE FROM events_default WHERE occurred_at >= $1 AND occurred_at < $2
             RETURNING *) INSERT INTO %I SELECT * FROM moved', name) USING starts, ends;
        EXECUTE format(
            'ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            name, starts, ends);
    END $$
    """
)
WAITING = text(
    "SELECT DISTINCT date_trunc('month', occurred_at AT TIME ZONE 'UTC')::date AS month"
    " FROM events_default WHERE occurred_at >= :since ORDER BY 1 LIMIT :count"
)


def make_months(session: Session, clock: Clock) -> int:
    """Give this month, the next MONTHS_AHEAD and months whose events wait a table each.

    Returns how many were looked at. Doing it again is cheap; two that do it at once wait for each
    other. Nobody can write or read an event until the table is attached: who began to read without
    knowing of it would miss those that moved.
    """
    if is_sqlite(session):
        return 0
    # Behind a long transaction it gives up, rather than hold up every event; the next look is soon.
    session.execute(text("SET LOCAL lock_timeout = '2s'"))
    months = {_month(clock.now(), ahead) for ahead in range(MONTHS_AHEAD + 1)}
    since = clock.now() - OLDEST
    waiting = session.scalars(WAITING, {"count": MONTHS_AT_ONCE, "since": since})
    months |= {str(month) for month in waiting}
    for month in sorted(months):
        session.execute(select(func.set_config("echelonx.month", month, True)))
        session.execute(MAKE)
    return len(months)


def forget_events(
    session: Session, clock: Clock, *, client_id: int, older_than_days: int, limit: int = SLICE
) -> int:
    """Delete up to `limit` of a client's events that happened so long ago; return how many.

    The rollups and the message ids stay: what is counted remains counted, and a repeat of a
    forgotten event is still a repeat.
    """
    before = clock.now() - timedelta(days=older_than_days)
    old = (
        # In no order: whichever are found first will do, and nothing need be sorted.
        select(Event.id)
        .where(Event.client_id == client_id, Event.occurred_at < before)
        .limit(limit)
    )
    ids = list(session.scalars(old))
    if ids:
        session.execute(
            delete(Event)
            .where(Event.client_id == client_id, among(session, Event.id, ids))
            .where(Event.occurred_at < before)
            .execution_options(synchronize_session=False)
        )
    return len(ids)


def _month(now: datetime, ahead: int) -> str:
    """Return the first day of the month `ahead` months from now."""
    months = now.astimezone(UTC).year * 12 + now.astimezone(UTC).month - 1 + ahead
    return f"{months // 12:04d}-{months % 12 + 1:02d}-01"
