"""What became of messages, counted, as the API shows it."""

from marshmallow import Schema, fields, validate

from api.schemas.communication import CHANNELS, REASONS
from api.schemas.field import Digits, Instant, id_field, money
from communications.report import By


class PeriodQuery(Schema):
    """Which messages: those decided on in a period, the last 30 days if none is given."""

    since = Instant(load_default=None)
    until = Instant(load_default=None)
    campaign_id = Digits(load_default=None, validate=validate.Range(1, 2**63 - 1))
    channel = fields.String(load_default=None, validate=CHANNELS)


class ByQuery(PeriodQuery):
    """Which messages, and by what they are told apart."""

    by = fields.Enum(By, by_value=True, load_default=By.CHANNEL)


def share(description: str) -> fields.Float:
    """Return a field for a share of something, null where there is nothing to divide by."""
    return fields.Float(allow_none=True, required=True, metadata={"description": description})


class ReportSchema(Schema):
    """One group: messages = skipped + queued + unknown + refused + accepted."""

    key = fields.String(allow_none=True, required=True)
    messages = fields.Integer(required=True)
    skipped = fields.Integer(required=True)
    queued = fields.Integer(required=True)
    unknown = fields.Integer(required=True)  # type: ignore[assignment]  # as StatisticsSchema
    refused = fields.Integer(required=True)
    accepted = fields.Integer(
        required=True,
        metadata={"description": "delivered + bounced + undelivered + pending"},
    )
    delivered = fields.Integer(required=True)
    bounced = fields.Integer(required=True)
    undelivered = fields.Integer(required=True)
    pending = fields.Integer(required=True)
    read = fields.Integer(required=True)
    clicked = fields.Integer(required=True)
    replied = fields.Integer(required=True)
    rate = share("delivered ÷ accepted")
    maturity = share("of the accepted, how many have their last receipt")
    remarkable = fields.Boolean(
        required=True, metadata={"description": "far below the rate of all others together"}
    )
    complained = fields.Integer(required=True)
    complaint_rate = share("complained ÷ delivered")
    complaints = fields.String(
        required=True,
        validate=validate.OneOf(("few", "many", "too_many")),
        metadata={"description": "`many` from 0.1 %, `too_many` from 0.3 %, of 50 or more"},
    )


class CostSchema(Schema):
    """What one group cost in one currency."""

    key = fields.String(allow_none=True, required=True)
    currency = fields.String(allow_none=True, required=True)
    amount = money(allow_none=True, required=True)
    priced = fields.Integer(required=True)
    unpriced = fields.Integer(required=True)
    segments = fields.Integer(required=True)


class LinkSchema(Schema):
    """A link, and from how many of the newest messages people followed it."""

    url = fields.String(required=True)
    clicked = fields.Integer(required=True)


class EngagementSchema(Schema):
    """What people did with what reached them."""

    delivered = fields.Integer(required=True)
    read = fields.Integer(required=True)
    clicked = fields.Integer(required=True)
    replied = fields.Integer(required=True)
    machine_read = fields.Integer(required=True)
    machine_clicked = fields.Integer(required=True)
    links = fields.List(
        fields.Nested(LinkSchema),
        required=True,
        metadata={
            "description": "the 20 most followed of the newest 5,000 messages that somebody read, "
            "clicked or answered; exact where they are no more"
        },
    )
    seconds = share("from sent to the first reading, click or answer: the median")
    sample = fields.Integer(
        required=True, metadata={"description": "how many `seconds` and `hours` are of"}
    )
    hours = fields.List(fields.Integer(), required=True)
    timezone = fields.String(required=True)


class ResponsesSchema(Schema):
    """How people answer."""

    delivered = fields.Integer(required=True)
    replied = fields.Integer(required=True)
    rate = share("replied ÷ delivered")
    seconds = share("from sent to answered: the median of the newest 1,000 that were answered")
    intents = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    sample = fields.Integer(
        required=True,
        metadata={"description": "how many messages from people `intents` are of: at most 1,000"},
    )


class OptOutSchema(Schema):
    """One withdrawal of consent."""

    id = fields.Integer(required=True)
    member_id = fields.Integer(required=True)
    channel = fields.String(required=True)
    topic = fields.String(required=True)
    source = fields.String(required=True)
    proof = fields.Dict(required=True)
    occurred_at = Instant(required=True)
    recorded_at = Instant(required=True)
    sent_after = fields.Integer(required=True)


class SpamReportSchema(Schema):
    """One complaint."""

    id = fields.Integer(required=True)
    communication_id = fields.Integer(allow_none=True, required=True)
    member_id = fields.Integer(allow_none=True, required=True)
    campaign_id = fields.Integer(allow_none=True, required=True)
    channel = fields.String(allow_none=True, required=True)
    source = fields.String(required=True)
    detail = fields.String(allow_none=True, required=True)
    occurred_at = Instant(required=True)
    received_at = Instant(required=True)


class FailedSchema(Schema):
    """Which failures."""

    campaign_id = id_field()
    run_id = id_field()
    channel = fields.String(validate=CHANNELS)
    provider_account_id = id_field()
    reason = fields.String(validate=REASONS)
    error_code = fields.String(validate=validate.Length(min=1, max=40))


class FailuresQuery(Schema):
    """Which failures."""

    campaign_id = Digits(validate=validate.Range(1, 2**63 - 1))
    run_id = Digits(validate=validate.Range(1, 2**63 - 1))
    channel = fields.String(validate=CHANNELS)


class FailureSchema(Schema):
    """Failures that are alike, why, and what to do."""

    channel = fields.String(required=True)
    provider_account_id = fields.Integer(allow_none=True, required=True)
    reason = fields.String(allow_none=True, required=True)
    error_code = fields.String(allow_none=True, required=True)
    example = fields.String(allow_none=True, required=True)
    rows = fields.Integer(required=True)
    cause = fields.String(required=True)
    action = fields.String(required=True)
    retryable = fields.Integer(required=True)
    content_removed = fields.Integer(
        required=True,
        metadata={"description": "would be retryable, but nobody keeps any longer what they said"},
    )


class RetrySchema(Schema):
    """Which failures to send again, and how many they are believed to be."""

    filter = fields.Nested(FailedSchema, required=True)
    dry_run = fields.Boolean(load_default=True)
    count = fields.Integer(
        strict=True, load_default=0, validate=validate.Range(0, 2**31),
        metadata={"description": "without dry_run: another number than match changes nothing"},
    )  # fmt: skip


class RetriedSchema(Schema):
    """What a retry did, or would do."""

    rows = fields.Integer(required=True)
    content_removed = fields.Integer(
        required=True, metadata={"description": "left out, as their content was removed"}
    )
    dry_run = fields.Boolean(required=True)
