"""/campaigns: drafts, launches, runs and what became of them."""

from typing import Any

from marshmallow import fields

from api.context import actor, audit, client_id, clock, db, ring_after_commit
from api.openapi import Resource
from api.paging import all_of, sorted_page
from api.schemas.campaign import (
    CampaignChangesSchema,
    CampaignSchema,
    LaunchSchema,
    NewCampaignSchema,
    PreflightSchema,
    RunSchema,
    StatisticsSchema,
)
from api.schemas.page import ChangedQuery, page_of, sort_by
from campaigns import campaign as campaigns
from campaigns import control, preflight, queries
from campaigns.campaign import Campaign, CampaignStatus, CampaignType
from campaigns.launch import launch as launch_campaign
from campaigns.statistics import run_statistics, total
from campaigns.variant import variants_of

bp = Resource("campaigns", about="What to say, to whom, when")
ID = "<int(min=1,max=9223372036854775807):campaign_id>"


class CampaignsQuery(ChangedQuery):
    """Which campaigns."""

    status = fields.Enum(CampaignStatus, by_value=True, load_default=None)
    type = fields.Enum(CampaignType, by_value=True, load_default=None)
    sort = sort_by("-id", "name", "created_at", "updated_at")


def shown(campaign: Campaign) -> dict[str, Any]:
    """Return a campaign with its variants."""
    columns = {column.key: getattr(campaign, column.key) for column in Campaign.__table__.columns}
    return columns | {
        "status": campaign.status.value,
        "variants": variants_of(db(), campaign.id),
    }


def found(campaign_id: int) -> dict[str, Any]:
    """Return the client's campaign as it now is."""
    db().expire_all()
    return shown(queries.campaign(db(), client_id(), campaign_id))


@bp.get("/campaigns")
@bp.arguments(CampaignsQuery, location="query")
@bp.response(200, page_of(CampaignSchema))
def list_campaigns(query: dict[str, Any]) -> dict[str, Any]:
    """List campaigns, newest first."""
    page = sorted_page(
        query,
        Campaign,
        lambda walk, limit: queries.campaigns_page(
            db(),
            client_id(),
            status=query["status"],
            type=query["type"],
            walk=walk,
            limit=limit,
        ),
    )
    return page | {"data": [shown(campaign) for campaign in page["data"]]}


@bp.post("/campaigns")
@bp.arguments(NewCampaignSchema)
@bp.response(201, CampaignSchema)
def create(data: dict[str, Any]) -> dict[str, Any]:
    """Create a draft."""
    return found(campaigns.create_campaign(db(), clock(), client_id=client_id(), **data).id)


@bp.get(f"/campaigns/{ID}")
@bp.response(200, CampaignSchema)
def get(campaign_id: int) -> dict[str, Any]:
    """Show a campaign."""
    return shown(queries.campaign(db(), client_id(), campaign_id))


@bp.patch(f"/campaigns/{ID}")
@bp.arguments(CampaignChangesSchema)
@bp.response(200, CampaignSchema)
def change(data: dict[str, Any], campaign_id: int) -> dict[str, Any]:
    """Change a draft, or what may still change of a launched campaign."""
    campaigns.update_campaign(db(), clock(), client_id=client_id(), campaign_id=campaign_id, **data)
    return found(campaign_id)


@bp.get(f"/campaigns/{ID}/preflight")
@bp.response(200, PreflightSchema)
def check(campaign_id: int) -> preflight.Preflight:
    """Say what a launch would do, and what stands in its way."""
    return preflight.check(db(), clock(), client_id=client_id(), campaign_id=campaign_id)


@bp.post(f"/campaigns/{ID}/launch")
@bp.action("campaigns:launch")
@bp.response(202, LaunchSchema)
def launch(campaign_id: int) -> dict[str, Any]:
    """Launch a draft. Launching again changes nothing and answers the same."""
    run = launch_campaign(db(), clock(), client_id=client_id(), campaign_id=campaign_id)
    audit(f"campaign:{campaign_id}")
    ring_after_commit()
    return {"campaign": found(campaign_id), "run": run}


@bp.post(f"/campaigns/{ID}/pause")
@bp.action("campaigns:launch")
@bp.response(200, CampaignSchema)
def pause(campaign_id: int) -> dict[str, Any]:
    """Pause: nothing more leaves; what is on the wire finishes."""
    control.pause(db(), clock(), client_id=client_id(), campaign_id=campaign_id, actor=actor())
    audit(f"campaign:{campaign_id}")
    return found(campaign_id)


@bp.post(f"/campaigns/{ID}/resume")
@bp.action("campaigns:launch")
@bp.response(200, CampaignSchema)
def resume(campaign_id: int) -> dict[str, Any]:
    """Go on with what was not sent yet."""
    control.resume(db(), clock(), client_id=client_id(), campaign_id=campaign_id)
    audit(f"campaign:{campaign_id}")
    ring_after_commit()
    return found(campaign_id)


@bp.post(f"/campaigns/{ID}/cancel")
@bp.action("campaigns:launch")
@bp.response(200, CampaignSchema)
def cancel(campaign_id: int) -> dict[str, Any]:
    """Stop for good: what was not sent is skipped as cancelled."""
    control.cancel(db(), clock(), client_id=client_id(), campaign_id=campaign_id)
    audit(f"campaign:{campaign_id}")
    return found(campaign_id)


@bp.get(f"/campaigns/{ID}/runs")
@bp.response(200, page_of(RunSchema))
def runs(campaign_id: int) -> Any:
    """List a campaign's runs, newest first."""
    return all_of(queries.runs(db(), client_id(), campaign_id))


@bp.get(f"/campaigns/{ID}/statistics")
@bp.response(200, StatisticsSchema)
def statistics(campaign_id: int) -> dict[str, Any]:
    """Count what became of the newest run: numbers that always add up."""
    newest = next(iter(queries.runs(db(), client_id(), campaign_id)), None)
    if newest is None:
        return {"run": None, "channels": {}, "total": {}}
    channels = run_statistics(db(), client_id(), newest.id)
    named = {channel.value: numbers for channel, numbers in channels.items()}
    return {"run": newest, "channels": named, "total": total(channels)}
