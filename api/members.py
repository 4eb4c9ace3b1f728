"""/members: the people of a client, their consents and their way through a rule."""

from typing import Any

from marshmallow import fields, validate, validates_schema

from accounts.figures import figures
from api import body
from api.context import actor, client_id, clock, db, services
from api.openapi import Resource
from api.paging import all_of, sorted_page
from api.refusal import wrong
from api.schemas.field import Digits
from api.schemas.member import (
    ConsentSchema,
    FoundSchema,
    MemberChangesSchema,
    MemberPageSchema,
    MemberSchema,
    MemberStatisticsSchema,
    NewMemberSchema,
)
from api.schemas.page import ChangedQuery, FieldsQuery, page_of, sort_by
from communications.communication import Reason
from communications.ledger import skip_queued
from communications.upcoming import upcoming
from core.address import normalise_email
from core.condition.ast import Condition
from members import consent, edit, queries
from members.errors import MemberNotFoundError
from members.identity import EXTERNAL, identities
from members.member import Member
from members.search import MAX_LENGTH, search
from members.segment import condition_of
from members.statistics import MEMBERS, member_statistics
from members.suppression import scopes
from members.touch import touch

bp = Resource("members", about="People who can be messaged")
COLUMNS = tuple(c.key for c in Member.__table__.columns if c.computed is None)
ID = "<int(min=1,max=9223372036854775807):member_id>"
ADDRESS = ("id", "channel", "value", "state", "is_primary", "doubt")


class MembersQuery(ChangedQuery):
    """Which members, and what of them."""

    match = fields.String(
        load_default=None,
        validate=validate.Length(max=20_000),
        metadata={
            "description": 'a rule as text, `tier = "premium" and has tag "vip"`, or as JSON'
        },
    )
    email = fields.String(load_default=None, validate=validate.Length(max=320))
    member_id = fields.String(
        load_default=None,
        validate=validate.Length(max=128),
        metadata={"description": "the client's own id, also of a member that was merged"},
    )
    sort = sort_by("id", "member_id", "created_at", "updated_at")
    count = fields.Boolean(
        load_default=False,
        metadata={"description": "count them too: exactly up to 10,000, then by estimate"},
    )

    @validates_schema
    def one_filter(self, data: dict[str, Any], **_: object) -> None:
        """Refuse filters that cannot be used together, rather than leave one out."""
        given = [name for name in ("match", "email", "member_id") if data.get(name) is not None]
        if len(given) > 1:
            raise wrong(
                f"{given[0]} and {given[1]} are both given", "give one of the two", given[1]
            )


class SearchQuery(FieldsQuery):
    """What to search for."""

    q = fields.String(
        required=True,
        validate=validate.Length(min=1, max=MAX_LENGTH),
        metadata={"description": "the beginning of a name, an address, a number, an id; or a tag"},
    )
    limit = Digits(load_default=20, validate=validate.Range(1, 100))


class CountedPageSchema(page_of(MemberSchema)):  # type: ignore[misc]
    """A page of members, and how many there are."""

    count = fields.Integer(metadata={"description": "only when it was asked for"})
    count_is_exact = fields.Boolean()


def shown(members: list[Member]) -> list[dict[str, Any]]:
    """Return members with what belongs to them."""
    around = queries.around(db(), client_id(), [member.id for member in members])
    return [
        {name: getattr(member, name) for name in COLUMNS}
        | {
            "addresses": around[member.id].addresses,
            "tags": around[member.id].tags,
            "consents": around[member.id].consents,
        }
        for member in members
    ]


@bp.get("/members")
@bp.arguments(MembersQuery, location="query")
@bp.response(200, CountedPageSchema)
def list_members(query: dict[str, Any]) -> dict[str, Any]:
    """List members, oldest first; all, by email, by their own id, or those a rule means."""
    if query["email"] is not None:
        email = normalise_email(query["email"], field="email")
        return all_of(shown(queries.member_by_email(db(), client_id(), email)))
    if query["member_id"] is not None:
        return all_of(shown(_by_key(query["member_id"])))
    condition = rule_in(query["match"])
    page = sorted_page(
        query,
        Member,
        lambda walk, limit: queries.members_page(
            db(), client_id(), condition=condition, now=clock().now(), walk=walk, limit=limit
        ),
    )
    page |= {"data": shown(list(page["data"]))}
    if query["count"]:
        found = queries.count_members(db(), client_id(), condition=condition, now=clock().now())
        page |= {"count": found.value, "count_is_exact": found.exact}
    return page


