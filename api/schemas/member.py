"""Members as the API shows and reads them; names are the source document's."""

from marshmallow import Schema, fields, validate

from api.schemas.field import Instant, money
from members.consent import ConsentState
from members.member import Gender, MemberStatus, Tier
from members.suppression import Scope

CHANNELS = ("email", "sms", "push")


class AddressSchema(Schema):
    """Where a member can be reached."""

    channel = fields.String(required=True)
    value = fields.String(required=True)
    state = fields.String(required=True)
    is_primary = fields.Boolean(required=True)


class ConsentSchema(Schema):
    """A member's word for a channel and topic."""

    channel = fields.String(required=True, validate=validate.OneOf(CHANNELS))
    topic = fields.String(load_default="marketing", validate=validate.Length(min=1, max=64))
    state = fields.Enum(ConsentState, by_value=True, required=True)
    source = fields.String(load_default="api", validate=validate.Length(min=1, max=64))
    wording = fields.String(allow_none=True, load_default=None, load_only=True)
    occurred_at = Instant(allow_none=True, load_default=None)


class MemberChangesSchema(Schema):
    """What can be said of a member."""

    first_name = fields.String(allow_none=True, validate=validate.Length(max=100))
    last_name = fields.String(allow_none=True, validate=validate.Length(max=100))
    full_name = fields.String(allow_none=True, validate=validate.Length(max=200))
    email = fields.String(allow_none=True, validate=validate.Length(max=320))
    phone = fields.String(allow_none=True, validate=validate.Length(max=64))
    push_token = fields.String(allow_none=True, load_only=True, validate=validate.Length(max=512))
    date_of_birth = fields.Date(allow_none=True)
    gender = fields.Enum(Gender, by_value=True, allow_none=True)
    tier = fields.Enum(Tier, by_value=True)
    status = fields.Enum(MemberStatus, by_value=True)
    engagement_score = fields.Float(allow_none=True)
    total_spend = money(allow_none=True)
    lifetime_value = money(allow_none=True)
    acquisition_channel = fields.String(allow_none=True, validate=validate.Length(max=100))
    acquisition_cost = money(allow_none=True)
    last_active = Instant(allow_none=True)
    location = fields.String(allow_none=True, validate=validate.Length(max=200))
    timezone = fields.String(allow_none=True, validate=validate.Length(max=64))
    language = fields.String(allow_none=True, validate=validate.Length(max=16))
    notes = fields.String(allow_none=True, validate=validate.Length(max=10_000))
    attributes = fields.Dict(keys=fields.String(), values=fields.Raw(allow_none=True))
    tags = fields.List(fields.String(validate=validate.Length(min=1, max=64)))
    consents = fields.List(fields.Nested(ConsentSchema))


class NewMemberSchema(MemberChangesSchema):
    """A member to create."""

    member_id = fields.String(validate=validate.Length(min=1, max=128))


class MemberSchema(NewMemberSchema):
    """A member."""

    id = fields.Integer(required=True)
    version = fields.Integer(required=True)
    addresses = fields.List(fields.Nested(AddressSchema))
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class SuppressionSchema(Schema):
    """An address that must not be written to; only its mask is shown."""

    id = fields.Integer(required=True)
    channel = fields.String(required=True)
    masked = fields.String(required=True)
    scope = fields.String(required=True)
    reason = fields.String(required=True)
    evidence = fields.String(allow_none=True)
    since = Instant(required=True)


class NewSuppressionSchema(Schema):
    """An address to suppress."""

    channel = fields.String(required=True, validate=validate.OneOf(CHANNELS))
    address = fields.String(required=True, validate=validate.Length(min=1, max=512))
    scope = fields.Enum(Scope, by_value=True, load_default=Scope.ALL)


class LiftedSchema(Schema):
    """How many suppressions of an address were lifted."""

    lifted = fields.Integer(required=True)


class LiftSchema(Schema):
    """An address to allow again."""

    channel = fields.String(required=True, validate=validate.OneOf(CHANNELS))
    address = fields.String(required=True, validate=validate.Length(min=1, max=512))
