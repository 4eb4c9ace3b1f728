"""Campaigns, runs and what became of them."""

from marshmallow import Schema, fields, validate

from api.schemas.field import Instant, cost, id_field
from api.schemas.page import Name, Tags
from campaigns.campaign import CampaignCategory, CampaignType, Priority, ScheduleType
from channels.channel import Channel


class VariantSchema(Schema):
    """What a campaign says on one channel; of several each member gets one, drawn by lot."""

    channel = fields.Enum(Channel, by_value=True, required=True)
    template_id = id_field(required=True)
    provider_account_id = id_field(allow_none=True)
    name = fields.String(
        validate=validate.Length(1, 16),
        metadata={"description": "A to D by its place on the channel, if none is given"},
    )
    weight = fields.Integer(
        strict=True,
        validate=validate.Range(1, 1000),
        metadata={"description": "its share of the channel's people: of the sum; 1 if not given"},
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
    variants = fields.List(fields.Nested(VariantSchema), validate=validate.Length(max=32))
    schedule_type = fields.Enum(ScheduleType, by_value=True)
    scheduled_at = Instant(allow_none=True)
    budget = cost(allow_none=True)
    cost_per_message = cost(allow_none=True)
    expected_revenue = cost(allow_none=True)
    conversion_goal = fields.String(allow_none=True, validate=validate.Length(max=100))
    tracking = fields.Boolean(
        metadata={"description": "false: links are not rewritten, and there is no open pixel"}
    )
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
    status_reason = fields.String(
        allow_none=True, metadata={"description": "why it was paused, where no person did it"}
    )
    audience_size = fields.Integer(allow_none=True)
    version = fields.Integer(required=True)
    launched_at = Instant(allow_none=True)
    completed_at = Instant(allow_none=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class RunSchema(Schema):
    """One execution of a campaign."""

    id = fields.Integer(required=True)
    campaign_id = fields.Integer(required=True)
    occurrence_key = fields.String(required=True)
    status = fields.String(required=True)
    audience_size = fields.Integer(required=True)
    expanded = fields.Integer(required=True)
    started_at = Instant(required=True)
    expanded_at = Instant(allow_none=True)
    finished_at = Instant(allow_none=True)


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
