"""/clients/me: the client that the caller's key speaks for."""

from typing import Any

from marshmallow import Schema, fields, validate

from accounts.client import client, update_client
from accounts.client_settings import CHECKS
from api.context import audit, client_id, clock, db
from api.openapi import Resource
from api.schemas.field import Instant, money
from api.schemas.page import Name, Tags

bp = Resource("clients", about="The company or shop that everything belongs to", room="settings")
SIZES = ("1-10", "11-50", "51-200", "201-500", "500+")


class ClientChangesSchema(Schema):
    """What a client may say of itself."""

    name = fields.String(validate=Name)
    email = fields.String(allow_none=True, validate=validate.Length(max=320))
    phone = fields.String(allow_none=True, validate=validate.Length(max=64))
    address = fields.String(
        allow_none=True,
        validate=validate.Length(max=1000),
        metadata={"description": "the postal address that commercial mail must carry"},
    )
    website = fields.String(allow_none=True, validate=validate.Length(max=500))
    industry = fields.String(allow_none=True, validate=validate.Length(max=100))
    company_size = fields.String(allow_none=True, validate=validate.OneOf(SIZES))
    billing_address = fields.String(allow_none=True, validate=validate.Length(max=1000))
    tax_id = fields.String(allow_none=True, validate=validate.Length(max=64))
    logo_url = fields.String(allow_none=True, validate=validate.Length(max=500))
    notes = fields.String(allow_none=True, validate=validate.Length(max=10_000))
    tags = Tags
    timezone = fields.String(validate=validate.Length(min=1, max=64))
    country = fields.String(allow_none=True, validate=validate.Length(equal=2))
    settings = fields.Dict(
        keys=fields.String(),
        metadata={
            "description": f"any of {', '.join(CHECKS)}; what is not named stays, null takes away"
        },
    )


class ClientSchema(ClientChangesSchema):
    """A client."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    status = fields.String(required=True)
    subscription_tier = fields.String(required=True)
    contract_start = Instant(allow_none=True)
    contract_end = Instant(allow_none=True)
    monthly_spend_limit = money(allow_none=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


@bp.get("/clients/me")
@bp.response(200, ClientSchema)
def get_client() -> Any:
    """Show the client this key speaks for."""
    return client(db(), client_id())


@bp.patch("/clients/me")
@bp.arguments(ClientChangesSchema)
@bp.response(200, ClientSchema)
def update(data: dict[str, Any]) -> Any:
    """Change what is given."""
    changed = update_client(db(), clock(), client_id=client_id(), **data)
    audit("client.update", f"client:{changed.id}")
    return changed
