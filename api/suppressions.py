"""/suppressions: addresses that must not be written to."""

from typing import Any

from marshmallow import fields

from api.context import actor, client_id, clock, db, services
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.communication import CHANNELS
from api.schemas.member import NewSuppressionSchema, SuppressionSchema
from api.schemas.page import PageQuery, page_of
from communications.communication import Reason
from communications.ledger import skip_queued
from core.address import mask, normalise
from members import queries
from members.suppression import Scope, SuppressionReason, suppress

bp = Resource("suppressions", about="Addresses that must not be written to")


class SuppressionsQuery(PageQuery):
    """Which suppressions."""

    channel = fields.String(load_default=None, validate=CHANNELS)


@bp.get("/suppressions")
@bp.arguments(SuppressionsQuery, location="query")
@bp.response(200, page_of(SuppressionSchema))
def list_suppressions(query: dict[str, Any]) -> dict[str, Any]:
    """List suppressions, oldest first."""
    return paged(
        query,
        lambda after, limit: queries.suppressions_page(
            db(), client_id(), channel=query["channel"], after=after or 0, limit=limit
        ),
        by_id,
    )


@bp.post("/suppressions")
@bp.arguments(NewSuppressionSchema)
@bp.response(204)
def add(data: dict[str, Any]) -> None:
    """Suppress an address; what is still queued to it is skipped."""
    kind, scope = data["channel"], Scope(data["scope"])
    value = normalise(kind, data["address"])
    hashed = services().hasher.hash(client_id(), kind, value)
    suppress(
        db(),
        clock(),
        client_id=client_id(),
        channel=kind,
        address_hash=hashed,
        masked=mask(kind, value),
        scope=scope,
        reason=SuppressionReason.MANUAL,
        evidence=actor(),
    )
    skip_queued(
        db(),
        clock(),
        reason=Reason.SUPPRESSED,
        client_id=client_id(),
        address_hashes=[hashed],
        marketing_only=scope is Scope.MARKETING,
    )
