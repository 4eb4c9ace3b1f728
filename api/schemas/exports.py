"""Exports as the API shows and reads them."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, validate, validates_schema

from api.refusal import wrong
from api.schemas.communication import CHANNELS, REASONS, STATUSES
from api.schemas.field import Instant, id_field
from communications.export import ExportOf, ExportStatus
from core.condition.check import MAX_LENGTH
from members.exporting import ExportFormat

CHOSEN_BY = {ExportOf.COMMUNICATIONS: "filter", ExportOf.MEMBERS: "match"}


class MessagesFilterSchema(Schema):
    """Which messages."""

    member_id = id_field()
    campaign_id = id_field()
    run_id = id_field()
    channel = fields.String(validate=CHANNELS)
    status = fields.String(validate=STATUSES)
    reason = fields.String(validate=REASONS)
    error_code = fields.String(validate=validate.Length(min=1, max=40))
    provider_account_id = id_field()
    created_since = Instant(metadata={"description": "created then or later"})
    created_until = Instant(metadata={"description": "created before then"})


class NewExportSchema(Schema):
    """A file to write."""

    of = fields.Enum(
        ExportOf,
        by_value=True,
        required=True,
        metadata={"description": "`client`: everything that is stored (action exports:client)"},
    )
    format = fields.Enum(
        ExportFormat,
        by_value=True,
        metadata={"description": "`csv`, if none; of `client` a ZIP of `jsonl`, and nothing else"},
    )
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
        of = data["of"]
        for name in ("filter", "match"):
            if name in data and name != CHOSEN_BY.get(of):
                raise wrong(f"an export of {of} has no {name}", f"leave {name} out", name)
        if of is ExportOf.CLIENT:
            if data.get("format") not in (None, ExportFormat.JSONL):
                raise wrong("an export of client is a ZIP of jsonl", "leave format out", "format")
            if data["masked"]:
                raise wrong("an export of client masks nothing", "leave masked out", "masked")


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
        metadata={
            "description": "needs no key, and holds for an hour; ask again for another. None for "
            "people whose proof is long ago: POST /me/proof"
        },
    )


class FileQuery(Schema):
    """What a link proves itself with."""

    token = fields.String(load_default="", validate=validate.Length(max=128))
