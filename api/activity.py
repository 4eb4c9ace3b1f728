"""/events, /orders, /members/{id}/events|referrals: what members do, and what it earns."""

from dataclasses import replace
from typing import Any, cast

from flask_smorest import abort

from api.context import actor, client_id, clock, db, services
from api.members import ID
from api.openapi import Resource
from api.paging import all_of, by_id, paged
from api.problem import of_one
from api.refusal import Said
from api.schemas.activity import (
    CodeSchema,
    DroppedEventsSchema,
    EventSchema,
    OrderRequestSchema,
    OrderSchema,
    PersonSchema,
    ReferRequestSchema,
    RefundRequestSchema,
    TrackedSchema,
    TrackSchema,
    TreeSchema,
)
from api.schemas.page import PageQuery, page_of
from core.errors import InvalidError
from members import queries
from members.change import Change, record_changes
from members.edit import API, country_of
from members.event import events_page
from members.order import Order
from members.referral import Tree, refer, referral_code, referrals
from members.spending import Recorded, record_order, record_refund
from members.tracking import Refused, ToldEvent, member_told, track
from webhooks.dropped import drops

bp = Resource(
    "activity", noun="member", about="What members do: events, orders, referrals", room="members"
)

PERSON = PersonSchema().fields.keys()


@bp.post("/events")
@bp.action("events:write")
@bp.arguments(TrackSchema)
@bp.response(200, TrackedSchema)
def track_events(data: dict[str, Any]) -> dict[str, Any]:
    """Track up to 500 events; a message id that is known counts as a duplicate, not twice.

    What cannot be kept is listed with its place, field and reason; the rest is kept. Where nothing
    can be kept, the set is refused (422).
    """
    told: list[dict[str, Any] | Refused] = data["events"]
    unread = [one for one in told if isinstance(one, Refused)]
    places = [index for index, one in enumerate(told) if not isinstance(one, Refused)]
    found = track(
        db(),
        clock(),
        services().hasher,
        client_id=client_id(),
        events=[ToldEvent(**one) for one in told if not isinstance(one, Refused)],
        country=country_of(db(), client_id()),
    )
    unkept = [replace(one, index=places[one.index]) for one in found.rejected]
    rejected = sorted([*unread, *unkept], key=lambda one: one.index)
    if len(rejected) == len(told):
        events = [_pointed(one) for one in rejected]
        abort(422, message="no event can be kept", errors={"json": events})
    return {
        "new": found.new,
        "duplicates": found.duplicates,
        "rejected": [{"index": one.index, "error": _error(one)} for one in rejected],
    }


@bp.get("/dropped-events")
@bp.response(200, page_of(DroppedEventsSchema))
def list_dropped() -> dict[str, Any]:
    """List which events of the client's programs nobody could keep, and why; the latest first."""
    return all_of(drops(db(), client_id()))


@bp.get(f"/members/{ID}/events")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(EventSchema))
def member_events(query: dict[str, Any], member_id: int) -> dict[str, Any]:
    """List what a member did, the latest told first."""
    found = queries.member(db(), client_id(), member_id)
    return paged(
        query,
        lambda edge, limit: events_page(db(), client_id(), found.id, before=edge, limit=limit),
        by_id,
    )


@bp.post("/orders")
@bp.action("orders:write")
@bp.arguments(OrderRequestSchema)
@bp.response(200, OrderSchema)
def tell_order(data: dict[str, Any]) -> dict[str, Any]:
    """Tell of an order; an order id that is known changes nothing.

    `member` names who bought as an event's `person` does, or by our `id`. The order adds to the
    member's spend, is an event `purchase`, and is credited to the message whose link the member
    clicked last before.
    """
    person = data.pop("member", None) or {"id": data.pop("member_id", None)}
    member_id = member_told(
        db(),
        clock(),
        services().hasher,
        client_id=client_id(),
        person=person,
        country=country_of(db(), client_id()),
    )
    told = record_order(
        db(), clock(), services().hasher, client_id=client_id(), member_id=member_id, **data
    )
    return _shown(told)


@bp.post("/orders/<string:order_id>/refund")
@bp.action("orders:write")
@bp.arguments(RefundRequestSchema)
@bp.response(200, OrderSchema)
def tell_refund(data: dict[str, Any], order_id: str) -> dict[str, Any]:
    """Tell of a refund: of `amount`, or of all that is left of the order."""
    told = record_refund(
        db(), clock(), services().hasher, client_id=client_id(), order_id=order_id, **data
    )
    return _shown(told)


@bp.get(f"/members/{ID}/referrals")
@bp.response(200, TreeSchema)
def show_referrals(member_id: int) -> Tree:
    """Show whom a member brought, level by level, what they bought and what that earned."""
    return referrals(db(), client_id=client_id(), member_id=member_id)


@bp.post(f"/members/{ID}/referral-code")
@bp.response(200, CodeSchema)
def make_code(member_id: int) -> dict[str, str]:
    """Give a member a referral code; one that has it keeps it."""
    return {"code": referral_code(db(), client_id=client_id(), member_id=member_id)}


@bp.post(f"/members/{ID}/referrer")
@bp.arguments(ReferRequestSchema)
@bp.response(200, TreeSchema)
def set_referrer(data: dict[str, Any], member_id: int) -> Tree:
    """Note that a member was brought by the holder of a code; answers with that one's referrals."""
    before = queries.member(db(), client_id(), member_id).referred_by
    referrer = refer(db(), clock(), client_id=client_id(), member_id=member_id, code=data["code"])
    record_changes(
        db(),
        clock(),
        client_id=client_id(),
        source=API,
        actor=actor(),
        changes=[Change(member_id, {"referred_by": (before, referrer.id)})],
    )
    return referrals(db(), client_id=client_id(), member_id=referrer.id)


def _field(one: Refused) -> str:
    """Return which field of an event is meant: what names somebody lies in `person`."""
    if one.field == "event":
        return ""
    return f"person.{one.field}" if one.field in PERSON else one.field


def _error(one: Refused) -> dict[str, Any]:
    error = InvalidError(one.message, field=_field(one) or None, remedy=one.remedy)
    return of_one(error, f"/events/{one.index}")


def _pointed(one: Refused) -> dict[str, Any]:
    """Return what is wrong with one event where it is, as a schema would."""
    found: Any = [Said(one.message, one.remedy) if one.remedy else one.message]
    for name in reversed(["events", str(one.index), *filter(None, _field(one).split("."))]):
        found = {name: found}
    return cast("dict[str, Any]", found)


def _shown(told: Recorded) -> dict[str, Any]:
    order: Order = told.order
    names = [name for name in OrderSchema().fields if name != "new"]
    return {name: getattr(order, name) for name in names} | {"new": told.new}
