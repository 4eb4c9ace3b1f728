"""Unknown rows as they come about: answers lost, workers stopped, a database restored."""

from collections.abc import Callable
from typing import Any

from channels.outcome import Ambiguous
from communications.claim import Claimed
from communications.communication import Communication
from communications.settle import Settled, settle
from core.clock import Clock
from core.db import Sessions, write

Lose = Callable[..., list[Claimed]]
Row = Callable[[int], Communication]


def lost(sessions: Sessions, clock: Clock, account_id: int, rows: list[Claimed]) -> list[Claimed]:
    """Settle rows that are on the wire as unanswered."""
    with write(sessions) as session:
        results = [Settled(row, Ambiguous("no answer in time")) for row in rows]
        settle(session, clock, account_id=account_id, results=results)
    return rows


def told(row: Communication) -> tuple[Any, ...]:
    """What everybody sees of a message once all is known."""
    return row.status, row.reason, row.rank, row.delivered_at, row.owner, row.held
