"""Segments and rules."""

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from api.schemas.field import Instant
from api.schemas.page import Name


class RuleSchema(Schema):
    """A rule, as JSON in `rule` or as text in `text`."""

    rule = fields.Dict(keys=fields.String())
    text = fields.String(validate=validate.Length(min=1, max=20_000))


class NewSegmentSchema(RuleSchema):
    """A segment to create."""

    name = fields.String(required=True, validate=Name)
    description = fields.String(allow_none=True, validate=validate.Length(max=2000))

    @validates_schema
    def one_rule(self, data: dict[str, object], **_: object) -> None:
        """Ask for the rule in exactly one form."""
        one_of_two(data)


class SegmentChangesSchema(RuleSchema):
    """What changes about a segment."""

    name = fields.String(validate=Name)
    description = fields.String(allow_none=True, validate=validate.Length(max=2000))

    @validates_schema
    def one_rule(self, data: dict[str, object], **_: object) -> None:
        """Refuse two rules."""
        if "rule" in data and "text" in data:
            one_of_two(data)


class RuleQuestionSchema(RuleSchema):
    """A rule to try."""

    @validates_schema
    def one_rule(self, data: dict[str, object], **_: object) -> None:
        """Ask for the rule in exactly one form."""
        one_of_two(data)


def one_of_two(data: dict[str, object]) -> None:
    """Raise ValidationError unless exactly one of `rule` and `text` is given."""
    if ("rule" in data) == ("text" in data):
        raise ValidationError("give either rule or text", "rule")


class SegmentSchema(Schema):
    """A segment."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    description = fields.String(allow_none=True)
    kind = fields.String(required=True)
    rule = fields.Dict(keys=fields.String(), required=True)
    text = fields.String(required=True)
    version = fields.Integer(required=True)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class CountSchema(Schema):
    """How many members a rule means, and how many of them can be reached on each channel."""

    members = fields.Integer(required=True)
    reach = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
