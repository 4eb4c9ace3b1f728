"""/members/{id}/scores|recommendations, /scores/models: numbers about members, with reasons."""

from typing import Any

from api.context import client_id, clock, db
from api.members import ID
from api.openapi import Resource
from api.paging import all_of
from api.schemas.page import page_of
from api.schemas.score import RecommendationSchema, ScoreModelSchema, ScoreSchema
from communications.recommendation import recommendations
from members import queries
from members.score import models_of, scores_of

bp = Resource("scores", about="Engagement, lifetime value, churn risk, and what to do next")


@bp.get(f"/members/{ID}/scores")
@bp.action("members:read")
@bp.response(200, page_of(ScoreSchema))
def member_scores(member_id: int) -> dict[str, Any]:
    """Show a member's numbers with their reasons, as they were last computed."""
    found = queries.member(db(), client_id(), member_id)
    scores = scores_of(db(), client_id(), found.id)
    return all_of([scores[kind] for kind in sorted(scores)])


@bp.get(f"/members/{ID}/recommendations")
@bp.action("members:read")
@bp.response(200, page_of(RecommendationSchema))
def member_recommendations(member_id: int) -> dict[str, Any]:
    """Advise on the next channel, hour and thing to do, with the evidence; nothing is sent."""
    return all_of(recommendations(db(), clock(), client_id=client_id(), member_id=member_id))


@bp.get("/scores/models")
@bp.response(200, page_of(ScoreModelSchema))
def models() -> dict[str, Any]:
    """Show by what numbers are computed, what that was fitted on, and how its backtest went."""
    held = models_of(db(), client_id())
    return all_of([held[kind] for kind in sorted(held)])
