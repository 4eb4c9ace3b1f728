"""Campaigns copied, put away and looked back at, as the API shows it."""

from marshmallow import Schema, fields, validate

from api.schemas.bulk import OneErrorSchema
from api.schemas.campaign import CampaignSchema
from api.schemas.field import Instant, cost, money
from api.schemas.page import Name, Tags
from api.schemas.reports import share
from campaigns.campaign import CampaignCategory, Priority
from campaigns.shelf import Deed
from campaigns.trial import Goal, Guard, Recommendation, Verdict
from channels.channel import Channel


class CopySchema(Schema):
    """How to call the copy; “… (copy)” if nothing is said."""

    name = fields.String(validate=Name)


class BatchChangesSchema(Schema):
    """What many campaigns may be given at once."""

    priority = fields.Enum(Priority, by_value=True)
    category = fields.Enum(CampaignCategory, by_value=True)
    tags = Tags
    budget = cost(allow_none=True)
    cost_per_message = cost(allow_none=True)


class BatchSchema(Schema):
    """One deed to many campaigns."""

    ids = fields.List(
        fields.Integer(strict=True, validate=validate.Range(1, 2**63 - 1)),
        required=True,
        validate=validate.Length(min=1, max=500),
    )
    do = fields.Enum(Deed, by_value=True, required=True)
    changes = fields.Nested(BatchChangesSchema, metadata={"description": "of `update`"})
    all_or_nothing = fields.Boolean(load_default=False)
    dry_run = fields.Boolean(load_default=False)


class BatchResultSchema(Schema):
    """What became of one campaign."""

    campaign_id = fields.Integer(required=True)
    ok = fields.Boolean(required=True)
    error = fields.Nested(OneErrorSchema, allow_none=True, required=True)


class BatchDoneSchema(Schema):
    """What became of each; `applied` says whether anything stays done."""

    applied = fields.Boolean(required=True)
    results = fields.List(fields.Nested(BatchResultSchema), required=True)


class PlannedSchema(Schema):
    """A campaign that waits for its time."""

    campaign = fields.Nested(CampaignSchema, required=True)
    local = fields.String(required=True, metadata={"description": "in the client's time zone"})
    timezone = fields.String(required=True)
    channels = fields.List(fields.Enum(Channel, by_value=True), required=True)
    close = fields.List(
        fields.Integer(),
        required=True,
        metadata={"description": "others on one of its channels within a day"},
    )


class RoiSchema(Schema):
    """What a campaign cost and earned."""

    model = fields.String(required=True)
    currency = fields.String(allow_none=True, required=True)
    messages = fields.Integer(required=True)
    cost = money(required=True)
    estimated = money(required=True)
    unpriced = fields.Integer(required=True)
    orders = fields.Integer(required=True)
    revenue = money(required=True)
    low = money(allow_none=True, required=True)
    high = money(allow_none=True, required=True)
    return_on_cost = share("(revenue - cost - estimated) ÷ (cost + estimated)")
    break_even_orders = fields.Integer(allow_none=True, required=True)
    lift = money(
        allow_none=True,
        required=True,
    )
    """Null: it takes a control group."""


class HappeningSchema(Schema):
    """One thing that happened to a campaign."""

    at = Instant(required=True)
    what = fields.String(required=True)
    actor = fields.String(allow_none=True, required=True)
    detail = fields.String(allow_none=True, required=True)


class HourSchema(Schema):
    """How many messages left in an hour."""

    hour = Instant(required=True)
    sent = fields.Integer(required=True)


class CampaignStorySchema(Schema):
    """A campaign's happenings and its volume."""

    happenings = fields.List(fields.Nested(HappeningSchema), required=True)
    volume = fields.List(fields.Nested(HourSchema), required=True)


class SuggestionSchema(Schema):
    """One thing to do, and why."""

    code = fields.String(required=True)
    text = fields.String(required=True)
    evidence = fields.Dict(required=True)


class ExperimentQuery(Schema):
    """What the wordings are compared by."""

    goal = fields.Enum(
        Goal,
        by_value=True,
        load_default=Goal.CLICK,
        metadata={
            "description": "`click`: a person followed a link. `order`: a purchase was credited"
        },
    )


class UpliftSchema(Schema):
    """One arm's rate beside that of the best of the others."""

    against = fields.String(required=True)
    value = share("rate ÷ the other's rate - 1; null where the other has no goal yet")
    low = fields.Float(required=True)
    high = share("the true uplift is between both, whenever one looks; null: no upper end yet")


class ArmSchema(Schema):
    """One wording of a test."""

    name = fields.String(required=True)
    template_version_id = fields.Integer(required=True)
    weight = fields.Integer(required=True)
    assigned = fields.Integer(
        required=True,
        attribute="counts.assigned",
        metadata={"description": "people drawn, sent to or not"},
    )
    messages = fields.Integer(
        required=True,
        attribute="counts.messages",
        metadata={"description": "that a provider took"},
    )
    goals = fields.Integer(required=True, attribute="counts.goals")
    rate = share("goals ÷ messages")
    low = fields.Float(required=True)
    high = fields.Float(
        required=True,
        metadata={"description": "the true rate is between both, whenever one looks"},
    )
    uplift = fields.Nested(UpliftSchema, allow_none=True, required=True)
    unsubscribed = fields.Integer(required=True, attribute="counts.unsubscribed")
    complained = fields.Integer(required=True, attribute="counts.complained")
    worse = fields.List(
        fields.Enum(Guard, by_value=True),
        required=True,
        metadata={"description": "what it causes more than the others, beyond chance"},
    )


class TrialSchema(Schema):
    """The wordings of one channel, and what can be said of them."""

    channel = fields.Enum(Channel, by_value=True, required=True)
    verdict = fields.Enum(Verdict, by_value=True, required=True)
    recommendation = fields.Enum(Recommendation, by_value=True, allow_none=True, required=True)
    leader = fields.String(
        allow_none=True, required=True, metadata={"description": "null unless it is clear"}
    )
    p_value = share("at most so often chance alone shows as much, over all looks together")
    sample_ratio = share("the same of how people were shared out; below 0.001 nothing is said")
    says = fields.String(required=True)
    remedy = fields.String(allow_none=True, required=True)
    arms = fields.List(fields.Nested(ArmSchema), required=True)


class ExperimentSchema(Schema):
    """A trial for each channel of the newest run."""

    goal = fields.Enum(Goal, by_value=True, required=True)
    run_id = fields.Integer(allow_none=True, required=True)
    trials = fields.List(fields.Nested(TrialSchema), required=True)
