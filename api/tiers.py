"""/tiers, /members/{id}/tier|tier-history: how valued members are, by which rules, since when."""

from datetime import datetime
from typing import Any

from api.context import actor, audit, client_id, clock, db, services
from api.members import ID, shown
from api.openapi import Resource
from api.paging import by_id, paged
from api.schemas.member import MemberSchema
from api.schemas.page import PageQuery, page_of
from api.schemas.score import (
    EvaluateSchema,
    EvaluationSchema,
    FallingSchema,
    GivenTierSchema,
    NearQuery,
    NearSchema,
    TierChangeSchema,
    TierRulesSchema,
    TiersSchema,
)
from core.errors import InvalidError
from core.page import decode_cursor, encode_cursor
from core.page import page_of as cut
from members import queries
from members.member import Tier
from members.tier import evaluate_tiers, foresee_tiers, set_tier
from members.tier_change import tier_changes_page
from members.tier_near import Falling, falling_members, near_members, tier_counts
from members.tier_rule import GivenRule, set_tier_rules, tier_rules

bp = Resource("tiers", about="How valued members are, and by which rules")


def overview() -> dict[str, Any]:
    """Return every tier with its rule and how many members it has."""
    rules = {rule.tier: rule for rule in tier_rules(db(), client_id())}
    counts = tier_counts(db(), client_id())
    return {
        "tiers": [
            {
                "tier": tier,
                "rule": rules[tier].rule if tier in rules else None,
                "text": rules[tier].text if tier in rules else None,
                "grace_days": rules[tier].grace_days if tier in rules else None,
                "members": counts.get(tier, 0),
            }
            for tier in reversed(Tier)
        ]
    }


@bp.get("/tiers")
@bp.response(200, TiersSchema)
def list_tiers() -> dict[str, Any]:
    """Show the tiers with their rules, highest first; members are `GET /members?match=tier = …`."""
    return overview()


@bp.put("/tiers")
@bp.arguments(TierRulesSchema)
@bp.response(200, TiersSchema)
def replace_rules(data: dict[str, Any]) -> dict[str, Any]:
    """Replace all rules; tiers change with the next evaluation."""
    rules = [
        GivenRule(given["tier"], given.get("text") or given["rule"], given["grace_days"])
        for given in data["rules"]
    ]
    set_tier_rules(db(), clock(), client_id=client_id(), rules=rules)
    audit("tiers")
    return overview()


@bp.post("/tiers/evaluate")
@bp.arguments(EvaluateSchema)
@bp.response(200, EvaluationSchema)
def evaluate(data: dict[str, Any]) -> dict[str, Any]:
    """Count what the rules would change; with `dry_run: false`, change it."""
    if data["dry_run"]:
        seen = foresee_tiers(db(), clock(), client_id=client_id())
    else:
        seen = evaluate_tiers(db(), clock(), services().hasher, client_id=client_id())
        audit("tiers")
    return {
        "dry_run": data["dry_run"],
        "changed": [
            {"from_tier": before, "to_tier": after, "members": members}
            for (before, after), members in sorted(seen.changed.items())
        ],
        "waiting": seen.waiting,
        "recovered": seen.recovered,
        "locked": seen.locked,
    }


@bp.get("/tiers/near")
@bp.action("members:read")
@bp.arguments(NearQuery, location="query")
@bp.response(200, page_of(NearSchema))
def near(query: dict[str, Any]) -> dict[str, Any]:
    """List members below a tier who would have it were its numbers a fifth easier."""
    rules = [rule for rule in tier_rules(db(), client_id()) if rule.tier is query["tier"]]
    return paged(
        query,
        lambda after, limit: [
            member
            for rule in rules
            for member in near_members(db(), clock(), rule, after=after or 0, limit=limit)
        ],
        by_id,
    )


@bp.get("/tiers/falling")
@bp.action("members:read")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(FallingSchema))
def falling(query: dict[str, Any]) -> dict[str, Any]:
    """List members whose tier ends soon, soonest first."""
    limit = query["limit"]
    found = falling_members(db(), client_id(), after=_edge(query["cursor"]), limit=limit + 1)
    page = cut(found, limit, lambda one: encode_cursor(one.falls_at, one.member.id))
    return {"data": [_falling(one) for one in page.items], "next_cursor": page.next_cursor}


@bp.get(f"/members/{ID}/tier-history")
@bp.action("members:read")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(TierChangeSchema))
def tier_history(query: dict[str, Any], member_id: int) -> dict[str, Any]:
    """List the changes of a member's tier, newest first."""
    found = queries.member(db(), client_id(), member_id)
    return paged(
        query,
        lambda edge, limit: tier_changes_page(
            db(), client_id(), found.id, before=edge, limit=limit
        ),
        by_id,
    )


@bp.put(f"/members/{ID}/tier")
@bp.arguments(GivenTierSchema)
@bp.response(200, MemberSchema)
def give_tier(data: dict[str, Any], member_id: int) -> dict[str, Any]:
    """Give a member a tier by hand; unless locked, the rules go on from there."""
    found = set_tier(
        db(),
        clock(),
        services().hasher,
        client_id=client_id(),
        member_id=member_id,
        actor=actor(),
        **data,
    )
    return shown([found])[0]


def _falling(one: Falling) -> dict[str, Any]:
    names = ("id", "member_id", "full_name", "tier")
    return {name: getattr(one.member, name) for name in names} | {
        "below_since": one.below_since,
        "falls_at": one.falls_at,
    }


def _edge(cursor: str | None) -> tuple[datetime, int] | None:
    if cursor is None:
        return None
    try:
        at, member_id = decode_cursor(cursor)
        instant = datetime.fromisoformat(at)
    except (TypeError, ValueError):
        instant, member_id = None, None
    known = instant is not None and instant.utcoffset() is not None
    if instant is None or not known or type(member_id) is not int or not 0 <= member_id < 2**63:
        raise InvalidError(
            "this is not a cursor of this list", field="cursor", remedy="start without a cursor"
        )
    return instant, member_id
