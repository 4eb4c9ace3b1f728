"""Scores, tiers and advice as the API shows and reads them."""

from marshmallow import Schema, fields, validate, validates_schema

from api.refusal import wrong
from api.schemas.field import Instant
from api.schemas.page import PageQuery
from api.schemas.segment import RuleSchema, one_of_two
from members.member import Tier
from members.score import ScoreKind
from members.tier_rule import MAX_GRACE_DAYS


class ScoreSchema(Schema):
    """A number about a member."""

    kind = fields.Enum(ScoreKind, by_value=True, required=True)
    value = fields.Float(
        allow_none=True, required=True, metadata={"description": "null: not enough data"}
    )
    low = fields.Float(allow_none=True, required=True)
    high = fields.Float(
        allow_none=True,
        required=True,
        metadata={"description": "four times in five the true value is between low and high"},
    )
    version = fields.String(required=True)
    reasons = fields.Dict(keys=fields.String(), required=True)
    computed_at = Instant(required=True)


class ScoreModelSchema(Schema):
    """What a client's numbers are computed by, and how well that did."""

    kind = fields.Enum(ScoreKind, by_value=True, required=True)
    method = fields.String(required=True)
    quality = fields.Dict(keys=fields.String(), required=True)
    fitted_at = Instant(required=True)


class RecommendationSchema(Schema):
    """One piece of advice, and what it rests on."""

    kind = fields.String(required=True)
    value = fields.String(required=True)
    because = fields.String(required=True)
    numbers = fields.Dict(keys=fields.String(), required=True)
    messages = fields.List(fields.Integer(), required=True)


class TierChangeSchema(Schema):
    """One change of a member's tier."""

    id = fields.Integer(required=True)
    from_tier = fields.Enum(Tier, by_value=True, required=True)
    to_tier = fields.Enum(Tier, by_value=True, required=True)
    reason = fields.String(required=True)
    rule = fields.String(allow_none=True, required=True)
    note = fields.String(allow_none=True, required=True)
    actor = fields.String(allow_none=True, required=True)
    changed_at = Instant(required=True)


class GivenTierSchema(Schema):
    """A tier to give a member by hand."""

    tier = fields.Enum(Tier, by_value=True, required=True)
    locked = fields.Boolean(
        load_default=False, metadata={"description": "the rules leave it alone until it is not"}
    )
    note = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=500))


class TierRuleSchema(RuleSchema):
    """What a tier asks of its members, as JSON in `rule` or as text in `text`."""

    tier = fields.Enum(Tier, by_value=True, required=True)
    grace_days = fields.Integer(
        strict=True, load_default=30, validate=validate.Range(0, MAX_GRACE_DAYS)
    )

    @validates_schema
    def one_rule(self, data: dict[str, object], **_: object) -> None:
        """Ask for the rule in exactly one form."""
        one_of_two(data)


class TierRulesSchema(Schema):
    """All rules of a client; those left out are gone."""

    rules = fields.List(
        fields.Nested(TierRuleSchema), required=True, validate=validate.Length(max=len(Tier))
    )


class TierSchema(Schema):
    """A tier with its rule and how many members it has."""

    tier = fields.Enum(Tier, by_value=True, required=True)
    rule = fields.Dict(keys=fields.String(), allow_none=True, required=True)
    text = fields.String(allow_none=True, required=True)
    grace_days = fields.Integer(allow_none=True, required=True)
    members = fields.Integer(required=True)


class TiersSchema(Schema):
    """All tiers, highest first."""

    tiers = fields.List(fields.Nested(TierSchema), required=True)


class EvaluateSchema(Schema):
    """Whether to do it, or only to count."""

    dry_run = fields.Boolean(load_default=True)


class TierCountSchema(Schema):
    """How many members go from one tier to another."""

    from_tier = fields.Enum(Tier, by_value=True, required=True)
    to_tier = fields.Enum(Tier, by_value=True, required=True)
    members = fields.Integer(required=True)


class EvaluationSchema(Schema):
    """What an evaluation did, or would do."""

    dry_run = fields.Boolean(required=True)
    changed = fields.List(fields.Nested(TierCountSchema), required=True)
    waiting = fields.Integer(required=True, metadata={"description": "whose grace begins"})
    recovered = fields.Integer(required=True, metadata={"description": "whose grace ends well"})
    locked = fields.Integer(required=True, metadata={"description": "meant otherwise, but locked"})


class NearQuery(PageQuery):
    """Near which tier."""

    tier = fields.Enum(Tier, by_value=True, required=True)

    @validates_schema
    def earned(self, data: dict[str, object], **_: object) -> None:
        """Refuse basic: everybody has at least that."""
        if data.get("tier") is Tier.BASIC:
            raise wrong("nobody is below basic", "ask for a higher tier", "tier")


class NearSchema(Schema):
    """A member near a better tier."""

    id = fields.Integer(required=True)
    member_id = fields.String(required=True)
    full_name = fields.String(allow_none=True, required=True)
    tier = fields.Enum(Tier, by_value=True, required=True)


class FallingSchema(NearSchema):
    """A member whose tier is about to fall."""

    below_since = Instant(required=True)
    falls_at = Instant(required=True)
