"""Calendar: the campaigns that wait for their time, how many they reach, and which come close."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from accounts.client import Client
from campaigns.campaign import Campaign, CampaignStatus, ScheduleType
from campaigns.run import Run
from campaigns.variant import Variant
from channels.channel import Channel
from core.localtime import zone_of
from core.rows import among

CLOSE = timedelta(hours=24)
MOST = 500


@dataclass(frozen=True, slots=True)
class Planned:
    """One campaign that waits for its time."""

    campaign: Campaign
    local: datetime
    """Its time in the client's time zone."""
    timezone: str
    channels: tuple[Channel, ...]
    close: tuple[int, ...]
    """Others on one of its channels within a day."""


def calendar(session: Session, client_id: int) -> list[Planned]:
    """Return the client's campaigns that are launched and have not started, the next first.

    A paused one is among them: its time may pass.
    """
    query = (
        select(Campaign)
        .where(
            Campaign.client_id == client_id,
            Campaign.deleted_at.is_(None),
            Campaign.status.in_((CampaignStatus.ACTIVE, CampaignStatus.PAUSED)),
            Campaign.schedule_type == ScheduleType.SCHEDULED,
            ~exists().where(Run.campaign_id == Campaign.id),
        )
        .order_by(Campaign.scheduled_at, Campaign.id)
        .limit(MOST)
    )
    found = list(session.scalars(query))
    channels = _channels(session, [one.id for one in found])
    zone = zone_of(session.get_one(Client, client_id).timezone)
    return [
        Planned(
            campaign=one,
            local=one.scheduled_at.astimezone(zone),
            timezone=zone.key,
            channels=tuple(sorted(channels.get(one.id, ()))),
            close=tuple(other.id for other in found if _close(one, other, channels)),
        )
        for one in found
        if one.scheduled_at is not None
    ]


def _channels(session: Session, ids: Sequence[int]) -> dict[int, set[Channel]]:
    found: dict[int, set[Channel]] = {}
    if ids:
        query = select(Variant.campaign_id, Variant.channel)
        for row in session.execute(query.where(among(session, Variant.campaign_id, ids))):
            found.setdefault(row.campaign_id, set()).add(row.channel)
    return found


def _close(one: Campaign, other: Campaign, channels: dict[int, set[Channel]]) -> bool:
    if one is other or one.scheduled_at is None or other.scheduled_at is None:
        return False
    shared = channels.get(one.id, set()) & channels.get(other.id, set())
    return bool(shared) and abs(one.scheduled_at - other.scheduled_at) <= CLOSE
