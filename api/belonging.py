"""/segments/{id}/…: who belongs to a segment, how far it reaches, who came and went."""

from collections.abc import Sequence
from typing import Any

from api.context import actor, audit, client_id, clock, db
from api.members import ID as MEMBER_ID
from api.members import shown as members_shown
from api.openapi import Resource
from api.paging import all_of, by_id, paged
from api.schemas.page import PageQuery, page_of
from api.schemas.segment import (
    NO_PIN,
    BelongingSchema,
    ExampleSchema,
    MemberVerdictSchema,
    NewPinsSchema,
    PinnedSchema,
    PinSchema,
    ReachQuery,
    ReachSchema,
    SampleQuery,
    SegmentMemberSchema,
    StaySchema,
)
from api.segments import ID
from campaigns.audience import frozen
from campaigns.reach import Reach, reach
from campaigns.sample import because, sample, verdict
from core.condition.english import sentence
from core.condition.text import format
from members import pin, queries
from members.belonging import names_of, segments_of, stays_page
from members.membership import SegmentMembership
from members.segment import Pin, SegmentMember, belonging, spoken

bp = Resource(
    "belonging", noun="segment", about="Who belongs to a segment, and who did", room="segments"
)


@bp.get(f"/segments/{ID}/members")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(SegmentMemberSchema))
def members(query: dict[str, Any], segment_id: int) -> dict[str, Any]:
    """List the members of a segment, oldest first."""
    condition = belonging(queries.segment(db(), client_id(), segment_id))
    page = paged(
        query,
        lambda after, limit: queries.members_page(
            db(),
            client_id(),
            condition=condition,
            now=clock().now(),
            after=after or 0,
            limit=limit,
        ),
        by_id,
    )
    return page | {"data": members_shown(list(page["data"]))}


@bp.get(f"/segments/{ID}/members/{MEMBER_ID}")
@bp.response(200, MemberVerdictSchema)
def member_verdict(segment_id: int, member_id: int) -> dict[str, Any]:
    """Say whether a member belongs to a segment, and why or why not."""
    member = queries.member(db(), client_id(), member_id)
    whole = frozen(db(), client_id(), {"segment_id": segment_id})
    found = verdict(db(), clock(), member, whole)
    return {
        "segment_id": segment_id,
        "member_id": member.id,
        "text": format(whole),
        "english": spoken(db(), client_id(), sentence(whole)),
        "belongs": found.belongs,
        "because": found.because,
    }


@bp.get(f"/segments/{ID}/reach")
@bp.arguments(ReachQuery, location="query")
@bp.response(200, ReachSchema)
def show_reach(query: dict[str, Any], segment_id: int) -> Reach:
    """Show step by step how many of a segment would receive a marketing message on a channel."""
    found = queries.segment(db(), client_id(), segment_id)
    return reach(
        db(),
        clock(),
        client_id=client_id(),
        condition=belonging(found),
        channels=[query["channel"]],
    )


@bp.get(f"/segments/{ID}/sample")
@bp.arguments(SampleQuery, location="query")
@bp.response(200, page_of(ExampleSchema))
def show_sample(query: dict[str, Any], segment_id: int) -> dict[str, Any]:
    """Show a few members of a segment, why each belongs and what each would receive."""
    found = queries.segment(db(), client_id(), segment_id)
    people = sample(
        db(),
        clock(),
        client_id=client_id(),
        condition=belonging(found),
        channels=[query["channel"]],
        limit=query["limit"],
    )
    return all_of(people)


@bp.get(f"/segments/{ID}/history")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(StaySchema))
def history(query: dict[str, Any], segment_id: int) -> dict[str, Any]:
    """List who joined a tracked segment, and when they left, newest first."""
    return _stays(query, segment_id=segment_id)


@bp.get(f"/segments/{ID}/pins")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(PinSchema))
def pins(query: dict[str, Any], segment_id: int) -> dict[str, Any]:
    """List the members put in or kept out by hand; those of a static segment are all put in."""
    found = queries.segment(db(), client_id(), segment_id)

    def rows(after: int | None, limit: int) -> Sequence[SegmentMember]:
        return pin.pins_page(db(), found, after=after or 0, limit=limit)

    return paged(query, rows, lambda row: row.member_id)


@bp.post(f"/segments/{ID}/pins")
@bp.arguments(NewPinsSchema)
@bp.response(200, PinnedSchema)
def set_pins(data: dict[str, Any], segment_id: int) -> dict[str, int]:
    """Put members in, keep them out, or let the rule decide again."""
    found = queries.segment(db(), client_id(), segment_id)
    if data["pin"] == NO_PIN:
        changed = pin.drop_pins(db(), segment=found, member_ids=data["members"])
    else:
        changed = pin.set_pins(
            db(),
            clock(),
            segment=found,
            member_ids=data["members"],
            pin=Pin(data["pin"]),
            actor=actor(),
        )
    audit(f"segment:{segment_id}")
    return {"changed": changed}


@bp.delete(f"/segments/{ID}/pins/{MEMBER_ID}")
@bp.response(204)
def drop_pin(segment_id: int, member_id: int) -> None:
    """Let the rule decide about a member again; take it from a static segment."""
    found = queries.segment(db(), client_id(), segment_id)
    member = queries.member(db(), client_id(), member_id)
    pin.drop_pins(db(), segment=found, member_ids=[member.id])


@bp.get(f"/members/{MEMBER_ID}/segments")
@bp.action("members:read")
@bp.response(200, page_of(BelongingSchema))
def member_segments(member_id: int) -> dict[str, Any]:
    """List the segments a member is in now, why, and since when where that is tracked."""
    member = queries.member(db(), client_id(), member_id)
    found = segments_of(db(), clock(), client_id=client_id(), member_id=member_id)
    return all_of(
        [
            {
                "id": one.segment.id,
                "name": one.segment.name,
                "kind": one.segment.kind,
                "pinned": one.pinned,
                "since": one.since,
                "reason": one.reason,
                "because": because(
                    db(),
                    clock(),
                    member,
                    frozen(db(), client_id(), {"segment_id": one.segment.id}),
                ),
            }
            for one in found
        ]
    )


@bp.get(f"/members/{MEMBER_ID}/segments/history")
@bp.action("members:read")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(StaySchema))
def member_history(query: dict[str, Any], member_id: int) -> dict[str, Any]:
    """List the tracked segments a member joined and left, newest first."""
    return _stays(query, member_id=member_id)


def _stays(query: dict[str, Any], **whose: int) -> dict[str, Any]:
    def rows(before: int | None, limit: int) -> Sequence[SegmentMembership]:
        return stays_page(db(), client_id=client_id(), before=before, limit=limit, **whose)

    page = paged(query, rows, by_id)
    names = names_of(db(), client_id(), [stay.segment_id for stay in page["data"]])
    columns = SegmentMembership.__table__.columns.keys()
    return page | {
        "data": [
            {name: getattr(stay, name) for name in columns} | {"segment": names[stay.segment_id]}
            for stay in page["data"]
        ]
    }
