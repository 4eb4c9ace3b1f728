"""Story: all that happened to a campaign on one axis of time, with the messages of each hour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from accounts.audit import AuditEntry
from campaigns.queries import campaign as find_campaign
from campaigns.queries import runs
from communications.communication import Communication
from core.sql import iso_text

C = Communication
MOST = 1_000


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened to a campaign."""

    at: datetime
    what: str
    """`created`, `launched`, `run_started`, `fanned_out`, `run_done`, or what somebody did."""
    actor: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Hour:
    """How many messages left in one hour (UTC)."""

    hour: datetime
    sent: int


@dataclass(frozen=True, slots=True)
class Story:
    """A campaign's happenings and its volume."""

    happenings: Sequence[Happening]
    volume: Sequence[Hour]


def story(session: Session, client_id: int, campaign_id: int) -> Story:
    """Return what happened to a campaign, oldest first. Raises CampaignNotFoundError."""
    campaign = find_campaign(session, client_id, campaign_id)
    found = [Happening(campaign.created_at, "created")]
    if campaign.launched_at is not None:
        found.append(Happening(campaign.launched_at, "launched"))
    for run in runs(session, client_id, campaign_id):
        moments = (
            (run.started_at, "run_started"),
            (run.expanded_at, "fanned_out"),
            (run.finished_at, f"run_{run.status}"),
        )
        found += [Happening(at, what, None, f"run:{run.id}") for at, what in moments if at]
    if campaign.completed_at is not None:
        found.append(Happening(campaign.completed_at, "completed"))
    deeds = session.scalars(
        select(AuditEntry)
        .where(AuditEntry.client_id == client_id, AuditEntry.target == f"campaign:{campaign_id}")
        .order_by(AuditEntry.id.desc())
        .limit(MOST)
    )
    found += [Happening(deed.at, deed.action, deed.actor) for deed in deeds]
    return Story(sorted(found, key=lambda one: one.at), _volume(session, client_id, campaign_id))


def _volume(session: Session, client_id: int, campaign_id: int) -> list[Hour]:
    hour = func.substr(iso_text(C.sent_at), 1, 13).label("hour")
    query = (
        select(hour, func.count())
        .where(C.client_id == client_id, C.campaign_id == campaign_id, C.sent_at.is_not(None))
        .group_by(hour)
        .order_by(hour)
        .limit(MOST)
    )
    return [
        Hour(datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC), sent)
        for text, sent in session.execute(query)
    ]
