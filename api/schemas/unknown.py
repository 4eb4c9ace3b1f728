"""Unknown messages, and what is decided of them."""

from marshmallow import Schema, fields, validate

from api.schemas.field import Instant, id_field
from communications.communication import Reason
from communications.unknown import Decision

REASONS = (Reason.NO_ANSWER, Reason.WORKER_STOPPED, Reason.RESTORED)
MOST_IDS = 1000
MAX_SECONDS = 10 * 365 * 86_400


class UnknownGroupSchema(Schema):
    """Unknown messages that are alike."""

    provider_account_id = fields.Integer(required=True, allow_none=True)
    run_id = fields.Integer(required=True, allow_none=True)
    reason = fields.String(required=True, allow_none=True)
    rows = fields.Integer(required=True)
    oldest = Instant(required=True, metadata={"description": "since when the first is unknown"})
    newest = Instant(required=True)
    content_removed = fields.Integer(
        required=True, metadata={"description": "cannot be sent again: their content was removed"}
    )


class UnknownSchema(Schema):
    """What nobody can tell about."""

    rows = fields.Integer(required=True)
    groups = fields.List(fields.Nested(UnknownGroupSchema), required=True)


class WhichSchema(Schema):
    """Which unknown messages: those that fit all that is given; of `{}`, all there are."""

    ids = fields.List(id_field(), validate=validate.Length(min=1, max=MOST_IDS))
    run_id = id_field()
    provider_account_id = id_field()
    reason = fields.String(validate=validate.OneOf([reason.value for reason in REASONS]))
    older_than_seconds = fields.Integer(strict=True, validate=validate.Range(0, MAX_SECONDS))


class ResolveSchema(Schema):
    """A decision: `sent` and `not_sent` say how it was, `resend` accepts that some get it twice."""

    filter = fields.Nested(WhichSchema, required=True)
    decision = fields.String(
        required=True, validate=validate.OneOf([decision.value for decision in Decision])
    )
    count = fields.Integer(
        required=True,
        strict=True,
        validate=validate.Range(1, 2**31 - 1),
        metadata={"description": "how many you mean; another number than match changes nothing"},
    )


class ResolvedSchema(Schema):
    """What was decided of how many."""

    rows = fields.Integer(required=True)
    decision = fields.String(required=True)


class CheckSchema(Schema):
    """Which messages providers are asked about: up to 50, least lately asked first."""

    filter = fields.Nested(WhichSchema, load_default=dict)


class CheckedSchema(Schema):
    """What came of asking."""

    found = fields.Integer(
        required=True, metadata={"description": "the provider has them: they are sent"}
    )
    not_found = fields.Integer(
        required=True, metadata={"description": "still unknown: absence is no proof"}
    )
    cannot_say = fields.Integer(required=True)
    left = fields.Integer(required=True, metadata={"description": "not asked yet; ask again later"})
