"""/segments: named rules over members, as JSON and as text."""

from typing import Any

from api.context import client_id, clock, db
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.page import PageQuery, page_of
from api.schemas.segment import (
    CountSchema,
    NewSegmentSchema,
    RuleQuestionSchema,
    SegmentChangesSchema,
    SegmentSchema,
)
from core.condition.ast import Condition
from core.condition.json import from_json
from core.condition.text import format
from members import queries
from members.segment import Segment, condition_of, create_segment, delete_segment, update_segment

bp = Resource("segments", about="Named rules over members")
ID = "<int(min=1,max=9223372036854775807):segment_id>"


def shown(segment: Segment) -> dict[str, Any]:
    """Return a segment with its rule in both forms."""
    columns = {column.key: getattr(segment, column.key) for column in Segment.__table__.columns}
    return columns | {"text": format(from_json(segment.rule)), "kind": segment.kind.value}


def counted(condition: Condition) -> dict[str, Any]:
    """Return how many members a condition means and reaches."""
    now = clock().now()
    return {
        "members": queries.count_rule(db(), client_id(), condition, now),
        "reach": queries.reach(db(), client_id(), condition, now),
    }


@bp.get("/segments")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(SegmentSchema))
def list_segments(query: dict[str, Any]) -> dict[str, Any]:
    """List segments, oldest first."""
    page = paged(
        query,
        lambda after, limit: queries.segments_page(
            db(), client_id(), after=after or 0, limit=limit
        ),
        by_id,
    )
    return page | {"data": [shown(segment) for segment in page["data"]]}


@bp.post("/segments")
@bp.arguments(NewSegmentSchema)
@bp.response(201, SegmentSchema)
def create(data: dict[str, Any]) -> dict[str, Any]:
    """Create a segment."""
    rule = data.pop("text", None) or data.pop("rule", None)
    return shown(create_segment(db(), clock(), client_id=client_id(), rule=rule, **data))


@bp.post("/segments/preview")
@bp.arguments(RuleQuestionSchema)
@bp.response(200, CountSchema)
def preview(data: dict[str, Any]) -> dict[str, Any]:
    """Count whom a rule means, without saving it."""
    return counted(condition_of(data.get("text") or data["rule"]))


@bp.get(f"/segments/{ID}")
@bp.response(200, SegmentSchema)
def get(segment_id: int) -> dict[str, Any]:
    """Show a segment."""
    return shown(queries.segment(db(), client_id(), segment_id))


@bp.patch(f"/segments/{ID}")
@bp.arguments(SegmentChangesSchema)
@bp.response(200, SegmentSchema)
def change(data: dict[str, Any], segment_id: int) -> dict[str, Any]:
    """Change a segment; runs under way keep the rule they froze."""
    found = queries.segment(db(), client_id(), segment_id)
    rule = data.pop("text", None) or data.pop("rule", None)
    return shown(update_segment(db(), clock(), found, rule=rule, **data))


@bp.delete(f"/segments/{ID}")
@bp.response(204)
def delete(segment_id: int) -> None:
    """Delete a segment."""
    delete_segment(db(), clock(), queries.segment(db(), client_id(), segment_id))


@bp.get(f"/segments/{ID}/count")
@bp.response(200, CountSchema)
def count(segment_id: int) -> dict[str, Any]:
    """Count the members of a segment, and how many of them each channel reaches."""
    return counted(from_json(queries.segment(db(), client_id(), segment_id).rule))
