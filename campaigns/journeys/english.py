"""English: a journey in a sentence."""

from datetime import timedelta

from campaigns.journeys.ast import Journey, Stage
from campaigns.journeys.flow import longest, paths
from campaigns.journeys.program import each_step, program
from core.condition.spelling import plural

MANY = 1000
UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


def summary(journey: Journey) -> str:
    """Return how much a journey holds: `12 steps, 2 paths, longest 6 days.`.

    Stages are no steps of their own; a way that may wait for ever has no longest.
    """
    whole = program(journey)
    steps = sum(1 for step in each_step(journey.steps) if not isinstance(step, Stage))
    count = paths(whole)
    ways = plural(count, "path") if count <= MANY else f"more than {MANY} paths"
    time = longest(whole)
    length = "may wait for ever" if time is None else f"longest {spoken(time)}"
    return f"{plural(steps, 'step')}, {ways}, {length}."


def spoken(time: timedelta) -> str:
    """Return a duration in its two biggest units: “6 days”, “1 day 12 hours”."""
    seconds = int(time.total_seconds())
    parts = []
    for name, size in UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(plural(count, name))
    return " ".join(parts[:2]) or "0 minutes"
