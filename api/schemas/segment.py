"""Segments and rules."""

from marshmallow import Schema, fields, validate, validates_schema

from api.refusal import wrong
from api.schemas.field import Digits, Instant, id_field
from api.schemas.member import MemberSchema
from api.schemas.page import Name
from channels.channel import Channel
from members.pin import MAX_PINS
from members.sample import MOST
from members.segment import Pin, SegmentKind

CHANNELS = validate.OneOf([Channel.EMAIL, Channel.SMS, Channel.PUSH])
NO_PIN = "none"


class RuleSchema(Schema):
    """A rule, as JSON in `rule` or as text in `text`."""

    rule = fields.Dict(keys=fields.String())
    text = fields.String(validate=validate.Length(min=1, max=20_000))


class NewSegmentSchema(RuleSchema):
    """A segment to create; a static one keeps those its rule means now, or the members listed."""

    name = fields.String(required=True, validate=Name)
    description = fields.String(allow_none=True, validate=validate.Length(max=2000))
    kind = fields.Enum(SegmentKind, by_value=True, load_default=SegmentKind.DYNAMIC)
    members = fields.List(
        id_field(),
        validate=validate.Length(max=MAX_PINS),
        metadata={"description": "ids of the members of a static segment"},
    )
    tracked = fields.Boolean(load_default=False)

    @validates_schema
    def one_rule(self, data: dict[str, object], **_: object) -> None:
        """Ask for the rule in exactly one form, or for a list."""
        if "members" not in data:
            one_of_two(data)
        elif data["kind"] is not SegmentKind.STATIC or "rule" in data or "text" in data:
            raise wrong(
                "only a static segment has a list, and then no rule",
                "leave members or the rule out",
                "members",
            )


class SegmentChangesSchema(RuleSchema):
    """What changes about a segment."""

    name = fields.String(validate=Name)
    description = fields.String(allow_none=True, validate=validate.Length(max=2000))
    tracked = fields.Boolean(
        metadata={"description": "whether joins and leaves are written down from now on"}
    )

    @validates_schema
    def one_rule(self, data: dict[str, object], **_: object) -> None:
        """Refuse two rules."""
        if "rule" in data and "text" in data:
            one_of_two(data)


class RuleQuestionSchema(RuleSchema):
    """A rule to try."""

    channels = fields.List(
        fields.Enum(Channel, by_value=True, validate=CHANNELS),
        load_default=list,
        validate=validate.Length(max=3),
        metadata={"description": "channels to show step by step; each takes a look at everybody"},
    )
    sample = fields.Integer(strict=True, load_default=0, validate=validate.Range(0, MOST))
    member = id_field(
        load_default=None,
        metadata={"description": "a member to say of whether the rule means it, and why"},
    )

    @validates_schema
    def one_rule(self, data: dict[str, object], **_: object) -> None:
        """Ask for the rule in exactly one form."""
        one_of_two(data)


def one_of_two(data: dict[str, object]) -> None:
    """Raise ValidationError unless exactly one of `rule` and `text` is given."""
    if ("rule" in data) == ("text" in data):
        raise wrong("it takes one of rule and text", "give one of the two", "rule")


