"""Imports: the form that is sent, and what became of a file."""

from marshmallow import Schema, fields, validate

from api.schemas.field import FilePart, Instant, JsonPart
from api.schemas.member import CHANNELS
from api.schemas.page import Tags
from members.upsert import Existing


class ImportOptionsSchema(Schema):
    """How a file is read."""

    dry_run = fields.Boolean(
        load_default=False, metadata={"description": "rehearse: count and reject, write nothing"}
    )
    mapping = fields.Dict(
        keys=fields.String(),
        values=fields.String(allow_none=True),
        load_default=dict,
        metadata={
            "description": "header → field, `attributes.<name>`, `consent.<channel>` or null"
        },
    )
    existing = fields.Enum(Existing, by_value=True, load_default=Existing.FILL)
    encoding = fields.String(allow_none=True, load_default=None, validate=validate.Length(max=20))
    delimiter = fields.String(
        allow_none=True, load_default=None, validate=validate.OneOf((",", ";", "\t", "|"))
    )
    country = fields.String(
        allow_none=True, load_default=None, validate=validate.Regexp(r"\A[A-Z]{2}\Z")
    )
    tags = Tags
    consent_channels = fields.List(
        fields.String(validate=validate.OneOf(CHANNELS)),
        load_default=list,
        validate=validate.Length(max=3),
        metadata={"description": "channels that everybody in the file agreed to"},
    )
    consent_wording = fields.String(
        allow_none=True, load_default=None, validate=validate.Length(max=2000)
    )
    consent_at = Instant(allow_none=True, load_default=None)


class UploadSchema(Schema):
    """A file and how it is read: the parts of a multipart/form-data body."""

    file = FilePart(required=True, metadata={"type": "string", "format": "binary"})
    options = JsonPart(ImportOptionsSchema, load_default=lambda: ImportOptionsSchema().load({}))


class ImportSchema(Schema):
    """An import: rows = created + updated + unchanged + rejected."""

    id = fields.Integer(required=True)
    filename = fields.String(required=True)
    dry_run = fields.Boolean(required=True)
    status = fields.String(required=True)
    rows = fields.Integer(required=True)
    created = fields.Integer(required=True)
    updated = fields.Integer(required=True)
    unchanged = fields.Integer(required=True)
    rejected = fields.Integer(required=True)
    error = fields.String(allow_none=True)
    created_at = Instant(required=True)
    finished_at = Instant(allow_none=True)


class RejectSchema(Schema):
    """A row that was not imported."""

    line = fields.Integer(required=True)
    column = fields.String(required=True)
    code = fields.String(required=True)
    message = fields.String(required=True)
    value = fields.String(required=True)
