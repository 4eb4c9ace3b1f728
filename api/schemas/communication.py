"""The communications log and provider accounts."""

from marshmallow import Schema, fields, validate

from api.schemas.field import Instant, money
from channels.channel import Channel
from communications.communication import Reason
from communications.status import Status


class CommunicationSchema(Schema):
    """One row of the log; names are the source document's."""

    id = fields.Integer(required=True)
    channel = fields.String(required=True)
    direction = fields.String(required=True)
    message_type = fields.String(required=True)
    to_email = fields.Function(
        lambda row: row["to_address"] if row["channel"] is Channel.EMAIL else None
    )
    to_number = fields.Function(
        lambda row: row["to_address"] if row["channel"].address_kind == "sms" else None
    )
    member_id = fields.Integer(allow_none=True)
    campaign_id = fields.Integer(allow_none=True)
    run_id = fields.Integer(allow_none=True)
    status = fields.String(required=True)
    reason = fields.String(allow_none=True)
    held = fields.String(allow_none=True)
    provider = fields.String(
        allow_none=True, required=True, metadata={"description": "the adapter: `sendgrid`, …"}
    )
    provider_account_id = fields.Integer(allow_none=True)
    provider_id = fields.String(allow_none=True)
    provider_status = fields.String(allow_none=True)
    error_code = fields.String(allow_none=True)
    error_message = fields.String(allow_none=True)
    retry_count = fields.Function(lambda row: max(0, row["tries"] - 1))
    cost = money(allow_none=True)
    currency = fields.String(allow_none=True)
    segments = fields.Integer(allow_none=True)
    not_before = Instant(required=True)
    sent_at = Instant(allow_none=True)
    delivered_at = Instant(allow_none=True)
    read_at = Instant(allow_none=True)
    clicked_at = Instant(allow_none=True)
    replied_at = Instant(allow_none=True)
    failed_at = Instant(allow_none=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class MomentSchema(Schema):
    """One line of a message's story."""

    at = Instant(required=True)
    what = fields.String(required=True)
    source = fields.String(required=True)
    detail = fields.String(allow_none=True)
    machine = fields.Boolean(required=True)


class StorySchema(CommunicationSchema):
    """A message with what it said and everything that is known of it."""

    content = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    timeline = fields.List(fields.Nested(MomentSchema), required=True)


class ProviderSchema(Schema):
    """A provider account; secrets show their last four characters."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    adapter = fields.String(required=True)
    channel = fields.String(required=True)
    status = fields.String(required=True)
    status_reason = fields.String(allow_none=True)
    window = fields.Integer(allow_none=True)
    config = fields.Dict(keys=fields.String(), required=True)
    webhook_url = fields.String(required=True)
    created_at = Instant(required=True)


class NewProviderSchema(Schema):
    """A provider account to add."""

    name = fields.String(required=True, validate=validate.Length(min=1, max=100))
    adapter = fields.String(required=True, validate=validate.Length(min=1, max=24))
    config = fields.Dict(keys=fields.String(), required=True)
    window = fields.Integer(allow_none=True, strict=True, validate=validate.Range(1, 1000))


STATUSES = validate.OneOf([status.value for status in Status])
REASONS = validate.OneOf([reason.value for reason in Reason])
CHANNELS = validate.OneOf([channel.value for channel in Channel])
Id = validate.Range(1, 2**63 - 1)
