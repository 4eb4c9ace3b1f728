"""Failpoints: the places where a process may be made to die, so that tests can see what is left.

Each marks one moment of the protocol; ECHELONX_FAILPOINTS arms some of them in one process:
`C6:kill@3,C8:kill%0.01` dies at C6 when it gets there for the third time, and at C8 one time in a
hundred. What can be done there is `kill` (SIGKILL) and `stop` (SIGSTOP). Not armed, a failpoint
costs one look at an empty dictionary.
"""

import os
import random
import re
import signal
from dataclasses import dataclass
from threading import Lock

from core.errors import InvalidError

POINTS = {
    "C1": "before a run exists",
    "C2": "within a chunk of the fan-out, before its commit",
    "C3": "after a chunk was committed",
    "C4": "after the claim",
    "C5": "while rendering",
    "C6": "after the intent, before the first byte",
    "C7": "after the last byte, before the answer",
    "C8": "after the answer, before it is written down",
    "C9": "while it is written down, before the commit",
    "C10": "after it was written down",
    "C11": "after a receipt was acknowledged, before it is applied",
    "C12": "before a receipt is stored",
    "C13": "after members of a journey took their steps, before the commit",
    "C14": "after their steps were committed",
    "C15": "after a journey heard what happened, before the commit",
}
JOURNEYS = ("C13", "C14", "C15")
"""Those that only journeys reach."""
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
PLAN = re.compile(r"(C\d+):(kill|stop)(?:@(\d+)|%(0?\.\d+|1))")


class FailpointError(InvalidError):
    """A failpoint that is not there, or not written as it should be."""

    code = "failpoint"


@dataclass(slots=True)
class _Armed:
    signal: signal.Signals
    at: int | None
    """The visit it strikes on; None: by chance."""
    share: float
    visits: int = 0


_ARMED: dict[str, _Armed] = {}
_LOCK = Lock()


def arm(text: str) -> None:
    """Arm what `text` says and disarm the rest. Raises FailpointError."""
    planned: dict[str, _Armed] = {}
    for plan in filter(None, text.split(",")):
        read = PLAN.fullmatch(plan.strip())
        if read is None or read[1] not in POINTS:
            raise FailpointError(
                f"{plan} is no failpoint",
                field="failpoints",
                remedy="write C6:kill@3 or C6:kill%.1",
            )
        at = int(read[3]) if read[3] else None
        planned[read[1]] = _Armed(SIGNALS[read[2]], at, float(read[4] or 0))
    _ARMED.clear()
    _ARMED.update(planned)


def reach(point: str) -> None:
    """Pass a failpoint, or not."""
    if _ARMED and point in _ARMED:
        _strike(_ARMED[point])


def _strike(armed: _Armed) -> None:
    with _LOCK:
        armed.visits += 1
        due = armed.visits == armed.at if armed.at else random.random() < armed.share  # noqa: S311
    if due:
        os.kill(os.getpid(), armed.signal)
