"""Local time: instants of clock times in IANA zones, computed per occurrence.

A local time that does not exist moves to the first valid instant; one that exists twice is the
first of the two (DESIGN law 8; PEP 495).
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY = timedelta(days=1)


@lru_cache(maxsize=1024)
def zone_of(name: str | None, otherwise: str = "UTC") -> ZoneInfo:
    """Return an IANA zone; `otherwise` where there is none of that name."""
    try:
        return ZoneInfo(name or otherwise)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(otherwise)


def instant_at(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return the UTC instant of a local time on a local day."""
    local = datetime.combine(day, at, tzinfo=zone)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    # In a gap: the offset before it says where the clock was put forward from.
    before = local.replace(fold=0).utcoffset() or timedelta(0)
    after = local.replace(fold=1).utcoffset() or timedelta(0)
    low, high = local.replace(fold=0, tzinfo=UTC) - max(before, after), instant
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == high.astimezone(zone).utcoffset():
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)


def next_local(after: datetime, at: time, zone: ZoneInfo, weekday: int | None = None) -> datetime:
    """Return the first instant not before `after` at which it is `at` there (on that weekday)."""
    day = after.astimezone(zone).date() - DAY
    while True:
        if weekday is None or day.weekday() == weekday:
            instant = instant_at(day, at, zone)
            if instant >= after:
                return instant
        day += DAY


def quiet_until(now: datetime, start: time, end: time, zone: ZoneInfo) -> datetime | None:
    """Return when quiet hours that `now` is within are over; None outside of them.

    They may go over midnight (21:00 to 08:00); the end itself is no longer quiet. When the clock is
    put back, the end is the first of the two, and the hour that comes again is not quiet.
    """
    day = now.astimezone(zone).date()
    begun = instant_at(day, start, zone)
    if begun > now:
        begun = instant_at(day - DAY, start, zone)
    over = next_local(begun, end, zone)
    return over if start != end and now < over else None
