"""/campaigns/…: copies, the archive, deletion, the calendar, and looking back."""

from typing import Any

from api.campaigns import ID, found, shown
from api.context import actor, audit, client_id, clock, db, principal, ring_after_commit
from api.openapi import Resource
from api.paging import all_of
from api.problem import of_named
from api.schemas.campaign import CampaignSchema
from api.schemas.page import page_of
from api.schemas.reports import EngagementSchema
from api.schemas.shelf import (
    BatchDoneSchema,
    BatchSchema,
    CampaignStorySchema,
    CopySchema,
    ExperimentQuery,
    ExperimentSchema,
    PlannedSchema,
    RoiSchema,
    SuggestionSchema,
)
from campaigns import queries, shelf
from campaigns.calendar import calendar
from campaigns.experiment import Experiment
from campaigns.experiment import experiment as compare
from campaigns.roi import Roi
from campaigns.roi import roi as earned
from campaigns.shelf import Deed
from campaigns.story import Story, story
from campaigns.suggestion import Suggestion
from campaigns.suggestion import suggestions as advise
from communications import report, response

bp = Resource(
    "shelf",
    noun="campaign",
    about="Campaigns copied, put away, and looked back at",
    room="campaigns",
)
LAUNCH = "campaigns:launch"


@bp.get("/campaigns/scheduled")
@bp.response(200, page_of(PlannedSchema))
def scheduled() -> dict[str, Any]:
    """List the campaigns that wait for their time, the next first, and which come close."""
    rows = [
        {
            "campaign": shown(one.campaign),
            "local": one.local.isoformat(),
            "timezone": one.timezone,
            "channels": one.channels,
            "close": one.close,
        }
        for one in calendar(db(), client_id())
    ]
    return all_of(rows)


@bp.post("/campaigns/batch")
@bp.arguments(BatchSchema)
@bp.response(200, BatchDoneSchema)
def batch(data: dict[str, Any]) -> dict[str, Any]:
    """Change, pause, archive or delete up to 500 campaigns, each with its result, or try it."""
    if data["do"] in (Deed.PAUSE, Deed.RESUME, Deed.CANCEL):
        principal().require(LAUNCH)
    done = shelf.do_all(
        db(),
        clock(),
        client_id=client_id(),
        campaign_ids=list(dict.fromkeys(data["ids"])),
        deed=data["do"],
        changes=data.get("changes"),
        all_or_nothing=data["all_or_nothing"],
        dry_run=data["dry_run"],
        actor=actor(),
    )
    failed = any(one.error for one in done)
    applied = not data["dry_run"] and not (failed and data["all_or_nothing"])
    for one in done:
        if applied and one.error is None:
            audit(f"campaign:{one.campaign_id}", action=f"campaign.{data['do']}")
    ring_after_commit()
    results = [
        {
            "campaign_id": one.campaign_id,
            "ok": one.error is None,
            "error": one.error and of_named(one.error, one.campaign_id, data),
        }
        for one in done
    ]
    return {"applied": applied, "results": results}


@bp.delete(f"/campaigns/{ID}")
@bp.response(204)
def delete(campaign_id: int) -> None:
    """Delete a campaign of which nothing is under way; the log and the numbers stay."""
    shelf.delete(db(), clock(), client_id=client_id(), campaign_id=campaign_id)
    audit(f"campaign:{campaign_id}")


@bp.post(f"/campaigns/{ID}/duplicate")
@bp.arguments(CopySchema)
@bp.response(201, CampaignSchema)
def duplicate(data: dict[str, Any], campaign_id: int) -> dict[str, Any]:
    """Make a draft with its audience and messages; its schedule and numbers stay behind."""
    made = shelf.copy_campaign(
        db(), clock(), client_id=client_id(), campaign_id=campaign_id, name=data.get("name")
    )
    audit(f"campaign:{campaign_id}")
    return found(made.id)


@bp.post(f"/campaigns/{ID}/archive")
@bp.response(200, CampaignSchema)
def archive(campaign_id: int) -> dict[str, Any]:
    """Put a completed campaign away; its numbers stay."""
    shelf.archive(db(), clock(), client_id=client_id(), campaign_id=campaign_id)
    audit(f"campaign:{campaign_id}")
    return found(campaign_id)


@bp.post(f"/campaigns/{ID}/restore")
@bp.response(200, CampaignSchema)
def restore(campaign_id: int) -> dict[str, Any]:
    """Bring an archived campaign back."""
    shelf.restore(db(), clock(), client_id=client_id(), campaign_id=campaign_id)
    audit(f"campaign:{campaign_id}")
    return found(campaign_id)


@bp.get(f"/campaigns/{ID}/roi")
@bp.response(200, RoiSchema)
def roi(campaign_id: int) -> Roi:
    """Say what a campaign cost and what the orders credited to it came to, with an interval."""
    return earned(db(), client_id(), campaign_id)


@bp.get(f"/campaigns/{ID}/engagement")
@bp.response(200, EngagementSchema)
def engagement(campaign_id: int) -> response.Engagement:
    """Say what people did with what reached them of a campaign, how soon, when, and which links."""
    queries.campaign(db(), client_id(), campaign_id)
    which = report.chosen(clock(), campaign_id=campaign_id)
    return response.engagement(db(), client_id(), which)


@bp.get(f"/campaigns/{ID}/timeline")
@bp.response(200, CampaignStorySchema)
def timeline(campaign_id: int) -> Story:
    """Tell what happened to a campaign, oldest first, and how many messages left each hour."""
    return story(db(), client_id(), campaign_id)


@bp.get(f"/campaigns/{ID}/suggestions")
@bp.response(200, page_of(SuggestionSchema))
def suggestions(campaign_id: int) -> dict[str, Any]:
    """Advise what could be better next time, each with its evidence; nothing is done."""
    told: list[Suggestion] = advise(db(), clock(), client_id=client_id(), campaign_id=campaign_id)
    return all_of(told)


@bp.get(f"/campaigns/{ID}/experiment")
@bp.arguments(ExperimentQuery, location="query")
@bp.response(200, ExperimentSchema)
def experiment(data: dict[str, Any], campaign_id: int) -> Experiment:
    """Compare the wordings of the newest run by goal, guards and shares, and say what to do."""
    return compare(db(), clock(), client_id(), campaign_id, data["goal"])
