"""/webhook-endpoints: URLs of a client's own that are told what happens."""

from collections.abc import Sequence
from typing import Any

from accounts import endpoint as endpoints
from accounts.endpoint import Endpoint, checked_url
from accounts.outbox import EndpointDelivery
from api.context import actor, audit, client_id, clock, db, services
from api.openapi import Resource
from api.paging import by_id, paged, sorted_page
from api.schemas.endpoint import (
    DeliveryQuery,
    DeliverySchema,
    EndpointPatchSchema,
    EndpointSchema,
    EndpointsQuery,
    NewEndpointSchema,
    NewSecretSchema,
    ReplayedSchema,
    ReplaySchema,
    SecretSchema,
)
from api.schemas.page import page_of
from webhooks import delivery as deliveries
from webhooks.outbound import BY_HAND, disable

bp = Resource(
    "webhook-endpoints", noun="endpoint", about="URLs of your own that are told what happens"
)
LIST = "/webhook-endpoints"
ONE = f"{LIST}/<int(min=1,max=9223372036854775807):endpoint_id>"
DELIVERY = "<int(min=1,max=9223372036854775807):delivery_id>"


def found(endpoint_id: int, *, lock: bool = False) -> Endpoint:
    """Return the caller's endpoint, locked where it is to be changed."""
    return endpoints.endpoint(db(), client_id(), endpoint_id, lock=lock)


def allowed(url: str) -> str:
    """Return a URL that this installation may post to."""
    settings = services().settings
    return checked_url(
        url,
        allow_http=settings.allow_http_endpoints,
        allow_private=settings.allow_private_egress,
    )


@bp.get(LIST)
@bp.arguments(EndpointsQuery, location="query")
@bp.response(200, page_of(EndpointSchema))
def list_endpoints(query: dict[str, Any]) -> dict[str, Any]:
    """List webhook endpoints, oldest first."""
    return sorted_page(
        query,
        Endpoint,
        lambda walk, limit: endpoints.endpoints(db(), client_id(), walk=walk, limit=limit),
    )


@bp.post(LIST)
@bp.arguments(NewEndpointSchema)
@bp.response(201, EndpointSchema)
def create(data: dict[str, Any]) -> Endpoint:
    """Add a webhook endpoint; its secret is shown by `/secret`."""
    data["url"] = allowed(data["url"])
    made = endpoints.add_endpoint(db(), clock(), services().vault, client_id=client_id(), **data)
    audit(f"endpoint:{made.id}")
    return made


@bp.get(ONE)
@bp.response(200, EndpointSchema)
def get(endpoint_id: int) -> Endpoint:
    """Show a webhook endpoint and how it fares."""
    return found(endpoint_id)


@bp.patch(ONE)
@bp.arguments(EndpointPatchSchema)
@bp.response(200, EndpointSchema)
def change(data: dict[str, Any], endpoint_id: int) -> Endpoint:
    """Change a webhook endpoint; enable or disable it."""
    one = found(endpoint_id, lock=True)
    enabled = data.pop("enabled", None)
    if "url" in data:
        data["url"] = allowed(data["url"])
    endpoints.change_endpoint(db(), clock(), one, **data)
    audit(f"endpoint:{one.id}")
    if enabled is True:
        endpoints.enable(db(), clock(), one)
    elif enabled is False:
        disable(db(), clock(), one, reason=BY_HAND, actor=actor())
    return one


@bp.delete(ONE)
@bp.response(204)
def delete(endpoint_id: int) -> None:
    """Delete a webhook endpoint; what waits for it is dropped."""
    deliveries.remove(db(), clock(), found(endpoint_id, lock=True), actor=actor())
    audit(f"endpoint:{endpoint_id}")


@bp.post(f"{ONE}/secret")
@bp.response(200, SecretSchema)
@bp.action("webhook_endpoints:secret")
@bp.fresh
def secret(endpoint_id: int) -> dict[str, Any]:
    """Show the signing secrets in force; that they were shown is audited."""
    one = found(endpoint_id)
    audit(f"endpoint:{one.id}")
    return _secrets(one)


@bp.post(f"{ONE}/rotate")
@bp.arguments(NewSecretSchema)
@bp.response(200, SecretSchema)
@bp.action("webhook_endpoints:secret")
@bp.fresh
def rotate(data: dict[str, Any], endpoint_id: int) -> dict[str, Any]:
    """Give it a new signing secret; the old one signs too for 24 hours."""
    one = found(endpoint_id, lock=True)
    endpoints.rotate(db(), clock(), services().vault, one, secret=data["secret"])
    audit(f"endpoint:{one.id}")
    return _secrets(one)


@bp.post(f"{ONE}/test")
@bp.response(202, DeliverySchema)
def test(endpoint_id: int) -> EndpointDelivery:
    """Send it an `endpoint.test`; the log shows what became of it."""
    return deliveries.send_test(db(), clock(), found(endpoint_id))


@bp.get(f"{ONE}/deliveries")
@bp.arguments(DeliveryQuery, location="query")
@bp.response(200, page_of(DeliverySchema))
def list_deliveries(query: dict[str, Any], endpoint_id: int) -> dict[str, Any]:
    """List what it was told in the last 30 days, newest first."""
    one = found(endpoint_id)

    def rows(before: int | None, limit: int) -> Sequence[EndpointDelivery]:
        return deliveries.deliveries_page(
            db(), one, before=before, limit=limit, state=query["state"], news=query["type"]
        )

    return paged(query, rows, by_id)


@bp.get(f"{ONE}/deliveries/{DELIVERY}")
@bp.response(200, DeliverySchema)
def show_delivery(endpoint_id: int, delivery_id: int) -> EndpointDelivery:
    """Show one delivery and its attempts."""
    return deliveries.delivery(db(), found(endpoint_id), delivery_id)


@bp.post(f"{ONE}/deliveries/{DELIVERY}/replay")
@bp.response(202, DeliverySchema)
def replay_one(endpoint_id: int, delivery_id: int) -> EndpointDelivery:
    """Tell one fact again, under the same `webhook-id`."""
    row = deliveries.replay_one(db(), clock(), found(endpoint_id), delivery_id)
    audit(f"endpoint:{endpoint_id}")
    return row


@bp.post(f"{ONE}/replay")
@bp.arguments(ReplaySchema)
@bp.response(202, ReplayedSchema)
def replay_failed(data: dict[str, Any], endpoint_id: int) -> dict[str, Any]:
    """Tell again what failed of what happened since an instant, up to 5,000 facts at once."""
    count = deliveries.replay_failed(db(), clock(), found(endpoint_id), **data)
    audit(f"endpoint:{endpoint_id}")
    return {"replayed": count, "more": count == deliveries.REPLAYED_AT_ONCE}


def _secrets(one: Endpoint) -> dict[str, Any]:
    newest, *older = endpoints.secrets_of(clock(), services().vault, one)
    return {"secret": newest, "older": older}
