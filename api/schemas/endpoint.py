"""Webhook endpoints, and the log of what they were told."""

from typing import Any

from marshmallow import Schema, fields, validate

from accounts.endpoint import MAX_URL
from accounts.news import MAX_TYPES, News
from accounts.outbox import DeliveryState
from api.schemas.field import Instant
from api.schemas.page import PageQuery, sort_by

Url = validate.Length(min=8, max=MAX_URL)
About = validate.Length(max=200)
SecretText = validate.Length(min=1, max=100)
EXAMPLE = {"example": "https://crm.example.com/hooks/echelonx"}


def _types(*, required: bool) -> Any:
    return fields.List(
        fields.String(validate=validate.Length(min=1, max=40)),
        required=required,
        validate=validate.Length(min=1, max=MAX_TYPES),
        metadata={
            "description": "event types and groups of them",
            "example": ["communication.*", "member.unsubscribed"],
        },
    )


class NewEndpointSchema(Schema):
    """A URL to be told what happens."""

    url = fields.String(required=True, validate=Url, metadata=EXAMPLE)
    types = _types(required=True)
    description = fields.String(load_default=None, allow_none=True, validate=About)
    secret = fields.String(
        load_default=None,
        allow_none=True,
        validate=SecretText,
        metadata={"description": "your own `whsec_…`; one is made when it is left out"},
    )


class EndpointPatchSchema(Schema):
    """What changes about an endpoint."""

    url = fields.String(validate=Url, metadata=EXAMPLE)
    types = _types(required=False)
    description = fields.String(allow_none=True, validate=About)
    enabled = fields.Boolean()


class NewSecretSchema(Schema):
    """A secret to come into force."""

    secret = fields.String(load_default=None, allow_none=True, validate=SecretText)


class SecretSchema(Schema):
    """The signing secrets in force: the newest, and those that still sign beside it."""

    secret = fields.String(required=True)
    older = fields.List(fields.String(), required=True)


class EndpointSchema(Schema):
    """A webhook endpoint and how it fares."""

    id = fields.Integer(required=True)
    url = fields.String(required=True)
    description = fields.String(allow_none=True, required=True)
    types = fields.List(fields.String(), required=True)
    enabled = fields.Boolean(required=True)
    disabled_reason = fields.String(allow_none=True, required=True)
    failures = fields.Integer(
        required=True, metadata={"description": "failed posts since the last that was taken"}
    )
    failing_since = Instant(allow_none=True, required=True)
    rest_until = Instant(allow_none=True, required=True)
    last_success_at = Instant(allow_none=True, required=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class EndpointsQuery(PageQuery):
    """How endpoints are listed."""

    sort = sort_by("id", "created_at")


class DeliveryQuery(PageQuery):
    """Which deliveries are meant."""

    state = fields.Enum(DeliveryState, by_value=True, load_default=None)
    type = fields.Enum(News, by_value=True, load_default=None)


class AttemptSchema(Schema):
    """One try."""

    at = fields.String(required=True)
    status = fields.Integer(allow_none=True, required=True)
    ms = fields.Integer(required=True)
    problem = fields.String(allow_none=True, required=True)
    answer = fields.String(required=True, metadata={"description": "its first 500 characters"})


class DeliverySchema(Schema):
    """One fact that an endpoint was, or is to be, told."""

    id = fields.Integer(required=True)
    message_id = fields.String(required=True, metadata={"description": "the `webhook-id`"})
    type = fields.Enum(News, by_value=True, required=True)
    object = fields.String(required=True)
    at = Instant(required=True)
    data = fields.Dict(required=True)
    state = fields.Enum(DeliveryState, by_value=True, required=True)
    due_at = Instant(required=True, metadata={"description": "when it is tried (again)"})
    tries = fields.Integer(required=True)
    attempts = fields.List(fields.Nested(AttemptSchema), required=True)
    ended_at = Instant(allow_none=True, required=True)


class ReplaySchema(Schema):
    """Which failed deliveries go again: by when it happened."""

    since = Instant(required=True)
    until = Instant(load_default=None, allow_none=True)


class ReplayedSchema(Schema):
    """How many go again."""

    replayed = fields.Integer(required=True)
    more = fields.Boolean(
        required=True,
        metadata={"description": "there may be more: ask again. The oldest go first"},
    )
