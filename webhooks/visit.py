"""Visit: somebody, or something, followed a link of a message or fetched its pixel.

Visits that come together are written together (group.py): a campaign's readers come at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from channels.adapter import EventType, ProviderEvent
from communications.fold import locked
from communications.receipt import learn_facts
from core.clock import Clock
from webhooks import click


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit of one message."""

    client_id: int
    communication_id: int
    at: datetime
    machine: bool
    position: int | None = None
    """Which link was followed; None for the pixel."""


def keep(session: Session, clock: Clock, visits: Sequence[Visit]) -> None:
    """Note clicks, which wait for their verdict, and learn of opens."""
    clicks = [
        {
            "client_id": visit.client_id,
            "communication_id": visit.communication_id,
            "position": visit.position,
            "machine": visit.machine,
            "at": visit.at,
        }
        for visit in visits
        if visit.position is not None
    ]
    if clicks:
        click.note(session, clicks)
    opens: dict[int, list[Visit]] = {}
    for visit in visits:
        if visit.position is None:
            opens.setdefault(visit.client_id, []).append(visit)
    for client_id, its_opens in sorted(opens.items(), key=lambda pair: pair[0]):
        # All of them first, in one order: two processes that share messages must not deadlock.
        locked(session, client_id, {visit.communication_id for visit in its_opens})
        for machine in (False, True):
            told = {v.communication_id: _opened(v) for v in its_opens if v.machine is machine}
            if told:
                learn_facts(session, clock, client_id=client_id, told=told, source=click.SOURCE)


def _opened(visit: Visit) -> ProviderEvent:
    # A machine's visit must not take the place of the person's that may follow.
    return ProviderEvent(
        type=EventType.OPENED,
        dedup_key=f"open:{visit.communication_id}" + (":machine" if visit.machine else ""),
        occurred_at=visit.at,
        reference=None,
        provider_id=None,
        provider_status="pixel",
        machine=visit.machine,
    )
