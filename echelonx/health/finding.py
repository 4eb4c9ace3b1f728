"""Finding: what one check found out, as a fact and, where it is bad, what to do."""

import enum
from dataclasses import dataclass


class State(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's."""

    state: State
    name: str
    """What was looked at."""
    fact: str
    remedy: str | None = None


def ok(name: str, fact: str) -> Finding:
    """Return good news."""
    return Finding(State.OK, name, fact)


def warn(name: str, fact: str, remedy: str) -> Finding:
    """Return what works, but not for long or not for everybody."""
    return Finding(State.WARN, name, fact, remedy)


def fail(name: str, fact: str, remedy: str | None) -> Finding:
    """Return what does not work."""
    return Finding(State.FAIL, name, fact, remedy)


def skip(name: str, fact: str) -> Finding:
    """Return what was not looked at, and why."""
    return Finding(State.SKIP, name, fact)


def age(seconds: float) -> str:
    """Return a duration as people say it."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
