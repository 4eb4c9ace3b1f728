"""Pages: the envelope of every list, and the parameters that walk it."""

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from flask import has_request_context, request
from marshmallow import Schema, fields, post_dump, post_load, validate

from api.schemas.field import Digits, Instant
from core.condition.check import nearest
from core.errors import InvalidError
from core.page import DEFAULT_LIMIT, MAX_LIMIT

ALWAYS = frozenset({"id", "version"})
"""Fields that are shown whatever is asked for."""


class FieldsQuery(Schema):
    """What is shown of each row."""

    fields_ = fields.String(
        data_key="fields",
        load_default=None,
        validate=validate.Length(max=1000),
        metadata={"description": "names of fields to show, with commas between; id is always"},
    )


class PageQuery(FieldsQuery):
    """How a list is walked."""

    limit = Digits(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT))
    cursor = fields.String(
        load_default=None,
        validate=validate.Length(max=1024),
        metadata={"description": "next_cursor of the page before"},
    )


def sort_by(usual: str, *more: str) -> fields.String:
    """Return the parameter that sorts a list by id or another column, up or with `-` down."""
    names = [name for column in ("id", *more) for name in (column, f"-{column}")]
    return fields.String(
        load_default=usual,
        validate=validate.OneOf(names),
        metadata={"description": "a field to sort by, with - the other way round"},
    )


def instant_of(what: str) -> Instant:
    """Return a parameter that is a time."""
    return Instant(load_default=None, metadata={"description": what})


class CreatedQuery(PageQuery):
    """A list of which the rows of a time can be asked for; they are then sorted by that time."""

    created_since = instant_of("created then or later")
    created_until = instant_of("created before then")

    @post_load(pass_original=True)
    def in_their_order(
        self, query: dict[str, Any], given: Mapping[str, Any], **_: object
    ) -> dict[str, Any]:
        """Sort by the time that is asked for, in the list's own direction, unless told how."""
        told = [name[:-6] for name in SPANS if query.get(name) is not None]
        if told and "sort" not in given:
            query["sort"] = f"{'-' if query['sort'].startswith('-') else ''}{told[0]}_at"
        return query


class ChangedQuery(CreatedQuery):
    """Likewise, by when they were changed last."""

    updated_since = instant_of("changed then or later")
    updated_until = instant_of("changed before then")


SPANS = ("updated_since", "updated_until", "created_since", "created_until")
"""The filters of time; of several, the first says how the list is sorted."""


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
