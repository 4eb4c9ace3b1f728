"""Templates and their wordings."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from api.refusal import Said, wrong
from api.schemas.field import Instant, id_field
from api.schemas.page import Name
from channels.channel import Channel

Text = validate.Length(max=500_000)


class VersionSchema(Schema):
    """One wording of a template."""

    number = fields.Integer(required=True)
    subject = fields.String(allow_none=True)
    html = fields.String(allow_none=True)
    text = fields.String(allow_none=True)
    fields_used = fields.List(fields.String(), attribute="fields")
    created_at = Instant(required=True)


class WordingSchema(Schema):
    """A wording to save, in Liquid."""

    subject = fields.String(allow_none=True, validate=validate.Length(max=2000))
    html = fields.String(allow_none=True, validate=Text)
    text = fields.String(allow_none=True, validate=Text)


class NewTemplateSchema(WordingSchema):
    """A template to create, with its first wording."""

    name = fields.String(required=True, validate=Name)
    channel = fields.Enum(Channel, by_value=True, required=True)


class TemplateChangesSchema(Schema):
    """What to change of a template; a wording is changed by a new version."""

    name = fields.String(required=True, validate=Name)


class TemplateSchema(Schema):
    """A template and its newest wording."""

    id = fields.Integer(required=True)
    name = fields.String(required=True)
    channel = fields.String(required=True)
    version = fields.Nested(VersionSchema)
    created_at = Instant(required=True)
    updated_at = Instant(required=True)


class PreviewSchema(Schema):
    """Whose values to show a wording with."""

    member_id = id_field()
    sample = fields.Dict(
        keys=fields.String(validate=validate.Length(max=80)),
        values=fields.Raw(allow_none=True),
        metadata={"description": '`{"first_name": "Ana", "attributes.city": "Berlin"}`'},
    )

    @validates_schema
    def one_person(self, data: dict[str, Any], **_: object) -> None:
        """Ask for the values once, and flat."""
        if "member_id" in data and "sample" in data:
            raise wrong("it takes one of member_id and sample", "give one of the two", "sample")
        for name, value in data.get("sample", {}).items():
            if not (value is None or isinstance(value, str | int | float | bool)):
                said = Said(f"{name} is a list or an object", "give text, a number, true or false")
                raise ValidationError({"sample": {name: [said]}})


class FacesSchema(Schema):
    """A wording, filled."""

    faces = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "`subject`, `html` and `text`; `title` and `body`; or `body`"},
    )
