"""Imports: the form that is sent, and what became of a file."""

from marshmallow import Schema, fields, validate

from api.refusal import wrong
from api.schemas.field import FilePart, Instant, JsonPart
from api.schemas.member import CHANNELS
from api.schemas.page import Tags
from members.guess import Certainty
from members.upsert import Existing


def _country(text: str) -> None:
    if not (len(text) == 2 and text.isascii() and text.isupper()):
        raise wrong("this is no country's code", "give its two capital letters, such as US")


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
    header = fields.Boolean(
        allow_none=True,
        load_default=None,
        metadata={
            "description": "whether the first row names the columns; null: found out. Columns "
            "without a name are `column 1`, `column 2`, …"
        },
    )
    encoding = fields.String(allow_none=True, load_default=None, validate=validate.Length(max=20))
    delimiter = fields.String(
        allow_none=True, load_default=None, validate=validate.OneOf((",", ";", "\t", "|"))
    )
    sheet = fields.String(
        allow_none=True,
        load_default=None,
        validate=validate.Length(max=31),
        metadata={"description": "of a workbook; the first sheet when not given"},
    )
    date_order = fields.String(
        load_default="ymd",
        validate=validate.OneOf(("ymd", "dmy", "mdy")),
        metadata={"description": "how dates are written that do not begin with the year"},
    )
    decimal = fields.String(load_default=".", validate=validate.OneOf((".", ",")))
    country = fields.String(
        allow_none=True,
        load_default=None,
        validate=_country,
        metadata={"pattern": "^[A-Z]{2}$", "example": "US"},
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
    consent_source = fields.String(
        allow_none=True,
        load_default=None,
        validate=validate.Length(max=200),
        metadata={"description": "where and how they agreed; kept as proof"},
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
    duplicates = fields.Integer(
        required=True,
        metadata={
            "description": "of those updated and unchanged: about somebody an earlier row was about"
        },
    )
    suppressed = fields.Integer(
        required=True,
        metadata={"description": "of those not rejected: with an address that is suppressed"},
    )
    total = fields.Integer(
        allow_none=True, metadata={"description": "about how many rows the file has"}
    )
    report = fields.Dict(
        keys=fields.String(),
        required=True,
        metadata={
            "description": "`reasons`, the most frequent rejections, when it has ended; `ignored` "
            "columns; `guessed` by their values alone; `doubts`, where values contradict a name; "
            "`doubtful`, how many addresses may not be a person's"
        },
    )
    error = fields.String(allow_none=True)
    created_at = Instant(required=True)
    finished_at = Instant(allow_none=True)


class ImportColumnSchema(Schema):
    """A column of a file: what it seems to be, by its name and first values."""

    name = fields.String(required=True)
    examples = fields.List(fields.String(), required=True)
    guess = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "a field, `attributes.<name>` or `consent.<channel>`"},
    )
    certainty = fields.Enum(Certainty, by_value=True, required=True, allow_none=True)
    taken = fields.Boolean(
        required=True,
        metadata={"description": "whether it is read as that; else a mapping has to say so"},
    )
    doubt = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "what in its values contradicts its name"},
    )


class ImportPreviewSchema(Schema):
    """What a file is taken for."""

    format = fields.String(required=True)
    encoding = fields.String(required=True, allow_none=True)
    delimiter = fields.String(required=True, allow_none=True)
    sheets = fields.List(fields.String(), required=True)
    header = fields.Boolean(
        required=True, metadata={"description": "whether the first row names the columns"}
    )
    rows = fields.Integer(
        required=True, allow_none=True, metadata={"description": "about how many there are"}
    )
    columns = fields.List(fields.Nested(ImportColumnSchema), required=True)
    ignored = fields.List(
        fields.String(), required=True, metadata={"description": "columns that are left out"}
    )
    problem = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "why it would be refused; null: it would be imported"},
    )
    remedy = fields.String(required=True, allow_none=True)


class RejectSchema(Schema):
    """A row that was not imported."""

    line = fields.Integer(required=True)
    column = fields.String(required=True)
    code = fields.String(required=True)
    message = fields.String(required=True)
    value = fields.String(required=True)
