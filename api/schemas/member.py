"""Members as the API shows and reads them; names are the source document's."""

from marshmallow import Schema, fields, validate

from api.schemas.field import Instant, cost, money
from api.schemas.page import PageQuery
from communications.thread import KINDS
from core.doubt import Doubt
from members.consent import ConsentState
from members.member import Gender, MemberStatus, Tier
from members.suppression import Scope

CHANNELS = ("email", "sms", "push")


class AddressSchema(Schema):
    """Where a member can be reached."""

    id = fields.Integer(required=True)
    channel = fields.String(required=True)
    value = fields.String(required=True)
    state = fields.String(required=True)
    is_primary = fields.Boolean(required=True)
    doubt = fields.Enum(
        Doubt,
        by_value=True,
        allow_none=True,
        metadata={"description": "why an email address may not be a person's; it is written to"},
    )


class ConsentSchema(Schema):
    """A member's word for a channel and topic."""

    channel = fields.String(required=True, validate=validate.OneOf(CHANNELS))
    topic = fields.String(load_default="marketing", validate=validate.Length(min=1, max=64))
    state = fields.Enum(ConsentState, by_value=True, required=True)
    source = fields.String(load_default="api", validate=validate.Length(min=1, max=64))
    wording = fields.String(
        allow_none=True, load_default=None, load_only=True, validate=validate.Length(max=10_000)
    )
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
    acquisition_cost = cost(allow_none=True)
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


class FoundSchema(MemberSchema):
    """A member a search found, and how well it fits."""

    score = fields.Integer(required=True)
    found_by = fields.String(required=True)


class PageAddressSchema(AddressSchema):
    """Where a member can be reached, and whether it may be written to."""

    suppressed = fields.String(
        allow_none=True,
        metadata={"description": "`all`, `marketing`, or null where nothing forbids it"},
    )


class ExternalIdSchema(Schema):
    """The id another system has for a member."""

    system = fields.String(required=True, validate=validate.Length(min=1, max=22))
    value = fields.String(required=True, validate=validate.Length(min=1, max=128))


class UpcomingSchema(Schema):
    """A message that waits to be sent."""

    id = fields.Integer(required=True)
    channel = fields.String(required=True)
    campaign_id = fields.Integer(allow_none=True)
    not_before = Instant(required=True)
    held = fields.String(allow_none=True)


class MemberPageSchema(MemberSchema):
    """A member with everything its page shows."""

    addresses = fields.List(fields.Nested(PageAddressSchema))
    external_ids = fields.List(fields.Nested(ExternalIdSchema))
    upcoming = fields.List(fields.Nested(UpcomingSchema))


class NewAddressSchema(Schema):
    """An address to add."""

    channel = fields.String(required=True, validate=validate.OneOf(CHANNELS))
    value = fields.String(required=True, validate=validate.Length(min=1, max=512))
    primary = fields.Boolean(load_default=False)
    shared = fields.Boolean(
        load_default=False,
        metadata={"description": "several members use this mailbox or phone"},
    )


class TagChangesSchema(Schema):
    """Tags to give and to take."""

    add = fields.List(
        fields.String(validate=validate.Length(min=1, max=64)),
        load_default=list,
        validate=validate.Length(max=100),
    )
    remove = fields.List(
        fields.String(validate=validate.Length(min=1, max=64)),
        load_default=list,
        validate=validate.Length(max=100),
    )


class NoteSchema(Schema):
    """A note about a member."""

    id = fields.Integer(dump_only=True)
    text = fields.String(required=True, validate=validate.Length(min=1, max=10_000))
    author = fields.String(dump_only=True)
    created_at = Instant(dump_only=True)


class ChangeSchema(Schema):
    """One edit of a member."""

    id = fields.Integer(required=True)
    source = fields.String(required=True)
    actor = fields.String(allow_none=True)
    changed = fields.Dict(keys=fields.String(), values=fields.Raw(allow_none=True))
    changed_at = Instant(required=True)


class TimelineQuery(PageQuery):
    """What of the timeline."""

    kind = fields.String(load_default=None, validate=validate.OneOf(KINDS))


class EntrySchema(Schema):
    """One thing that happened between a client and a member."""

    at = Instant(required=True)
    kind = fields.String(required=True)
    id = fields.Integer(required=True)
    what = fields.String(required=True)
    detail = fields.Dict(keys=fields.String(), values=fields.Raw(allow_none=True))


class ErasureSchema(Schema):
    """The receipt of an erasure; it names nobody."""

    id = fields.Integer(required=True)
    member_id = fields.Integer(required=True)
    digest = fields.String(
        required=True, metadata={"description": "keyed hash of the member_id it had"}
    )
    actor = fields.String(allow_none=True)
    erased = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    erased_at = Instant(required=True)


class MergeRequestSchema(Schema):
    """Two members that are one."""

    survivor_id = fields.Integer(required=True, strict=True, validate=validate.Range(1, 2**63 - 1))
    absorbed_id = fields.Integer(required=True, strict=True, validate=validate.Range(1, 2**63 - 1))


class MergeSchema(Schema):
    """A merge."""

    id = fields.Integer(required=True)
    survivor_id = fields.Integer(required=True)
    absorbed_id = fields.Integer(required=True)
    actor = fields.String(allow_none=True)
    merged_at = Instant(required=True)
    undone_at = Instant(allow_none=True)


class FigureSchema(Schema):
    """One number, and the rule that lists the members behind it."""

    name = fields.String(required=True)
    members = fields.Integer(required=True)
    match = fields.String(required=True)


class MemberStatisticsSchema(Schema):
    """A client's members, counted."""

    total = fields.Integer(required=True)
    by_status = fields.List(fields.Nested(FigureSchema))
    by_tier = fields.List(fields.Nested(FigureSchema))
    reachable = fields.List(fields.Nested(FigureSchema))
    consented = fields.List(fields.Nested(FigureSchema))
    counted_at = Instant(
        required=True,
        metadata={"description": "now, or for many some minutes ago"},
    )


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
