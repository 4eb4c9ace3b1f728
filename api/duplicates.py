"""/duplicates: members that may be one person, to merge or to tell apart."""

from typing import Any

from marshmallow import Schema, fields, validate

from api.context import actor, audit, client_id, clock, db
from api.openapi import Resource
from api.schemas.field import Instant
from api.schemas.member import MergeSchema
from api.schemas.page import PageQuery, page_of
from core.errors import InvalidError
from core.page import decode_cursor, encode_cursor
from core.page import page_of as cut
from members.duplicates import (
    Duplicate,
    dismiss_duplicate,
    duplicate,
    duplicates_page,
    find_duplicates,
)
from members.merge import Merge, merge

bp = Resource("duplicates", about="Members that may be one person", room="members")
ID = "<int(min=1,max=9223372036854775807):duplicate_id>"


class DuplicatesQuery(PageQuery):
    """Which pairs."""

    dismissed = fields.Boolean(load_default=False)


class DuplicateSchema(Schema):
    """Two members that may be one."""

    id = fields.Integer(required=True)
    first_id = fields.Integer(required=True)
    second_id = fields.Integer(required=True)
    score = fields.Integer(required=True)
    reasons = fields.List(fields.String(), required=True)
    found_at = Instant(required=True)
    dismissed_at = Instant(allow_none=True)


class LookSchema(Schema):
    """Where to go on looking; null starts, or has ended."""

    after = fields.Integer(
        strict=True, allow_none=True, load_default=None, validate=validate.Range(0, 2**63 - 1)
    )


class SurvivorSchema(Schema):
    """Which of the two survives."""

    survivor_id = fields.Integer(required=True, strict=True, validate=validate.Range(1, 2**63 - 1))


@bp.get("/duplicates")
@bp.arguments(DuplicatesQuery, location="query")
@bp.response(200, page_of(DuplicateSchema))
def list_duplicates(query: dict[str, Any]) -> dict[str, Any]:
    """List pairs of members that may be one person, the likeliest first, with the reasons."""
    rows = duplicates_page(
        db(),
        client_id(),
        before=_edge(query["cursor"]),
        dismissed=query["dismissed"],
        limit=query["limit"] + 1,
    )
    page = cut(rows, query["limit"], lambda row: encode_cursor(row.score, row.id))
    return {"data": page.items, "next_cursor": page.next_cursor}


def _edge(cursor: str | None) -> tuple[int, int] | None:
    if cursor is None:
        return None
    values = decode_cursor(cursor)
    if len(values) != 2 or any(type(one) is not int or not 0 <= one < 2**63 for one in values):
        raise InvalidError(
            "this is not a cursor of this list", field="cursor", remedy="start without a cursor"
        )
    return values[0], values[1]


@bp.post("/duplicates/search")
@bp.arguments(LookSchema)
@bp.response(200, LookSchema)
def look(data: dict[str, Any]) -> dict[str, int | None]:
    """Look for twins of the next thousand members; ask again with `after` until it is null."""
    after = data["after"] or 0
    return {"after": find_duplicates(db(), clock(), client_id=client_id(), after=after)}


@bp.post(f"/duplicates/{ID}/dismiss")
@bp.response(200, DuplicateSchema)
def dismiss(duplicate_id: int) -> Duplicate:
    """Say that the two are two."""
    return dismiss_duplicate(db(), clock(), client_id=client_id(), duplicate_id=duplicate_id)


@bp.post(f"/duplicates/{ID}/merge")
@bp.arguments(SurvivorSchema)
@bp.response(201, MergeSchema)
@bp.told_as("member.merge")
def merge_pair(data: dict[str, Any], duplicate_id: int) -> Merge:
    """Make one member of the two."""
    pair = duplicate(db(), client_id(), duplicate_id)
    both = (pair.first_id, pair.second_id)
    if data["survivor_id"] not in both:
        raise InvalidError(
            "the survivor is one of the two",
            field="survivor_id",
            remedy=f"use {both[0]} or {both[1]}",
        )
    absorbed = both[1] if data["survivor_id"] == both[0] else both[0]
    done = merge(
        db(),
        clock(),
        client_id=client_id(),
        survivor_id=data["survivor_id"],
        absorbed_id=absorbed,
        actor=actor(),
    )
    audit(f"merge:{done.id}")
    return done
