"""Recipes, the foundation, and the nine Elevate steps as the API shows and reads them."""

from marshmallow import Schema, fields, validate

from api.schemas.field import Digits, Instant
from api.schemas.page import PageQuery
from campaigns.elevate.metrics import Source, Unit
from campaigns.elevate.path import State
from campaigns.elevate.progress import Standing
from campaigns.elevate.stage import Group
from campaigns.journeys.ast import Elevate

MAX_DAYS = 3650
RecipeName = validate.Length(min=1, max=60)


class RecipeSchema(Schema):
    """A ready-made journey."""

    name = fields.String(required=True)
    title = fields.String(required=True, metadata={"description": "the journey's name"})
    about = fields.String(required=True)
    summary = fields.String(required=True)
    stages = fields.List(fields.Enum(Elevate, by_value=True), required=True)
    channels = fields.List(fields.String(), required=True)
    events = fields.List(
        fields.String(), required=True, metadata={"description": "what to tell the engine of"}
    )
    facts = fields.List(
        fields.String(), required=True, metadata={"description": "of the foundation, as shown"}
    )
    templates = fields.List(fields.String(), required=True)
    text = fields.String(required=True)


class RecipesSchema(Schema):
    """Every recipe."""

    data = fields.List(fields.Nested(RecipeSchema), required=True)


class RecipeQuery(Schema):
    """Which recipe."""

    name = fields.String(required=True, validate=RecipeName)


class RecipePreviewSchema(Schema):
    """What a recipe would say: template, face, text."""

    templates = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.String()),
        required=True,
    )


class InstalledSchema(Schema):
    """What became of an installation."""

    journey_id = fields.Integer(required=True)
    name = fields.String(required=True)
    status = fields.String(required=True)
    created = fields.Boolean(required=True, metadata={"description": "false: it was there"})
    templates = fields.List(fields.String(), required=True)
    missing = fields.List(
        fields.String(), required=True, metadata={"description": "facts to set in the foundation"}
    )
    unserved = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "channels without a provider account: publishing needs one each"},
    )


class FoundationSchema(Schema):
    """A client's brand facts, which templates show as `foundation.offer`."""

    foundation = fields.Dict(keys=fields.String(), required=True)


class FoundationShownSchema(FoundationSchema):
    """The facts, and which there may be."""

    groups = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(keys=fields.String(), values=fields.String()),
        required=True,
        metadata={"description": "every fact by its group: text, list, link or rivals"},
    )


class DaysQuery(Schema):
    """How long a period is."""

    days = Digits(load_default=30, validate=validate.Range(1, MAX_DAYS))


class MetricSchema(Schema):
    """One number of the funnel."""

    name = fields.String(required=True)
    group = fields.Enum(Group, allow_none=True, required=True, by_value=True)
    stage = fields.Enum(Elevate, allow_none=True, required=True, by_value=True)
    unit = fields.Enum(Unit, required=True, by_value=True)
    value = fields.String(
        allow_none=True, required=True, metadata={"description": "a number; null: not measured"}
    )
    source = fields.Enum(Source, required=True, by_value=True)
    numerator = fields.String(allow_none=True, required=True)
    denominator = fields.String(allow_none=True, required=True)
    formula = fields.String(required=True)


class MetricsSchema(Schema):
    """All numbers of a period."""

    days = fields.Integer(required=True)
    metrics = fields.List(fields.Nested(MetricSchema), required=True)


class StagePeopleSchema(Schema):
    """How many members stand at one step."""

    stage = fields.Enum(Elevate, required=True, by_value=True)
    reached = fields.Integer(required=True, metadata={"description": "brought by a journey"})
    done = fields.Integer(required=True)


class FunnelSchema(Schema):
    """The nine steps with their people."""

    stages = fields.List(fields.Nested(StagePeopleSchema), required=True)


class MemberStageSchema(Schema):
    """One member and one step."""

    stage = fields.Enum(Elevate, required=True, by_value=True)
    standing = fields.Enum(Standing, required=True, by_value=True)
    reached_at = Instant(allow_none=True, required=True)
    criterion = fields.String(
        required=True, metadata={"description": "the condition that makes it done"}
    )


class MemberStagesSchema(Schema):
    """How far a member is with each of the nine."""

    stages = fields.List(fields.Nested(MemberStageSchema), required=True)


