"""Fault: a request under a fault, as every HTTP provider suffers it."""

from collections.abc import Callable
from dataclasses import replace

from channels.simulators.server import CUT, HANG, Answer
from channels.simulators.table import Fault

REFUSED = ("400", "401", "429", "503")
ASKING = ("429", "503")
"""These say when to come back."""
ODD_PAGE = b"<html><body>OK</body></html>"


def struck(fault: Fault, accept: Callable[[], Answer], refuse: Callable[[Fault], Answer]) -> Answer:
    """Return the answer to a valid request.

    `accept()` takes the message, durably, and says so; `refuse(fault)` is the provider's own error
    document for a fault whose kind is a status.
    """
    if fault.kind in REFUSED or fault.kind in ("reset", "500", "hang"):
        return _unanswered(fault, accept, refuse)
    answer = accept()
    match fault.kind:
        case "lost":
            return CUT
        case "slow" | "early":
            return replace(answer, wait=fault.seconds)
        case "empty":
            return replace(answer, body=b"")
        case "odd":
            return replace(answer, body=ODD_PAGE, headers={"Content-Type": "text/html"})
        case _:
            return answer


def _unanswered(
    fault: Fault, accept: Callable[[], Answer], refuse: Callable[[Fault], Answer]
) -> Answer:
    """Return what is said by one that does not say yes, whether or not it took the message."""
    if fault.kind in ("500", "hang") and fault.accepted:
        accept()
    if fault.kind == "reset":
        return CUT
    if fault.kind == "hang":
        return HANG
    answer = refuse(fault)
    if fault.kind not in ASKING:
        return answer
    return replace(answer, headers={**answer.headers, "Retry-After": f"{fault.retry_after:g}"})
