"""Pages: the envelope of every list, and the parameters that walk it."""

from functools import cache

from marshmallow import Schema, fields, validate

from api.schemas.field import Digits
from core.page import DEFAULT_LIMIT, MAX_LIMIT


class PageQuery(Schema):
    """How a list is walked."""

    limit = Digits(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT))
    cursor = fields.String(
        load_default=None,
        validate=validate.Length(max=200),
        metadata={"description": "next_cursor of the page before"},
    )


@cache
def page_of(item: type[Schema]) -> type[Schema]:
    """Return the schema of a page of `item`s."""
    return Schema.from_dict(
        {
            "data": fields.List(fields.Nested(item), required=True),
            "next_cursor": fields.String(required=True, allow_none=True),
        },
        name=f"{item.__name__.removesuffix('Schema')}Page",
    )


Name = validate.Length(min=1, max=200)
Tags = fields.List(fields.String(validate=validate.Length(min=1, max=64)))
