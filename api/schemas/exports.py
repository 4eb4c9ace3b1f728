"""Exports as the API shows and reads them."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from api.schemas.communication import CHANNELS, REASONS, STATUSES
from api.schemas.field import Instant, id_field
from communications.export import ExportOf, ExportStatus
from core.condition.check import MAX_LENGTH
from members.exporting import ExportFormat


class MessagesFilterSchema(Schema):
    """Which messages."""

    member_id = id_field()
    campaign_id = id_field()
    run_id = id_field()
    channel = fields.String(validate=CHANNELS)
    status = fields.String(validate=STATUSES)
    reason = fields.String(validate=REASONS)


class NewExportSchema(Schema):
    """A file to write."""

    of = fields.Enum(ExportOf, by_value=True, required=True)
    format = fields.Enum(ExportFormat, by_value=True, load_default=ExportFormat.CSV)
    filter = fields.Nested(
        MessagesFilterSchema, metadata={"description": "of `communications`: which; all, if none"}
    )
    match = fields.String(
        validate=validate.Length(min=1, max=MAX_LENGTH),
        metadata={"description": "of `members`: a condition; everybody, if none"},
    )
    masked = fields.Boolean(load_default=False)

    @validates_schema
    def _fits(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        del kwargs
        other = "match" if data["of"] is ExportOf.COMMUNICATIONS else "filter"
        if other in data:
            raise ValidationError(f"An export of {data['of']} has none.", other)


class ExportSchema(Schema):
    """An export, and how far it is."""

    id = fields.Integer(required=True)
    of = fields.Enum(ExportOf, by_value=True, required=True)
    format = fields.Enum(ExportFormat, by_value=True, required=True)
    filter = fields.Dict(attribute="chosen", required=True)
    masked = fields.Boolean(required=True)
    status = fields.Enum(ExportStatus, by_value=True, required=True)
    error = fields.String(allow_none=True, required=True)
    progress = fields.Integer(required=True, metadata={"description": "in percent"})
    rows = fields.Integer(required=True)
    size = fields.Integer(required=True, metadata={"description": "in bytes"})
    sha256 = fields.String(allow_none=True, required=True)
    actor = fields.String(allow_none=True, required=True)
    created_at = Instant(required=True)
    finished_at = Instant(allow_none=True, required=True)
    expires_at = Instant(allow_none=True, required=True)


class ReadyExportSchema(ExportSchema):
    """An export with its link, once its file is there."""

    link = fields.String(
        allow_none=True,
        required=True,
        metadata={"description": "needs no key, and holds for an hour; ask again for another"},
    )


class FileQuery(Schema):
    """What a link proves itself with."""

    token = fields.String(load_default="", validate=validate.Length(max=128))