class SegmentSchema(Schema):
    """A segment."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    description = fields.String(allow_none=True)
    kind = fields.String(required=True)
    rule = fields.Dict(keys=fields.String(), required=True)
    text = fields.String(required=True)
    english = fields.String(required=True)
    tracked = fields.Boolean(required=True)
    refreshed_at = Instant(required=True, allow_none=True)
    version = fields.Integer(required=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class CountSchema(Schema):
    """How many members a rule means, and how many of them can be reached on each channel."""

    members = fields.Integer(required=True)
    reach = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


class EditQuestionSchema(RuleSchema):
    """A new rule of a segment, to be weighed before it is saved."""

    @validates_schema
    def one_rule(self, data: dict[str, object], **_: object) -> None:
        """Ask for the rule in exactly one form."""
        one_of_two(data)


class ReachQuery(Schema):
    """For which channel."""

    channel = fields.Enum(Channel, by_value=True, load_default=Channel.EMAIL, validate=CHANNELS)


class SampleQuery(ReachQuery):
    """How many people, and what they would receive on which channel."""

    limit = Digits(load_default=5, validate=validate.Range(1, MOST))


class StepSchema(Schema):
    """How many are left, and how many the step took away."""

    name = fields.String(required=True)
    members = fields.Integer(required=True)
    lost = fields.Integer(required=True)


class WaterfallSchema(Schema):
    """From those a rule means to those who will receive a message on a channel."""

    channel = fields.Enum(Channel, by_value=True, required=True)
    steps = fields.List(fields.Nested(StepSchema), required=True)
    will_receive = fields.Integer(required=True)


class ReachSchema(Schema):
    """How far a rule reaches."""

    members = fields.Integer(required=True)
    channels = fields.List(fields.Nested(WaterfallSchema), required=True)
    capped = fields.Boolean(
        required=True, metadata={"description": "whether caps were looked at; there are none yet"}
    )


class BecauseSchema(Schema):
    """One part of the rule that decides."""

    english = fields.String(required=True)
    found = fields.String(required=True)
    yes = fields.Boolean(required=True)


class ReceiptSchema(Schema):
    """What a person would get on a channel: a message, or a reason why not."""

    channel = fields.Enum(Channel, by_value=True, required=True)
    address = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True, allow_none=True)


class SampledSchema(Schema):
    """A person, in short."""

    id = fields.Integer(required=True)
    member_id = fields.String(required=True)
    first_name = fields.String(required=True, allow_none=True)
    last_name = fields.String(required=True, allow_none=True)
    tier = fields.String(required=True)


class ExampleSchema(Schema):
    """One person of a sample, why the rule means them and what they would receive."""

    member = fields.Nested(SampledSchema, required=True)
    because = fields.List(fields.Nested(BecauseSchema), required=True)
    receives = fields.List(fields.Nested(ReceiptSchema), required=True)


class VerdictSchema(Schema):
    """Whether a rule means a member, and the parts of it that decide."""

    belongs = fields.Boolean(required=True)
    because = fields.List(fields.Nested(BecauseSchema), required=True)


class MemberVerdictSchema(VerdictSchema):
    """Whether a member belongs to a segment; its rule with those of its segments in it."""

    segment_id = fields.Integer(required=True)
    member_id = fields.Integer(required=True)
    text = fields.String(required=True)
    english = fields.String(required=True)


class FieldWordSchema(Schema):
    """A field of members, and what can be asked of it."""

    name = fields.String(required=True)
    kind = fields.String(required=True)
    ops = fields.List(fields.String(), required=True)
    choices = fields.List(fields.String(), required=True)


class SeenSchema(Schema):
    """An attribute or property, and what it was seen to hold."""

    name = fields.String(required=True)
    kinds = fields.List(fields.String(), required=True)


class EventWordSchema(Schema):
    """A name of events, and the properties they were seen with."""

    name = fields.String(required=True)
    properties = fields.List(fields.Nested(SeenSchema), required=True)


class VocabularySchema(Schema):
    """What the rules of a client can be made of, up to 1,000 names of each kind."""

    fields_of_members = fields.List(
        fields.Nested(FieldWordSchema), required=True, attribute="fields", data_key="fields"
    )
    attributes = fields.List(fields.Nested(SeenSchema), required=True)
    external_ids = fields.List(fields.String(), required=True)
    tags = fields.List(fields.String(), required=True)
    segments = fields.List(fields.String(), required=True)
    campaigns = fields.List(fields.String(), required=True)
    events = fields.List(fields.Nested(EventWordSchema), required=True)


class MeantSchema(CountSchema):
    """Whom a rule means, in numbers, in words and in persons."""

    text = fields.String(required=True)
    english = fields.String(required=True)
    channels = fields.List(fields.Nested(WaterfallSchema), required=True)
    sample = fields.List(fields.Nested(ExampleSchema), required=True)
    member = fields.Nested(VerdictSchema, required=True, allow_none=True)


class UseSchema(Schema):
    """A campaign or segment that uses a segment."""

    kind = fields.String(required=True)
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    status = fields.String(required=True, allow_none=True)
    live = fields.Boolean(required=True)
    direct = fields.Boolean(required=True)


class DeltaSchema(Schema):
    """How many a change adds and takes away, and how many there are then."""

    added = fields.Integer(required=True)
    removed = fields.Integer(required=True)
    members = fields.Integer(required=True)


class UseEffectSchema(UseSchema):
    """What an edit would do to a live use."""

    effect = fields.Nested(DeltaSchema, required=True)


class EffectSchema(Schema):
    """What an edit would do."""

    segment = fields.Nested(DeltaSchema, required=True)
    uses = fields.List(fields.Nested(UseEffectSchema), required=True)


class StaySchema(Schema):
    """One stay of one member in a tracked segment; `left_at` is null while it lasts."""

    id = fields.Integer(required=True)
    segment_id = fields.Integer(required=True)
    segment = fields.String(required=True)
    member_id = fields.Integer(required=True)
    joined_at = Instant(required=True)
    reason = fields.String(required=True)
    left_at = Instant(required=True, allow_none=True)
    left_reason = fields.String(required=True, allow_none=True)


class BelongingSchema(Schema):
    """A segment a member is in."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    kind = fields.String(required=True)
    pinned = fields.Boolean(required=True)
    since = Instant(required=True, allow_none=True)
    reason = fields.String(required=True, allow_none=True)
    because = fields.List(fields.Nested(BecauseSchema), required=True)


class SegmentMemberSchema(MemberSchema):
    """A member of a segment."""


class NewPinsSchema(Schema):
    """Members to put in or keep out; `none` lets the rule decide again."""

    members = fields.List(id_field(), required=True, validate=validate.Length(min=1, max=MAX_PINS))
    pin = fields.String(
        load_default=Pin.INCLUDE.value, validate=validate.OneOf([*map(str, Pin), NO_PIN])
    )


class PinnedSchema(Schema):
    """How many pins changed."""

    changed = fields.Integer(required=True)


class PinSchema(Schema):
    """One pin."""

    member_id = fields.Integer(required=True)
    pin = fields.String(required=True)
    actor = fields.String(required=True, allow_none=True)
    pinned_at = Instant(required=True, allow_none=True)
