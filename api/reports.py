"""/communications/…: what became of messages, counted; why some failed, and sending those again."""

from typing import Any

from api.context import actor, client_id, clock, db, ring_after_commit
from api.openapi import Resource
from api.paging import all_of, by_id, paged
from api.schemas.page import PageQuery, page_of
from api.schemas.reports import (
    ByQuery,
    CostSchema,
    EngagementSchema,
    FailureSchema,
    FailuresQuery,
    OptOutSchema,
    PeriodQuery,
    ReportSchema,
    ResponsesSchema,
    RetriedSchema,
    RetrySchema,
    SpamReportSchema,
)
from campaigns import again
from channels.channel import Channel
from communications import failure, objection, report, response
from communications.communication import Reason
from communications.failure import Failed
from communications.report import Chosen, Row

bp = Resource(
    "reports", noun="communication", about="What became of messages", room="communications"
)


def chosen(query: dict[str, Any], **more: Any) -> Chosen:
    """Return which messages a query means."""
    channel = Channel(query["channel"]) if query.get("channel") else None
    names = ("since", "until", "campaign_id")
    given = {name: query.get(name) for name in names} | {"channel": channel} | more
    return report.chosen(clock(), **given)


def shown(row: Row) -> dict[str, Any]:
    """Return a group as ReportSchema shows it."""
    names = [name for name in ReportSchema().fields if name not in row.counts]
    return {name: getattr(row, name) for name in names} | dict(row.counts)


@bp.get("/communications/statistics")
@bp.arguments(ByQuery, location="query")
@bp.response(200, page_of(ReportSchema))
def statistics(query: dict[str, Any]) -> dict[str, Any]:
    """Count what became of messages, by channel, provider, campaign, domain or day, with rates."""
    rows = report.report(db(), client_id(), chosen(query), query["by"])
    return all_of([shown(row) for row in rows])


@bp.get("/communications/costs")
@bp.arguments(ByQuery, location="query")
@bp.response(200, page_of(CostSchema))
def costs(query: dict[str, Any]) -> dict[str, Any]:
    """Add up what messages cost, by currency, as providers told it; unpriced ones are counted."""
    return all_of(report.costs(db(), client_id(), chosen(query), query["by"]))


@bp.get("/communications/engagement")
@bp.arguments(PeriodQuery, location="query")
@bp.response(200, EngagementSchema)
def engagement(query: dict[str, Any]) -> response.Engagement:
    """Say what people did with what reached them, how soon, when, and which links they took."""
    return response.engagement(db(), client_id(), chosen(query))


@bp.get("/communications/responses")
@bp.arguments(PeriodQuery, location="query")
@bp.response(200, ResponsesSchema)
def responses(query: dict[str, Any]) -> response.Responses:
    """Say how many answer, how soon, and what they want."""
    return response.responses(db(), client_id(), chosen(query))


@bp.get("/communications/opt-outs")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(OptOutSchema))
def opt_outs(query: dict[str, Any]) -> dict[str, Any]:
    """List who withdrew consent, by which way, with proof, and what left after it; newest first."""
    return paged(
        query,
        lambda before, limit: objection.opt_outs_page(
            db(), client_id(), before=before, limit=limit
        ),
        by_id,
    )


@bp.get("/communications/spam-reports")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(SpamReportSchema))
def spam_reports(query: dict[str, Any]) -> dict[str, Any]:
    """List complaints, newest first; rates and alarms are in the statistics."""
    return paged(
        query,
        lambda before, limit: objection.spam_reports_page(
            db(), client_id(), before=before, limit=limit
        ),
        by_id,
    )


@bp.get("/communications/failures")
@bp.arguments(FailuresQuery, location="query")
@bp.response(200, page_of(FailureSchema))
def failures(query: dict[str, Any]) -> dict[str, Any]:
    """Group failures by what the provider said, with the cause, what to do, and how many can go."""
    return all_of(failure.failures(db(), client_id(), _failed(query)))


@bp.post("/communications/retry")
@bp.action("messages:resolve")
@bp.arguments(RetrySchema)
@bp.response(200, RetriedSchema)
def retry(data: dict[str, Any]) -> dict[str, Any]:
    """Send failures again that are mended; `dry_run` counts them. Consent is asked again."""
    which = _failed(data["filter"])
    if data["dry_run"]:
        found = failure.retryable(db(), client_id(), which)
        emptied = len(found.content_removed)
        return {"rows": len(found.rows), "content_removed": emptied, "dry_run": True}
    done = again.send_again(
        db(), clock(), client_id=client_id(), which=which, expected=data["count"], actor=actor()
    )
    ring_after_commit()
    return {"rows": done.rows, "content_removed": done.content_removed, "dry_run": False}


def _failed(given: dict[str, Any]) -> Failed:
    channel, reason = given.get("channel"), given.get("reason")
    return Failed(
        channel=Channel(channel) if channel else None,
        reason=Reason(reason) if reason else None,
        **{name: given.get(name) for name in ("campaign_id", "run_id")},
        provider_account_id=given.get("provider_account_id"),
        error_code=given.get("error_code"),
    )
