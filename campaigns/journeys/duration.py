"""Duration: `1d12h`, read and written; times of day; the names of weekdays."""

import re
from datetime import time, timedelta

from core.condition.check import ConditionError

UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
"""Seconds."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
TIME = re.compile(r"(\d{1,2}):(\d{2})")
WRITTEN = re.compile(r"(?:\d{1,9}[wdhms])+")


def duration(over: timedelta) -> str:
    """Return a duration of whole seconds as it is written: `30m`, `1d12h`, `2w`, `30d`."""
    seconds = int(over.total_seconds())
    if seconds and seconds % UNITS["w"] == 0:
        return f"{seconds // UNITS['w']}w"
    parts = []
    for unit in "dhms":
        count, seconds = divmod(seconds, UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def read_time(text: str) -> time:
    """Read a time of day such as 09:00. Raises ConditionError for what is none."""
    found = TIME.fullmatch(text)
    hour, minute = map(int, found.groups()) if found else (24, 0)
    if hour > 23 or minute > 59:
        raise ConditionError(f"there is no time {text[:20]}", remedy="write 00:00 to 23:59")
    return time(hour, minute)


def read_duration(text: str) -> timedelta:
    """Read a duration. Raises ConditionError for what is none."""
    folded = text.casefold()
    if not WRITTEN.fullmatch(folded):
        raise ConditionError(
            f"“{text[:20]}” is no duration", remedy="write 90s, 30m, 12h, 3d, 2w or 1d12h"
        )
    parts = re.findall(r"(\d+)([wdhms])", folded)
    try:
        return timedelta(seconds=sum(int(count) * UNITS[unit] for count, unit in parts))
    except OverflowError:
        raise ConditionError(f"{text[:20]} is too long", remedy="keep it to 5 years") from None
