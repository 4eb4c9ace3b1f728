"""Pages: the envelope of every list, and the parameters that walk it."""

from functools import cache
from typing import Any, ClassVar

from flask import has_request_context, request
from marshmallow import Schema, fields, post_dump, validate

from api.schemas.field import Digits
from core.condition.check import nearest
from core.errors import InvalidError
from core.page import DEFAULT_LIMIT, MAX_LIMIT

ALWAYS = frozenset({"id", "version"})
"""Fields that are shown whatever is asked for."""


class PageQuery(Schema):
    """How a list is walked."""

    limit = Digits(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT))
    cursor = fields.String(
        load_default=None,
        validate=validate.Length(max=1024),
        metadata={"description": "next_cursor of the page before"},
    )
    fields_ = fields.String(
        data_key="fields",
        load_default=None,
        validate=validate.Length(max=1000),
        metadata={"description": "names of fields to show, with commas between; id is always"},
    )


def sort_by(usual: str, *more: str) -> fields.String:
    """Return the parameter that sorts a list by id or another column, up or with `-` down."""
    names = [name for column in ("id", *more) for name in (column, f"-{column}")]
    return fields.String(
        load_default=usual,
        validate=validate.OneOf(names),
        metadata={"description": "a field to sort by, with - the other way round"},
    )


class PageSchema(Schema):
    """What all pages have: only the fields that were asked for."""

    ITEM: ClassVar[type[Schema]]

    @post_dump
    def leave_out(self, page: dict[str, Any], **_: object) -> dict[str, Any]:
        """Leave out the fields that were not asked for, where any were."""
        asked = request.args.get("fields") if has_request_context() else None
        if asked is None:
            return page
        known, names = self.ITEM().fields, {name.strip() for name in asked.split(",")} - {""}
        for name in sorted(names - set(known)):
            raise InvalidError(
                f"there is no field “{name[:80]}” here",
                field="query:/fields",
                remedy=nearest(name, known),
            )
        kept = names | ALWAYS
        rows = [{name: row[name] for name in row if name in kept} for row in page["data"]]
        return page | {"data": rows}


@cache
def page_of(item: type[Schema]) -> type[Schema]:
    """Return the schema of a page of `item`s."""
    made: type[Schema] = PageSchema.from_dict(
        {
            "data": fields.List(fields.Nested(item), required=True),
            "next_cursor": fields.String(required=True, allow_none=True),
        },
        name=f"{item.__name__.removesuffix('Schema')}Page",
    )
    made.ITEM = item  # type: ignore[attr-defined]
    return made


Name = validate.Length(min=1, max=200)
Tags = fields.List(fields.String(validate=validate.Length(min=1, max=64)))
