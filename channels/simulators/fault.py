"""Fault: a request under a fault, as every HTTP provider suffers it."""

from collections.abc import Callable
from dataclasses import replace

from channels.simulators.script import Fault
from channels.simulators.server import CUT, Answer

RETRY_AFTER = 1
"""Seconds a 429 asks for."""
ODD_PAGE = b"<html><body>OK</body></html>"


def struck(fault: Fault, accept: Callable[[], Answer], refuse: Callable[[int], Answer]) -> Answer:
    """Return the answer to a valid request.

    `accept()` takes the message, durably, and says so; `refuse(status)` is the provider's own
    error document for 400, 429 or 500.
    """
    if fault.kind == "reset":
        return CUT
    if fault.kind in ("400", "429") or (fault.kind == "500" and not fault.accepted):
        return refuse(int(fault.kind))
    answer = accept()
    match fault.kind:
        case "lost":
            return CUT
        case "slow":
            return replace(answer, wait=fault.seconds)
        case "500":
            return refuse(500)
        case "empty":
            return replace(answer, body=b"")
        case "odd":
            return replace(answer, body=ODD_PAGE, headers={"Content-Type": "text/html"})
        case _:
            return answer
