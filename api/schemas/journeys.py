"""Journeys, their versions and what a change of one does."""

from typing import Any

from marshmallow import Schema, fields, validate, validates_schema

from api.refusal import wrong
from api.schemas.campaign import FindingSchema
from api.schemas.field import Digits, Instant
from api.schemas.page import PageQuery
from campaigns.journeys.journey import JourneyStatus

MAX_TEXT = 50_000
MAX_VERSION = 2**31 - 1
Number = validate.Range(1, MAX_VERSION)
Key = validate.Length(min=1, max=64)


class JourneysQuery(PageQuery):
    """Which journeys."""

    status = fields.Enum(JourneyStatus, by_value=True, load_default=None)


class DraftSchema(Schema):
    """A journey, as text or as JSON."""

    text = fields.String(validate=validate.Length(min=1, max=MAX_TEXT))
    journey = fields.Dict(
        keys=fields.String(), metadata={"description": "the JSON face; `text` says the same"}
    )

    @validates_schema
    def one_face(self, data: dict[str, Any], **_: object) -> None:
        """Ask for one of them."""
        if ("text" in data) == ("journey" in data):
            raise wrong("it takes one of text and journey", "give one of the two", "text")


class MistakeSchema(Schema):
    """Why a draft cannot be read."""

    message = fields.String(required=True)
    remedy = fields.String(required=True, allow_none=True)
    line = fields.Integer(required=True, allow_none=True)
    column = fields.Integer(required=True, allow_none=True)


class JourneyFindingSchema(Schema):
    """One thing that is wrong with a journey that can be read."""

    level = fields.String(required=True, metadata={"description": "`error` or `warning`"})
    code = fields.String(required=True)
    message = fields.String(required=True)
    remedy = fields.String(required=True)
    step = fields.String(required=True, allow_none=True)
    line = fields.Integer(required=True, allow_none=True)


class JourneyStepSchema(Schema):
    """One step and where its ways lead; null is the end."""

    key = fields.String(required=True)
    does = fields.String(required=True, metadata={"description": "`send`, `wait`, `branch`, …"})
    says = fields.String(required=True)
    stage = fields.String(required=True, allow_none=True)
    line = fields.Integer(required=True)
    ways = fields.Dict(keys=fields.String(), values=fields.String(allow_none=True), required=True)
    ways_say = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "each way in the words of the text: `if …`, `else`"},
    )


class JourneyFacesSchema(Schema):
    """A journey that was read: both faces, what is wrong, and its steps."""

    text = fields.String(required=True, metadata={"description": "as the formatter writes it"})
    journey = fields.Dict(keys=fields.String(), required=True)
    summary = fields.String(required=True)
    findings = fields.List(fields.Nested(JourneyFindingSchema), required=True)
    steps = fields.List(
        fields.Nested(JourneyStepSchema),
        required=True,
        metadata={"description": "empty while two steps have one name"},
    )


class JourneyRowSchema(Schema):
    """A journey in a list."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    status = fields.String(required=True)
    version = fields.Integer(
        required=True, allow_none=True, metadata={"description": "what members enter"}
    )
    revision = fields.Integer(required=True)
    inside = fields.Integer(required=True)
    stuck = fields.Integer(required=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class JourneySchema(JourneyRowSchema):
    """A journey and its draft."""

    draft = fields.String(required=True, metadata={"description": "the text, as it was written"})
    problem = fields.Nested(MistakeSchema, required=True, allow_none=True)
    read = fields.Nested(
        JourneyFacesSchema,
        required=True,
        allow_none=True,
        metadata={"description": "the draft read; null where it cannot be"},
    )


class VersionRowSchema(Schema):
    """A version in a list."""

    number = fields.Integer(required=True)
    created_at = Instant(required=True)
    created_by = fields.Integer(required=True, allow_none=True)


class JourneyVersionSchema(VersionRowSchema):
    """One published state."""

    text = fields.String(required=True)
    journey = fields.Dict(keys=fields.String(), required=True, attribute="ast")
    steps = fields.List(fields.Nested(JourneyStepSchema), required=True)


class JourneyChangeSchema(Schema):
    """One difference."""

    does = fields.String(required=True)
    text = fields.String(required=True)
    old = fields.String(required=True, allow_none=True)
    new = fields.String(required=True, allow_none=True)


class DiffQuery(Schema):
    """Between which versions."""

    older = Digits(
        load_default=None,
        data_key="from",
        validate=Number,
        metadata={"description": "what members enter, if it is not given"},
    )
    newer = Digits(
        load_default=None,
        data_key="to",
        validate=Number,
        metadata={"description": "the draft, if it is not given"},
    )


class DiffSchema(Schema):
    """What changed, in words, and which step is which."""

    text = fields.String(required=True)
    changes = fields.List(fields.Nested(JourneyChangeSchema), required=True)
    steps = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class StandSchema(Schema):
    """How many stand at a step of a version, and which it is in the other."""

    version = fields.Integer(required=True)
    step = fields.String(required=True)
    says = fields.String(required=True, allow_none=True)
    people = fields.Integer(required=True)
    to = fields.String(required=True, allow_none=True)


class EntranceSchema(Schema):
    """A trigger and how many it would let in now."""

    when = fields.String(required=True)
    members = fields.Integer(required=True)


class PlanSchema(Schema):
    """What a publish would do."""

    version = fields.Integer(required=True)
    text = fields.String(required=True)
    changes = fields.List(fields.Nested(JourneyChangeSchema), required=True)
    problems = fields.List(fields.Nested(FindingSchema), required=True)
    warnings = fields.List(fields.Nested(JourneyFindingSchema), required=True)
    inside = fields.Integer(required=True)
    stands = fields.List(fields.Nested(StandSchema), required=True)
    entrances = fields.List(fields.Nested(EntranceSchema), required=True)


class RestoreSchema(Schema):
    """Which version."""

    version = fields.Integer(required=True, strict=True, validate=Number)


class MoveQuery(Schema):
    """To which version."""

    version = Digits(
        load_default=None,
        validate=Number,
        metadata={"description": "what members enter, if it is not given"},
    )


class MovePreviewSchema(Schema):
    """Who would be moved; a stand whose `to` is null needs a choice."""

    to = fields.Integer(required=True)
    people = fields.Integer(required=True)
    stands = fields.List(fields.Nested(StandSchema), required=True)


class MoveSchema(RestoreSchema):
    """A move, with where they go whose step is no more: another step's key, or null to end."""

    choices = fields.Dict(
        keys=fields.String(validate=Key),
        values=fields.String(allow_none=True, validate=Key),
        load_default=dict,
        validate=validate.Length(max=500),
    )


class MovedSchema(Schema):
    """What a move did."""

    moved = fields.Integer(required=True)
    ended = fields.Integer(required=True)
