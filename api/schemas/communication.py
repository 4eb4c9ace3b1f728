"""The communications log and provider accounts."""

from marshmallow import Schema, fields, validate

from api.schemas.activity import Each
from api.schemas.bulk import OneErrorSchema
from api.schemas.field import Instant, id_field, money
from campaigns.campaign import Priority
from campaigns.direct import Outcome
from campaigns.draft import MAX_WORDINGS
from channels.channel import Channel
from communications.communication import MessageType, Reason
from communications.status import Status

MAX_MESSAGES = 5_000
"""In one request."""


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
    content_removed_at = Instant(
        allow_none=True,
        metadata={"description": "since when nobody keeps what it said: it cannot go again"},
    )
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class WaitSchema(Schema):
    """A stretch of time in which nothing happened to a message."""

    since = Instant(required=True)
    until = Instant(required=True)
    seconds = fields.Float(required=True)
    why = fields.String(
        required=True, metadata={"description": "`not recorded` where nothing says it"}
    )


class MomentSchema(Schema):
    """One line of a message's story."""

    at = Instant(
        required=True, metadata={"description": "of a receipt, by the provider's own clock"}
    )
    what = fields.String(required=True)
    source = fields.String(required=True)
    detail = fields.String(allow_none=True)
    machine = fields.Boolean(required=True)
    told_at = Instant(
        allow_none=True,
        required=True,
        metadata={"description": "when we heard of it, where that was over a minute later"},
    )
    ahead_seconds = fields.Float(
        allow_none=True,
        required=True,
        metadata={
            "description": "how much earlier the provider's time is than it can have left; "
            "the line stands where it belongs"
        },
    )
    waits = fields.List(
        fields.Nested(WaitSchema),
        required=True,
        metadata={"description": "what the time since the moment before was spent with"},
    )


class StorySchema(CommunicationSchema):
    """A message with what it said and everything that is known of it."""

    content = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    timeline = fields.List(fields.Nested(MomentSchema), required=True)


class MessageWordingSchema(Schema):
    """What to say on one channel: a template, or a channel and the text itself."""

    template_id = id_field()
    channel = fields.Enum(Channel, by_value=True)
    subject = fields.String(validate=validate.Length(min=1, max=998))
    text = fields.String(validate=validate.Length(min=1, max=100_000))


class CapSchema(Schema):
    """No more than so many messages to the member within so many hours, this one included."""

    messages = fields.Integer(required=True, strict=True, validate=validate.Range(1, 1000))
    hours = fields.Integer(required=True, strict=True, validate=validate.Range(1, 24 * 366))


class NewMessageSchema(MessageWordingSchema):
    """One message to one member."""

    member_id = id_field(required=True)
    otherwise = fields.List(
        fields.Nested(MessageWordingSchema),
        validate=validate.Length(max=MAX_WORDINGS - 1),
        metadata={"description": "what to try next where the member cannot be reached so"},
    )
    key = fields.String(
        validate=validate.Length(min=1, max=150),
        metadata={"description": "your own name for it: the same key is the same message"},
    )
    values = fields.Dict(
        keys=fields.String(validate=validate.Length(max=100)),
        metadata={"description": "what its template shows as `{{ event.… }}`"},
    )
    message_type = fields.Enum(MessageType, by_value=True)
    priority = fields.Enum(Priority, by_value=True)
    not_before = Instant()
    cap = fields.Nested(CapSchema)


class NewMessagesSchema(Schema):
    """Messages to many members."""

    messages = Each(
        fields.Nested(NewMessageSchema),
        required=True,
        validate=validate.Length(min=1, max=MAX_MESSAGES),
    )


class PassedSchema(Schema):
    """A channel that was not used, and the row that says why."""

    channel = fields.Enum(Channel, by_value=True, required=True)
    reason = fields.String(required=True)
    communication_id = fields.Integer(required=True)


class WrittenSchema(CommunicationSchema):
    """A message that was written now, or before with the same key."""

    outcome = fields.String(required=True, validate=validate.OneOf(("created", "duplicate")))
    passed = fields.List(fields.Nested(PassedSchema), required=True)


class OutcomeSchema(Schema):
    """What became of one message of a set."""

    index = fields.Integer(required=True)
    outcome = fields.Enum(Outcome, by_value=True, required=True)
    communication_id = fields.Integer(allow_none=True, required=True)
    status = fields.String(allow_none=True, required=True)
    reason = fields.String(allow_none=True, required=True)
    passed = fields.List(fields.Nested(PassedSchema), required=True)
    error = fields.Nested(OneErrorSchema, allow_none=True, required=True)


class OutcomesSchema(Schema):
    """What became of a set of messages: `created + duplicates + rejected` is all of them."""

    created = fields.Integer(required=True)
    duplicates = fields.Integer(required=True)
    rejected = fields.Integer(required=True)
    results = fields.List(fields.Nested(OutcomeSchema), required=True)


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


class ProviderChangesSchema(Schema):
    """What to change of a provider account."""

    name = fields.String(validate=validate.Length(min=1, max=100))
    config = fields.Dict(
        keys=fields.String(),
        metadata={"description": "single settings; null takes one out, what is left out stays"},
    )
    window = fields.Integer(allow_none=True, strict=True, validate=validate.Range(1, 1000))


class NewProviderSchema(ProviderChangesSchema):
    """A provider account to add."""

    name = fields.String(required=True, validate=validate.Length(min=1, max=100))
    adapter = fields.String(required=True, validate=validate.Length(min=1, max=24))
    config = fields.Dict(keys=fields.String(), required=True)


STATUSES = validate.OneOf([status.value for status in Status])
REASONS = validate.OneOf([reason.value for reason in Reason])
CHANNELS = validate.OneOf([channel.value for channel in Channel])
Id = validate.Range(1, 2**63 - 1)
