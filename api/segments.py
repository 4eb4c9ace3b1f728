"""/segments: named rules over members, as JSON and as text, or lists of members."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from api.context import actor, audit, client_id, clock, db
from api.openapi import Resource
from api.paging import all_of, sorted_page
from api.schemas.page import ChangedQuery, page_of, sort_by
from api.schemas.segment import (
    CountSchema,
    EditQuestionSchema,
    EffectSchema,
    MeantSchema,
    NewSegmentSchema,
    RuleQuestionSchema,
    SegmentChangesSchema,
    SegmentSchema,
    UseSchema,
    VocabularySchema,
)
from campaigns import usage
from campaigns.audience import frozen
from campaigns.reach import Waterfall, reach
from campaigns.sample import Verdict, sample, verdict
from channels.channel import Channel
from core.condition.ast import Condition
from core.condition.english import sentence
from core.condition.json import from_json, to_json
from core.condition.text import format
from members import queries
from members.known import Vocabulary, understood, vocabulary
from members.membership import track, untrack
from members.pin import freeze, set_pins
from members.segment import Segment, SegmentKind, belonging, condition_of, create_segment

bp = Resource("segments", about="Named rules over members")
ID = "<int(min=1,max=9223372036854775807):segment_id>"


class SegmentsQuery(ChangedQuery):
    """How segments are listed."""

    sort = sort_by("id", "name", "created_at", "updated_at")


def shown(segment: Segment) -> dict[str, Any]:
    """Return a segment with its rule as JSON, as text and in English."""
    columns = {column.key: getattr(segment, column.key) for column in Segment.__table__.columns}
    rule = from_json(segment.rule)
    return columns | {
        "text": format(rule),
        "english": sentence(rule),
        "kind": segment.kind.value,
    }


def counted(condition: Condition) -> dict[str, Any]:
    """Return how many members a condition means and reaches."""
    now = clock().now()
    return {
        "members": queries.count_rule(db(), client_id(), condition, now),
        "reach": queries.reach(db(), client_id(), condition, now),
    }


def waterfalls(condition: Condition, channels: Sequence[Channel]) -> Sequence[Waterfall]:
    """Return how far a condition reaches, channel by channel."""
    if not channels:
        return ()
    found = reach(db(), clock(), client_id=client_id(), condition=condition, channels=channels)
    return found.channels


def rule_of(data: dict[str, Any]) -> Any:
    """Take the rule out of a body, in whichever form it came, as JSON; None for none."""
    text, rule = data.pop("text", None), data.pop("rule", None)
    return rule if text is None else to_json(understood(db(), client_id(), text))


@bp.get("/segments")
@bp.arguments(SegmentsQuery, location="query")
@bp.response(200, page_of(SegmentSchema))
def list_segments(query: dict[str, Any]) -> dict[str, Any]:
    """List segments, oldest first."""
    page = sorted_page(
        query,
        Segment,
        lambda walk, limit: queries.segments_page(db(), client_id(), walk=walk, limit=limit),
    )
    return page | {"data": [shown(segment) for segment in page["data"]]}


@bp.post("/segments")
@bp.arguments(NewSegmentSchema)
@bp.response(201, SegmentSchema)
def create(data: dict[str, Any]) -> dict[str, Any]:
    """Create a segment; a static one keeps those its rule means now, or the members listed."""
    rule, members, tracked = rule_of(data), data.pop("members", None), data.pop("tracked")
    if rule is None:
        rule = {"segment": data["name"].strip()}
    segment = create_segment(db(), clock(), client_id=client_id(), rule=rule, **data)
    if members is not None:
        set_pins(db(), clock(), segment=segment, member_ids=members, actor=actor())
    elif segment.kind is SegmentKind.STATIC:
        clauses = queries.meant(db(), client_id(), condition_of(rule), clock().now())
        freeze(db(), clock(), segment=segment, which=clauses)
    if tracked:
        track(db(), clock(), segment)
    return shown(segment)


@bp.post("/segments/preview")
@bp.arguments(RuleQuestionSchema)
@bp.response(200, MeantSchema)
def preview(data: dict[str, Any]) -> dict[str, Any]:
    """Count whom a rule means, say it in English and show a sample, without saving it."""
    condition = condition_of(rule_of(data))
    channels, limit = data["channels"], data["sample"]
    people = sample(
        db(),
        clock(),
        client_id=client_id(),
        condition=condition,
        channels=channels,
        limit=limit,
    )
    return counted(condition) | {
        "text": format(condition),
        "english": sentence(condition),
        "channels": waterfalls(condition, channels),
        "sample": people,
        "member": judged(condition, data["member"]),
    }


def judged(condition: Condition, member_id: int | None) -> Verdict | None:
    """Return whether a condition means a member, and why; None where no member is asked about."""
    if member_id is None:
        return None
    member = queries.member(db(), client_id(), member_id)
    whole = frozen(db(), client_id(), {"rule": to_json(condition)})
    return verdict(db(), clock(), member, whole)


@bp.get("/segments/vocabulary")
@bp.response(200, VocabularySchema)
def words() -> Vocabulary:
    """List what rules can be made of: fields, attributes, tags, segments, campaigns, events."""
    return vocabulary(db(), client_id=client_id())


@bp.get(f"/segments/{ID}")
@bp.response(200, SegmentSchema)
def get(segment_id: int) -> dict[str, Any]:
    """Show a segment."""
    return shown(queries.segment(db(), client_id(), segment_id))


@bp.patch(f"/segments/{ID}")
@bp.arguments(SegmentChangesSchema)
@bp.response(200, SegmentSchema)
def change(data: dict[str, Any], segment_id: int) -> dict[str, Any]:
    """Change a segment; runs under way keep the rule they froze, a new name is known everywhere."""
    rule, tracked = rule_of(data), data.pop("tracked", None)
    found = queries.segment(db(), client_id(), segment_id)
    if rule is not None or data:
        found = usage.change(
            db(), clock(), client_id=client_id(), segment_id=segment_id, rule=rule, **data
        )
    if tracked is not None:
        (track if tracked else untrack)(db(), clock(), found)
    return shown(found)


@bp.delete(f"/segments/{ID}")
@bp.response(204)
def delete(segment_id: int) -> None:
    """Delete a segment that nothing uses."""
    usage.delete(db(), clock(), client_id=client_id(), segment_id=segment_id)
    audit(f"segment:{segment_id}")


@bp.get(f"/segments/{ID}/count")
@bp.response(200, CountSchema)
def count(segment_id: int) -> dict[str, Any]:
    """Count the members of a segment, and how many of them each channel reaches."""
    return counted(belonging(queries.segment(db(), client_id(), segment_id)))


@bp.get(f"/segments/{ID}/usage")
@bp.response(200, page_of(UseSchema))
def used(segment_id: int) -> dict[str, Any]:
    """List the segments and campaigns that use a segment."""
    return all_of(usage.usage(db(), client_id=client_id(), segment_id=segment_id))


@bp.post(f"/segments/{ID}/effect")
@bp.arguments(EditQuestionSchema)
@bp.response(200, EffectSchema)
def effect(data: dict[str, Any], segment_id: int) -> dict[str, Any]:
    """Say what a new rule would do to a segment and its live uses, without saving it."""
    found = usage.effect(
        db(), clock(), client_id=client_id(), segment_id=segment_id, rule=rule_of(data)
    )
    return {
        "segment": found.segment,
        "uses": [asdict(use) | {"effect": delta} for use, delta in found.uses],
    }