class NewSnapshotSchema(Schema):
    """Numbers to keep."""

    period = fields.String(required=True, validate=validate.Length(min=1, max=100))
    days = fields.Integer(
        strict=True,
        allow_none=True,
        load_default=None,
        validate=validate.Range(1, MAX_DAYS),
        metadata={"description": "measure the last days; without, all numbers are entered"},
    )
    day = fields.Date(load_default=None, allow_none=True)
    entered = fields.Dict(
        keys=fields.String(),
        values=fields.Decimal(allow_nan=False),
        load_default=dict,
        metadata={"description": "by metric, where nothing is measured"},
    )
    notes = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=10_000))


class SnapshotSchema(Schema):
    """The numbers of one period."""

    id = fields.Integer(required=True)
    day = fields.Date(required=True)
    period = fields.String(required=True)
    numbers = fields.Dict(keys=fields.String(), required=True)
    notes = fields.String(allow_none=True, required=True)
    created_at = Instant(required=True)


class SnapshotsQuery(PageQuery):
    """Which snapshots."""


class CriterionSchema(Schema):
    """What a star is given for."""

    text = fields.String(required=True)
    met = fields.Boolean(required=True)


class NodeSchema(Schema):
    """One step of the path."""

    stage = fields.Enum(Elevate, attribute="stage.step", required=True, by_value=True)
    group = fields.Enum(Group, attribute="stage.group", required=True, by_value=True)
    goal = fields.String(attribute="stage.goal", required=True)
    recipe = fields.String(attribute="stage.recipe", required=True)
    rate = fields.String(attribute="stage.rate", required=True)
    state = fields.Enum(State, required=True, by_value=True)
    reason = fields.String(allow_none=True, required=True)
    stars = fields.Integer(required=True, metadata={"description": "with real messages"})
    practice = fields.Integer(required=True, metadata={"description": "with simulated ones"})
    criteria = fields.List(fields.Nested(CriterionSchema), required=True)
    progress = fields.String(required=True)


class BadgeSchema(Schema):
    """A first time or a round number."""

    code = fields.String(required=True)
    title = fields.String(required=True)
    needed = fields.Integer(required=True)
    reached = fields.Integer(required=True)
    earned = fields.Boolean(required=True)


class PathSchema(Schema):
    """The student's path."""

    nodes = fields.List(fields.Nested(NodeSchema), required=True)
    percent = fields.Integer(required=True)
    practice = fields.Boolean(
        required=True, metadata={"description": "no message has left through a real account yet"}
    )
    live_since = Instant(allow_none=True, required=True)
    badges = fields.List(fields.Nested(BadgeSchema), required=True)


class StarSchema(Schema):
    """A star that is new."""

    stage = fields.Enum(Elevate, required=True, by_value=True)
    practice = fields.Boolean(required=True)
    number = fields.Integer(required=True)


class StarsSchema(Schema):
    """What is to be celebrated, once."""

    new = fields.List(fields.Nested(StarSchema), required=True)


class StudentSchema(Schema):
    """One client a user teaches."""

    client_id = fields.Integer(required=True)
    name = fields.String(required=True)
    stars = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    practice = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    current = fields.Enum(Elevate, allow_none=True, required=True, by_value=True)
    last_star_at = Instant(allow_none=True, required=True)
    last_active = Instant(allow_none=True, required=True)
    stuck = fields.Boolean(required=True, metadata={"description": "7 days without a star"})


class ClassSchema(Schema):
    """A teacher's students."""

    students = fields.List(fields.Nested(StudentSchema), required=True)


class PromptSchema(Schema):
    """One piece of copy to ask for."""

    code = fields.String(required=True)
    step = fields.Enum(Elevate, required=True, by_value=True)
    title = fields.String(required=True)
    channel = fields.String(required=True)
    text = fields.String(required=True)
    needs = fields.List(fields.String(), required=True)
    missing = fields.List(
        fields.String(), required=True, metadata={"description": "facts to set first"}
    )


class PromptsSchema(Schema):
    """Every prompt."""

    configured = fields.Boolean(required=True)
    prompts = fields.List(fields.Nested(PromptSchema), required=True)


class DraftQuery(Schema):
    """What to draft."""

    code = fields.String(required=True, validate=validate.Length(min=1, max=20))


class DraftedSchema(Schema):
    """The template that was made."""

    template_id = fields.Integer(required=True)
    name = fields.String(required=True)
    channel = fields.String(required=True)
