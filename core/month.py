"""Months of the UTC calendar, in Python and in SQL."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import ColumnElement, case

from core.errors import InvalidError

MOST = 24


def last_months(now: datetime, count: int) -> list[datetime]:
    """Return the starts of the last `count` months, this one first. Raises InvalidError."""
    if not 1 <= count <= MOST:
        raise InvalidError(
            f"ask for 1 to {MOST} months", field="months", remedy="give another number"
        )
    this = now.astimezone(UTC).year * 12 + now.astimezone(UTC).month - 1
    return [
        datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
        for month in range(this, this - count, -1)
    ]


def month_name(start: date) -> str:
    """Return how a month is written: 2026-11."""
    return f"{start:%Y-%m}"


def month_of(column: Any, starts: Sequence[date]) -> ColumnElement[Any]:
    """Return the month a time falls into, of those that begin with `starts`, newest first.

    A comparison or two a row; making text of an instant costs ten times as much.
    """
    return case(*[(column >= start, month_name(start)) for start in starts], else_=None)
