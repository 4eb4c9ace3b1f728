"""Bulk edits as the API shows and reads them."""

from marshmallow import Schema, fields, validate

from api.schemas.field import Instant

Row = fields.Integer(strict=True, validate=validate.Range(1, 2**63 - 1))


class NewBulkEditSchema(Schema):
    """A change to say of many members: by `ids`, or by a rule as JSON or text."""

    ids = fields.List(Row, validate=validate.Length(max=10_000))
    rule = fields.Dict(keys=fields.String())
    text = fields.String(validate=validate.Length(min=1, max=20_000))
    changes = fields.Dict(
        keys=fields.String(),
        required=True,
        metadata={"description": "field → value; null empties; add_tags and remove_tags are lists"},
    )


class BulkEditSchema(Schema):
    """A bulk edit, and how far it is."""

    id = fields.Integer(required=True)
    status = fields.String(required=True)
    chosen = fields.Dict(required=True)
    changes = fields.Dict(required=True)
    total = fields.Integer(required=True)
    changed = fields.Integer(required=True)
    unchanged = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    error = fields.String(
        allow_none=True, metadata={"description": "why it could not go on, when it has failed"}
    )
    actor = fields.String(allow_none=True)
    created_at = Instant(required=True)
    finished_at = Instant(allow_none=True)
    undone_at = Instant(allow_none=True)


class OneErrorSchema(Schema):
    """What is wrong with one of many, in the words of a problem."""

    code = fields.String(required=True)
    pointer = fields.String(required=True, metadata={"description": "into the request's body"})
    detail = fields.String(required=True)
    remedy = fields.String(required=True)


class BulkErrorSchema(Schema):
    """A member that could not be changed."""

    id = fields.Integer(required=True)
    member_id = fields.Integer(required=True)
    field = fields.String(allow_none=True)
    message = fields.String(required=True)


class BulkSampleSchema(Schema):
    """What would change about one member."""

    member_id = fields.Integer(required=True)
    changed = fields.Dict(keys=fields.String(), values=fields.Raw(allow_none=True))


class BulkPreviewSchema(Schema):
    """What a bulk edit would do."""

    total = fields.Integer(required=True)
    sample = fields.List(fields.Nested(BulkSampleSchema), required=True)
