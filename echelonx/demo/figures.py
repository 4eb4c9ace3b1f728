"""Figures: the demo's numbers, each counted from rows when it is asked for."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from campaigns.run import Run, RunStatus
from campaigns.statistics import run_statistics
from communications.event import CommunicationEvent, EventState
from core.db import read
from echelonx.wiring import Services
from webhooks.click import Click
from webhooks.inbox import InboxItem, InboxState

CHANNELS = ("email", "sms", "push")
COLUMNS = (
    "audience", "sent", "skipped", "failed", "unknown",
    "delivered", "bounced", "pending", "read", "clicked", "replied",
)  # fmt: skip
Numbers = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Figures:
    """How far a run is."""

    channels: Numbers
    """By channel: COLUMNS, and `queued`."""
    expanded: bool
    done: bool
    waiting: int
    """Stored webhooks and clicks that were not applied yet."""

    @property
    def queued(self) -> int:
        """Messages not sent yet, or on their way."""
        return sum(numbers["queued"] for numbers in self.channels.values())


def figures(services: Services, client_id: int, run_id: int) -> Figures:
    """Count where a run stands."""
    with read(services.sessions) as session:
        run = session.get_one(Run, run_id)
        statistics = run_statistics(session, client_id, run_id)
        waiting = _count(session, select(InboxItem.id).where(InboxItem.state == InboxState.NEW))
        waiting += _count(session, select(Click.id))
        return Figures(
            channels={channel.value: numbers for channel, numbers in statistics.items()},
            expanded=run.expanded_at is not None,
            done=run.status in (RunStatus.DONE, RunStatus.CANCELLED),
            waiting=waiting,
        )


def webhooks(services: Services, client_id: int) -> dict[str, int]:
    """Count the events that came: all of them, those known already, those of nobody.

    A request that came again brought all of its events again.
    """
    held, known = InboxItem.events, InboxItem.duplicates
    again = held * InboxItem.repeats
    sums = select(func.sum(held + again), func.sum(known + again))
    with read(services.sessions) as session:
        received, duplicates = session.execute(sums.where(InboxItem.client_id == client_id)).one()
        unmatched = _count(
            session,
            select(CommunicationEvent.id).where(
                CommunicationEvent.client_id == client_id,
                CommunicationEvent.state != EventState.APPLIED,
            ),
        )
    return {
        "received": received or 0,
        "duplicates": duplicates or 0,
        "unmatched": unmatched,
    }


def table(channels: Numbers) -> Numbers:
    """Return the columns of the result, channel by channel."""
    return {
        name: {column: channels[name][column] for column in COLUMNS}
        for name in CHANNELS
        if name in channels
    }


def _count(session: Session, query: Any) -> int:
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0
