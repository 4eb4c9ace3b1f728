"""Rollup: counts kept beside a table on PostgreSQL, by triggers that add what a statement changed.

Such a rollup has `client_id`, `day`, keys, counts that add up, and `joined`. A statement adds rows,
positive or negative, so that nobody waits for a counter; a worker joins those that are alike.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import DDL, Table, cast, delete, event, func, insert, literal, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.schema import ExecutableDDLElement

from core.db import Base, is_sqlite

MOST_JOINED = 100
"""Days of clients that are joined in one transaction."""
LOOKED_AT = 10_000
"""Rows to be joined that say which days these are."""
NEW, OLD = "SELECT 1 AS sign, * FROM new_rows", "SELECT -1 AS sign, * FROM old_rows"
"""What a statement of a trigger counts: what came, and what went."""
TABLES = {
    "INSERT": "NEW TABLE AS new_rows",
    "UPDATE": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "OLD TABLE AS old_rows",
}


def keep_by_triggers(table: Table, rollup: str, function: str) -> None:
    """Let PostgreSQL make the function `{rollup}_count` and its triggers after `table`."""
    triggers = [
        f"""
        CREATE TRIGGER {rollup}_{deed.lower()} AFTER {deed} ON {table.name}
        REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION {rollup}_count()
        """
        for deed, tables in TABLES.items()
    ]
    for statement in (function, *triggers):
        made: ExecutableDDLElement = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]
        event.listen(table, "after_create", made.execute_if(dialect="postgresql"))


def join_days(
    session: Session, rollup: type[Base], keys: Sequence[str], counts: Sequence[str], *, turn: int
) -> bool:
    """Make one row of all that are alike, of days that changed; say whether there may be more.

    Who counts meanwhile sees either; what others add meanwhile stays, and is joined the next time.
    `turn` is the PostgreSQL advisory lock of who joins: two at once would deadlock.
    """
    if is_sqlite(session) or not session.scalar(select(func.pg_try_advisory_xact_lock(turn))):
        return False
    table = rollup.__table__
    apart = select(table.c.client_id, table.c.day).where(~table.c.joined)
    found = session.execute(apart.order_by(table.c.id).limit(LOOKED_AT)).all()
    days = list(dict.fromkeys((row.client_id, row.day) for row in found))
    for client_id, day in days[:MOST_JOINED]:
        whose = (table.c.client_id == client_id, table.c.day == day)
        _join(session, table, whose, ("client_id", "day", *keys), counts)
    return len(found) == LOOKED_AT or len(days) > MOST_JOINED


def _join(
    session: Session, table: Any, whose: Sequence[Any], keys: Sequence[str], counts: Sequence[str]
) -> None:
    gone = delete(table).where(*whose).returning(*table.c).cte("gone")
    alike = [gone.c[name] for name in keys]
    sums = [cast(func.sum(gone.c[name]), table.c[name].type).label(name) for name in counts]
    whole = select(*alike, *sums, literal(value=True).label("joined")).group_by(*alike).subquery()
    some = or_(*[whole.c[name] != 0 for name in counts])
    names = [*keys, *counts, "joined"]
    session.execute(insert(table).from_select(names, select(*whole.c).where(some)))
