"""Journey: a month of the Nurture recipe, played for the demo's members in seconds."""

from datetime import timedelta
from typing import Any

from campaigns.journeys.acts import segment_of
from campaigns.journeys.recipe import install
from campaigns.journeys.rehearsal import Rehearsal, rehearse
from campaigns.journeys.text import parse
from core.db import write
from echelonx.wiring import Services
from members.segment import Segment

RECIPE = "nurture"
DAYS = 30
PEOPLE = 200
"""So many of the segment are played."""


def play_month(services: Services, client_id: int, segment: Segment) -> dict[str, Any]:
    """Install the recipe, draft only, and rehearse a month of it; return what would be sent."""
    with write(services.sessions) as session:
        made = install(session, services.clock, client_id=client_id, name=RECIPE).journey
    played = rehearse(
        services.sessions,
        services.hasher,
        client_id=client_id,
        journey=parse(made.draft),
        cast=segment_of(segment.id, PEOPLE),
        start=services.clock.now(),
        over=timedelta(days=DAYS),
    )
    return _told(made.name, played)


def _told(name: str, played: Rehearsal) -> dict[str, Any]:
    sent = [one for one in played.sends if one.status == "sent"]
    return {
        "journey": name,
        "days": DAYS,
        "people": len(played.entered),
        "sends": len(sent),
        "skips": len(played.sends) - len(sent),
        "channels": {
            channel: sum(one.channel == channel for one in sent)
            for channel in ("email", "sms", "push")
        },
    }