def rule_in(match: str | None) -> Condition | None:
    """Return the rule a query asks for, as text or JSON; None for everybody."""
    if not match:
        return None
    if not match.lstrip().startswith("{"):
        return condition_of(match)
    rule = body.parsed(match)
    return condition_of(rule if isinstance(rule, dict) else {})


def _by_key(key: str) -> list[Member]:
    try:
        return [queries.member_by_key(db(), client_id(), key)]
    except MemberNotFoundError:
        return []


@bp.get("/members/search")
@bp.arguments(SearchQuery, location="query")
@bp.response(200, page_of(FoundSchema))
def search_members(query: dict[str, Any]) -> dict[str, Any]:
    """Search members by what a name, address, number or id begins with, or by tag; best first."""
    country = edit.country_of(db(), client_id())
    found = search(db(), client_id(), query["q"], country=country, limit=query["limit"])
    members = shown([one.member for one in found])
    return all_of(
        [
            row | {"score": one.score, "found_by": one.by}
            for row, one in zip(members, found, strict=True)
        ]
    )


@bp.get("/members/statistics")
@bp.response(200, MemberStatisticsSchema)
def statistics() -> dict[str, Any]:
    """Count members by status, tier, reach and consent, each with the rule that lists them.

    Those of more than 20,000 are some minutes old: `counted_at` says when.
    """
    return dict(figures(db(), clock(), MEMBERS, member_statistics, client_id()))


@bp.post("/members")
@bp.arguments(NewMemberSchema)
@bp.response(201, MemberSchema)
def create_member(data: dict[str, Any]) -> Any:
    """Create a member; without a member_id, somebody with the same address is completed."""
    made = edit.create_member(
        db(), clock(), services().hasher, client_id=client_id(), actor=actor(), **data
    )
    return shown([made])[0], 201, {"ETag": f'"{made.version}"'}


@bp.get(f"/members/{ID}")
@bp.response(200, MemberPageSchema)
def get_member(member_id: int) -> dict[str, Any]:
    """Show a member: addresses with what forbids them, consents, ids elsewhere, what waits."""
    found = queries.member(db(), client_id(), member_id)
    row = shown([found])[0]
    hashes = [address.hash for address in row["addresses"]]
    forbidden = scopes(db(), client_id=client_id(), address_hashes=hashes)
    names = identities(db(), client_id=client_id(), member_id=found.id)
    row |= {
        "addresses": [
            {name: getattr(one, name) for name in ADDRESS}
            | {"suppressed": forbidden.get((one.channel, one.hash))}
            for one in row["addresses"]
        ],
        "external_ids": [
            {"system": name.kind.removeprefix(EXTERNAL), "value": name.value}
            for name in names
            if name.kind.startswith(EXTERNAL)
        ],
        "upcoming": upcoming(db(), client_id(), found.id),
    }
    return row


@bp.patch(f"/members/{ID}")
@bp.arguments(MemberChangesSchema)
@bp.response(200, MemberSchema)
def update_member(data: dict[str, Any], member_id: int) -> dict[str, Any]:
    """Change what is given; null empties a field, tags and attributes are added."""
    changed = edit.update_member(
        db(),
        clock(),
        services().hasher,
        client_id=client_id(),
        id=member_id,
        actor=actor(),
        **data,
    )
    return shown([changed])[0]


@bp.delete(f"/members/{ID}")
@bp.response(204)
def delete_member(member_id: int) -> None:
    """Delete a member: nothing more is sent, what was sent stays in the log."""
    edit.delete_member(db(), clock(), client_id=client_id(), id=member_id, actor=actor())
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
    touch(db(), client_id=client_id(), member_ids=[found.id])
    db().flush()
    return shown([found])[0]
