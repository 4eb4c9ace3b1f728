"""Reads of campaigns, templates and runs, each bound to one client. Writes nothing."""

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from campaigns.campaign import Campaign, CampaignStatus, CampaignType
from campaigns.errors import CampaignNotFoundError, RunNotFoundError
from campaigns.run import Run
from campaigns.template import Template
from channels.channel import Channel
from core.page import NEWEST, Walk


def campaign(session: Session, client_id: int, campaign_id: int) -> Campaign:
    """Return the client's campaign. Raises CampaignNotFoundError."""
    found = session.scalar(
        select(Campaign).where(
            Campaign.client_id == client_id,
            Campaign.id == campaign_id,
            Campaign.deleted_at.is_(None),
        )
    )
    if found is None:
        raise CampaignNotFoundError(f"no campaign {campaign_id}")
    return found


def campaigns_page(
    session: Session,
    client_id: int,
    *,
    status: CampaignStatus | None = None,
    type: CampaignType | None = None,
    walk: Walk = NEWEST,
    limit: int = 50,
) -> list[Campaign]:
    """Return up to `limit` campaigns, newest first or as `walk` says."""
    conditions = [Campaign.client_id == client_id, Campaign.deleted_at.is_(None)]
    if status is not None:
        conditions.append(Campaign.status == status)
    if type is not None:
        conditions.append(Campaign.type == type)
    query = walk.over(select(Campaign).where(*conditions), Campaign, limit)
    return list(session.scalars(query))


def template_named(session: Session, client_id: int, name: str) -> Template | None:
    """Return the client's template of this name, if there is one."""
    return session.scalar(
        select(Template).where(
            Template.client_id == client_id,
            Template.name == name.strip(),
            Template.deleted_at.is_(None),
        )
    )


def templates_page(
    session: Session,
    client_id: int,
    *,
    channel: Channel | None = None,
    walk: Walk = NEWEST,
    limit: int = 50,
) -> list[Template]:
    """Return up to `limit` templates, newest first or as `walk` says."""
    conditions: list[ColumnElement[bool]] = [
        Template.client_id == client_id,
        Template.deleted_at.is_(None),
    ]
    if channel is not None:
        conditions.append(Template.channel == channel)
    query = walk.over(select(Template).where(*conditions), Template, limit)
    return list(session.scalars(query))


def runs(session: Session, client_id: int, campaign_id: int) -> list[Run]:
    """Return a campaign's runs, newest first. Raises CampaignNotFoundError."""
    campaign(session, client_id, campaign_id)
    query = select(Run).where(Run.campaign_id == campaign_id).order_by(Run.id.desc())
    return list(session.scalars(query))


def run(session: Session, client_id: int, run_id: int) -> Run:
    """Return the client's run. Raises RunNotFoundError."""
    found = session.scalar(select(Run).where(Run.client_id == client_id, Run.id == run_id))
    if found is None:
        raise RunNotFoundError(f"no run {run_id}")
    return found
