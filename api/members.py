"""/members: the people of a client, their consents and their way through a rule."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api.context import client_id, clock, db, services
from api.openapi import Resource
from api.paging import all_of, by_id, paged
from api.schemas.member import (
    ConsentSchema,
    MemberChangesSchema,
    MemberSchema,
    NewMemberSchema,
)
from api.schemas.page import PageQuery, page_of
from communications.communication import Reason
from communications.ledger import skip_queued
from core.address import normalise_email
from core.condition.text import parse
from members import consent, edit, queries
from members.errors import MemberNotFoundError
from members.member import Member

bp = Resource("members", about="People who can be messaged")
ID = "<int(min=1,max=9223372036854775807):member_id>"


class MembersQuery(PageQuery):
    """Which members."""

    match = fields.String(
        load_default=None,
        validate=validate.Length(max=20_000),
        metadata={"description": 'a rule as text: `tier = "premium" and has tag "vip"`'},
    )
    email = fields.String(load_default=None, validate=validate.Length(max=320))
    member_id = fields.String(
        load_default=None,
        validate=validate.Length(max=128),
        metadata={"description": "the client's own id"},
    )

    @validates_schema
    def one_filter(self, data: dict[str, Any], **_: object) -> None:
        """Refuse filters that cannot be used together, rather than leave one out."""
        given = [name for name in ("match", "email", "member_id") if data.get(name) is not None]
        if len(given) > 1:
            raise ValidationError(f"use either {given[0]} or {given[1]}", given[1])


def shown(members: list[Member]) -> list[dict[str, Any]]:
    """Return members with what belongs to them."""
    around = queries.around(db(), client_id(), [member.id for member in members])
    return [
        {column.key: getattr(member, column.key) for column in Member.__table__.columns}
        | {
            "addresses": around[member.id].addresses,
            "tags": around[member.id].tags,
            "consents": around[member.id].consents,
        }
        for member in members
    ]


@bp.get("/members")
@bp.arguments(MembersQuery, location="query")
@bp.response(200, page_of(MemberSchema))
def list_members(query: dict[str, Any]) -> dict[str, Any]:
    """List members, oldest first; all, by email, by their own id, or those a rule means."""
    if query["email"] is not None:
        email = normalise_email(query["email"], field="email")
        return all_of(shown(queries.member_by_email(db(), client_id(), email)))
    if query["member_id"] is not None:
        return all_of(shown(_by_key(query["member_id"])))
    condition = parse(query["match"]) if query["match"] else None
    page = paged(
        query,
        lambda after, limit: queries.members_page(
            db(),
            client_id(),
            condition=condition,
            now=clock().now(),
            after=after or 0,
            limit=limit,
        ),
        by_id,
    )
    return page | {"data": shown(list(page["data"]))}


def _by_key(key: str) -> list[Member]:
    try:
        return [queries.member_by_key(db(), client_id(), key)]
    except MemberNotFoundError:
        return []


@bp.post("/members")
@bp.arguments(NewMemberSchema)
@bp.response(201, MemberSchema)
def create_member(data: dict[str, Any]) -> dict[str, Any]:
    """Create a member; without a member_id, somebody with the same address is completed."""
    made = edit.create_member(db(), clock(), services().hasher, client_id=client_id(), **data)
    return shown([made])[0]


@bp.get(f"/members/{ID}")
@bp.response(200, MemberSchema)
def get_member(member_id: int) -> dict[str, Any]:
    """Show a member."""
    return shown([queries.member(db(), client_id(), member_id)])[0]


@bp.patch(f"/members/{ID}")
@bp.arguments(MemberChangesSchema)
@bp.response(200, MemberSchema)
def update_member(data: dict[str, Any], member_id: int) -> dict[str, Any]:
    """Change what is given; null empties a field, tags and attributes are added."""
    changed = edit.update_member(
        db(), clock(), services().hasher, client_id=client_id(), id=member_id, **data
    )
    return shown([changed])[0]


@bp.delete(f"/members/{ID}")
@bp.response(204)
def delete_member(member_id: int) -> None:
    """Delete a member: nothing more is sent, what was sent stays in the log."""
    edit.delete_member(db(), clock(), client_id=client_id(), id=member_id)
    skip_queued(
        db(),
        clock(),
        reason=Reason.MEMBER_DELETED,
        client_id=client_id(),
        member_id=member_id,
    )


@bp.post(f"/members/{ID}/consents")
@bp.arguments(ConsentSchema)
@bp.response(201, MemberSchema)
def record_consent(data: dict[str, Any], member_id: int) -> dict[str, Any]:
    """Write down a member's yes or no."""
    found = queries.member(db(), client_id(), member_id)
    consent.record(db(), clock(), client_id=client_id(), member_id=found.id, **data)
    db().flush()
    return shown([found])[0]
