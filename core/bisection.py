"""Bisection: where in a table a moment lies, for tables whose ids rise with time.

Some ten looks into the primary key instead of an index of the time, which every row would pay for.
A clock that was wrong by up to an hour misleads none of them: the moment looked for is so much
earlier, or later, that such rows lie within; who asks filters by the time itself.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, func, literal, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.db import BigId

SLACK = 5_000
"""More ids than are written in one chunk: so far may two that write at once be out of order."""
WRONG = timedelta(hours=1)
"""So wrong a writer's clock may be. `echelonx doctor` warns of one that is wrong by seconds."""
RIGHT = timedelta(0)


def first_since(
    session: Session,
    ids: InstrumentedAttribute[int],
    at: InstrumentedAttribute[datetime],
    moment: datetime,
    *,
    after: int = 0,
    wrong: timedelta = WRONG,
) -> int:
    """Return an id, `after` or beyond, before which no row is as young as `moment`.

    It is at most some thousand ids and twice `wrong` early: a row that is wrong lies that far from
    one that is wrong the other way. One statement, whatever the table's size.
    """
    low, _ = _narrowed(session, ids, at, moment - 2 * wrong, after)
    return max(after, low - SLACK)


def last_before(
    session: Session,
    ids: InstrumentedAttribute[int],
    at: InstrumentedAttribute[datetime],
    moment: datetime,
) -> int:
    """Return an id beyond which no row is older than `moment`; as near as `first_since`."""
    _, high = _narrowed(session, ids, at, moment + 2 * WRONG, 0)
    return high + SLACK


def _narrowed(
    session: Session,
    ids: InstrumentedAttribute[int],
    at: InstrumentedAttribute[datetime],
    moment: datetime,
    after: int,
) -> tuple[int, int]:
    """Return two near ids: the rows before one are older, those from the other on are not."""
    newest = select(func.coalesce(func.max(ids), 0)).scalar_subquery()
    start: Any = select(literal(after, BigId).label("low"), newest.label("high"))
    part = start.cte("part", recursive=True)
    low, high = part.c.low, part.c.high
    middle = (low + high) // 2
    found = select(at).where(ids >= middle).order_by(ids).limit(1).correlate(part)
    young = func.coalesce(found.scalar_subquery() >= moment, true())
    halves = select(case((young, low), else_=middle), case((young, middle), else_=high)).where(
        high - low > SLACK
    )
    part = part.union_all(halves)
    narrowest = select(part.c.low, part.c.high).order_by(part.c.high - part.c.low).limit(1)
    one = session.execute(narrowest).one()
    return one.low, one.high
