"""What members do, as the API reads and shows it."""

from collections.abc import Mapping
from typing import Any, cast

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from api.refusal import refusals, wrong
from api.schemas.bulk import OneErrorSchema
from api.schemas.field import Instant, id_field, money
from members.order import OrderKind
from members.tracking import MAX_MESSAGE_ID, MAX_NAME, Refused

MAX_BATCH = 500


class PersonSchema(Schema):
    """Who did it: at least one of these."""

    member_id = fields.String(validate=validate.Length(max=128))
    email = fields.String(validate=validate.Length(max=320))
    phone = fields.String(validate=validate.Length(max=64))
    anonymous_id = fields.String(validate=validate.Length(max=MAX_MESSAGE_ID))


class ToldEventSchema(Schema):
    """One event as it is told."""

    name = fields.String(required=True, validate=validate.Length(min=1, max=MAX_NAME))
    message_id = fields.String(required=True, validate=validate.Length(min=1, max=MAX_MESSAGE_ID))
    person = fields.Nested(PersonSchema, required=True)
    properties = fields.Dict(keys=fields.String(), load_default=dict)
    occurred_at = Instant(load_default=None, allow_none=True)
    sent_at = Instant(load_default=None, allow_none=True)


class Each(fields.List[Any]):
    """A list in which one that cannot be read spoils no other: a Refused stands in its place."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        return [self._read(index, one, **kwargs) for index, one in enumerate(value)]

    def _read(self, index: int, one: Any, **kwargs: Any) -> Any:
        try:
            return self.inner.deserialize(one, **kwargs)
        except ValidationError as error:
            schema = cast("fields.Nested", self.inner).schema
            first, *more = refusals(error.messages, "", schema)
            field = first["pointer"].strip("/").replace("/", ".") or "event"
            message = "; ".join(one["detail"] for one in (first, *more))
            return Refused(index, field, message, first.get("remedy"))


class TrackSchema(Schema):
    """A set of events."""

    events = Each(
        fields.Nested(ToldEventSchema),
        required=True,
        validate=validate.Length(min=1, max=MAX_BATCH),
    )


class RefusedSchema(Schema):
    """An event that was not kept."""

    index = fields.Integer(required=True)
    error = fields.Nested(OneErrorSchema, required=True)


class TrackedSchema(Schema):
    """What became of a set of events."""

    new = fields.Integer(required=True)
    duplicates = fields.Integer(required=True)
    rejected = fields.List(fields.Nested(RefusedSchema), required=True)


class EventSchema(Schema):
    """One event of a member."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    message_id = fields.String(required=True)
    properties = fields.Dict(required=True)
    amount = money(allow_none=True)
    occurred_at = Instant(required=True)
    received_at = Instant(required=True)


class BuyerSchema(Schema):
    """Who bought: at least one of these."""

    id = id_field()
    member_id = fields.String(validate=validate.Length(max=128))
    email = fields.String(validate=validate.Length(max=320))
    phone = fields.String(validate=validate.Length(max=64))


class OrderRequestSchema(Schema):
    """An order as a shop tells it."""

    member = fields.Nested(BuyerSchema)
    member_id = id_field()
    """The member's `id`, as in routes; short for `member: {"id": …}`."""
    order_id = fields.String(required=True, validate=validate.Length(min=1, max=100))
    amount = money(required=True)
    currency = fields.String(required=True, validate=validate.Length(equal=3))
    occurred_at = Instant(load_default=None, allow_none=True)
    properties = fields.Dict(keys=fields.String(), load_default=dict)

    @validates_schema
    def _names_one(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        del kwargs
        if ("member" in data) == ("member_id" in data):
            raise wrong("it takes one of member and member_id", "give one of the two", "member")


class RefundRequestSchema(Schema):
    """A refund of an order; without an amount, all that is left of it."""

    refund_id = fields.String(required=True, validate=validate.Length(min=1, max=100))
    amount = money(load_default=None, allow_none=True)
    occurred_at = Instant(load_default=None, allow_none=True)


class OrderSchema(Schema):
    """An order, or a refund."""

    member_id = fields.Integer(required=True)
    order_id = fields.String(required=True)
    kind = fields.Enum(OrderKind, by_value=True, required=True)
    amount = money(required=True)
    currency = fields.String(required=True)
    refund_of = fields.String(allow_none=True)
    occurred_at = Instant(required=True)
    communication_id = fields.Integer(allow_none=True)
    new = fields.Boolean(required=True)
    """False when it was told before."""


class ReferRequestSchema(Schema):
    """Who brought a member: the holder of this code."""

    code = fields.String(required=True, validate=validate.Length(min=1, max=32))


class CodeSchema(Schema):
    """A member's referral code."""

    code = fields.String(required=True)


class LevelSchema(Schema):
    """The members so many steps below."""

    depth = fields.Integer(required=True)
    members = fields.Integer(required=True)
    bought = fields.Integer(required=True)
    revenue = money(required=True)


class TreeSchema(Schema):
    """What a member's referrals came to."""

    code = fields.String(allow_none=True, required=True)
    levels = fields.List(fields.Nested(LevelSchema), required=True)
    commission = money(required=True)
    currency = fields.String(allow_none=True, required=True)
    hints = fields.List(fields.String(), required=True)


class DroppedEventsSchema(Schema):
    """The events of one kind that were dropped on one day for one reason, and the last of them."""

    day = fields.Date(required=True)
    kind = fields.String(required=True)
    reason = fields.String(required=True)
    count = fields.Integer(required=True)
    detail = fields.String(required=True)
    message_id = fields.String(allow_none=True)
    key_id = fields.Integer(allow_none=True)
    last_at = Instant(required=True)
