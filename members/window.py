"""Window: “in the last 7 days” as whole days in UTC, today included."""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple


class Days(NamedTuple):
    """From the first day to the last; both belong to it."""

    first: date
    last: date

    def __contains__(self, day: object) -> bool:
        """Say whether a day lies in it."""
        return isinstance(day, date) and self.first <= day <= self.last


def days_of(days: int, now: datetime) -> Days:
    """Return the last `days` days; 1 is today alone."""
    today = now.astimezone(UTC).date()
    return Days(today - timedelta(days=days - 1), today)


def edges(days: int, now: datetime) -> tuple[datetime, datetime]:
    """Return the instant the window begins, and the one at which it is over."""
    first, last = days_of(days, now)
    return midnight(first), midnight(last + timedelta(days=1))


def midnight(day: date) -> datetime:
    """Return the instant a day begins, in UTC."""
    return datetime.combine(day, time(), UTC)
