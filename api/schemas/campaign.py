"""Templates, campaigns, runs and what became of them."""

from marshmallow import Schema, fields, validate

from api.schemas.page import Name, Tags
from campaigns.campaign import CampaignCategory, CampaignType, Priority, ScheduleType
from channels.channel import Channel

Text = validate.Length(max=500_000)


class VersionSchema(Schema):
    """One wording of a template."""

    number = fields.Integer(required=True)
    subject = fields.String(allow_none=True)
    html = fields.String(allow_none=True)
    text = fields.String(allow_none=True)
    fields_used = fields.List(fields.String(), attribute="fields")
    created_at = fields.AwareDateTime(required=True)


class WordingSchema(Schema):
    """A wording to save, in Liquid."""

    subject = fields.String(allow_none=True, validate=validate.Length(max=2000))
    html = fields.String(allow_none=True, validate=Text)
    text = fields.String(allow_none=True, validate=Text)


class NewTemplateSchema(WordingSchema):
    """A template to create, with its first wording."""

    name = fields.String(required=True, validate=Name)
    channel = fields.Enum(Channel, by_value=True, required=True)


class TemplateSchema(Schema):
    """A template and its newest wording."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    channel = fields.String(required=True)
    version = fields.Nested(VersionSchema)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class VariantSchema(Schema):
    """What a campaign says on one channel."""

    channel = fields.Enum(Channel, by_value=True, required=True)
    template_id = fields.Integer(required=True, strict=True, validate=validate.Range(1, 2**63 - 1))
    provider_account_id = fields.Integer(
        allow_none=True, strict=True, validate=validate.Range(1, 2**63 - 1)
    )


class CampaignChangesSchema(Schema):
    """What can be said of a campaign."""

    name = fields.String(validate=Name)
    description = fields.String(allow_none=True, validate=validate.Length(max=5000))
    type = fields.Enum(CampaignType, by_value=True)
    category = fields.Enum(CampaignCategory, by_value=True)
    priority = fields.Enum(Priority, by_value=True)
    target_audience = fields.Dict(
        keys=fields.String(), metadata={"description": '{"segment_id": 7} or {"rule": …}'}
    )
    variants = fields.List(fields.Nested(VariantSchema), validate=validate.Length(max=8))
    schedule_type = fields.Enum(ScheduleType, by_value=True)
    scheduled_at = fields.AwareDateTime(allow_none=True)
    budget = fields.Decimal(allow_none=True, as_string=True)
    cost_per_message = fields.Decimal(allow_none=True, as_string=True)
    expected_revenue = fields.Decimal(allow_none=True, as_string=True)
    conversion_goal = fields.String(allow_none=True, validate=validate.Length(max=100))
    tags = Tags


class NewCampaignSchema(CampaignChangesSchema):
    """A campaign to create: always a draft."""

    name = fields.String(required=True, validate=Name)
    type = fields.Enum(CampaignType, by_value=True, required=True)
    target_audience = fields.Dict(keys=fields.String(), required=True)


class CampaignSchema(CampaignChangesSchema):
    """A campaign."""

    id = fields.Integer(required=True)
    status = fields.String(required=True)
    audience_size = fields.Integer(allow_none=True)
    version = fields.Integer(required=True)
    launched_at = fields.AwareDateTime(allow_none=True)
    completed_at = fields.AwareDateTime(allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class RunSchema(Schema):
    """One execution of a campaign."""

    id = fields.Integer(required=True)
    campaign_id = fields.Integer(required=True)
    occurrence_key = fields.String(required=True)
    status = fields.String(required=True)
    audience_size = fields.Integer(required=True)
    expanded = fields.Integer(required=True)
    started_at = fields.AwareDateTime(required=True)
    expanded_at = fields.AwareDateTime(allow_none=True)
    finished_at = fields.AwareDateTime(allow_none=True)


class LaunchSchema(Schema):
    """What a launch did: a run, or for a scheduled campaign none yet."""

    campaign = fields.Nested(CampaignSchema, required=True)
    run = fields.Nested(RunSchema, allow_none=True, required=True)


class FindingSchema(Schema):
    """One thing the pre-flight found."""

    code = fields.String(required=True)
    message = fields.String(required=True)
    field = fields.String(allow_none=True)
    remedy = fields.String(allow_none=True)


class PreflightSchema(Schema):
    """What would happen on launch."""

    audience = fields.Integer(required=True)
    reach = fields.Dict(keys=fields.String(), values=fields.Integer())
    skipped = fields.Dict(keys=fields.String())
    blockers = fields.List(fields.Nested(FindingSchema), required=True)
    warnings = fields.List(fields.Nested(FindingSchema), required=True)


class StatisticsSchema(Schema):
    """What became of a campaign's newest run, per channel and in all."""

    run = fields.Nested(RunSchema, allow_none=True, required=True)
    channels = fields.Dict(keys=fields.String(), required=True)
    total = fields.Dict(keys=fields.String(), required=True)
