"""/suppressions: addresses that must not be written to."""

from typing import Any

from marshmallow import fields, validate

from accounts.client import client
from api.context import actor, audit, client_id, clock, db, services
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.member import (
    CHANNELS,
    LiftedSchema,
    LiftSchema,
    NewSuppressionSchema,
    SuppressionSchema,
)
from api.schemas.page import PageQuery, page_of
from communications.communication import Reason
from communications.ledger import skip_queued
from core.address import AddressError, mask, normalise
from members import queries
from members.suppression import Scope, SuppressionReason, lift, suppress

bp = Resource("suppressions", about="Addresses that must not be written to")


class SuppressionsQuery(PageQuery):
    """Which suppressions."""

    channel = fields.String(load_default=None, validate=validate.OneOf(CHANNELS))


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
    kind, scope = data["channel"], data["scope"]
    value = _address(kind, data["address"])
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
    audit(f"{kind}:{hashed}")


@bp.post("/suppressions/lift")
@bp.action("suppressions:lift")
@bp.arguments(LiftSchema)
@bp.response(200, LiftedSchema)
def lift_suppression(data: dict[str, Any]) -> dict[str, int]:
    """Allow an address again, whatever it was suppressed for. Consent is not given by this."""
    kind = data["channel"]
    value = _address(kind, data["address"])
    hashed = services().hasher.hash(client_id(), kind, value)
    lifted = lift(db(), client_id=client_id(), channel=kind, address_hash=hashed)
    audit(f"{kind}:{hashed}", lifted=lifted)
    return {"lifted": lifted}


def _address(kind: str, text: str) -> str:
    """Return an address in normal form; numbers are read as dialled in the client's country."""
    try:
        return normalise(kind, text, client(db(), client_id()).country)
    except AddressError as error:
        error.field = "address"
        raise
