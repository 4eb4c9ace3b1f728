"""/clients: the companies and shops that everything belongs to.

A caller sees the client they speak for, a person also those they have a role at, and super admins
all of them. What is agreed with a client is a super admin's to set.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from accounts import client as accounts
from accounts import client_edit, client_queries
from accounts.client import Client, ClientStatus, SubscriptionTier
from accounts.client_data import stored_rows
from api.context import EVERYWHERE, actor, audit, clock, db, principal
from api.context import client_id as own_id
from api.openapi import Resource
from api.paging import all_of, by_id, paged
from api.schemas.client import (
    AgreedChangesSchema,
    ClientBulkSchema,
    ClientChangesSchema,
    ClientSchema,
    ClientsQuery,
    ClientStatisticsSchema,
    ClientTierChangedSchema,
    ClientTierSchema,
    ExpiringQuery,
    ExpiringSchema,
    MonthsQuery,
    NewClientSchema,
    RevenueSchema,
    UsageQuery,
    UsageSchema,
)
from api.schemas.page import PageQuery, page_of
from api.schemas.user import ActivityEntrySchema, BulkResultsSchema, FindQuery
from api.users import CHANGES_ALL, results
from campaigns import spending
from communications.closing import close_client
from core.errors import ConflictError, ForbiddenError, InvalidError
from core.page import decode_cursor, encode_cursor
from core.page import page_of as cut
from members.revenue import revenue, total_revenue

bp = Resource("clients", about="The company or shop that everything belongs to", room="settings")
ID = "<int(min=1,max=9223372036854775807):client_id>"
SEES, CHANGES = EVERYWHERE, CHANGES_ALL


def listed() -> list[int] | None:
    """Return the clients a caller may list; None is every one."""
    who = principal()
    if SEES in who.actions:
        return None
    own = [] if who.client_id is None else [who.client_id]
    is_person = who.user_id is not None and who.actor == f"user:{who.user_id}"
    return client_queries.clients_of(db(), who.user_id or 0) if is_person else own


def seen(client_id: int, action: str = SEES) -> Client:
    """Return the client named in a path: the caller's own, or any for whoever may `action`."""
    own = [] if principal().client_id is None else [own_id()]
    return client_queries.seen_client(
        db(), None if action in principal().actions else own, client_id
    )


@bp.get("/clients")
@bp.arguments(ClientsQuery, location="query")
@bp.response(200, page_of(ClientSchema))
def list_clients(query: dict[str, Any]) -> dict[str, Any]:
    """List clients, oldest first; by status, tier, industry, or words of their name or email."""
    status, tier = query["status"], query["tier"]
    return paged(
        query,
        lambda after, limit: client_queries.clients_page(
            db(),
            listed(),
            status=status and ClientStatus(status),
            tier=tier and SubscriptionTier(tier),
            industry=query["industry"],
            words=query["q"],
            after=after or 0,
            limit=limit,
        ),
        by_id,
    )


@bp.post("/clients")
@bp.action(CHANGES)
@bp.arguments(NewClientSchema)
@bp.response(201, ClientSchema)
def create_client(data: dict[str, Any]) -> Client:
    """Add a client; its first admin is added or invited next."""
    made = accounts.create_client(db(), clock(), created_by=principal().user_id, **data)
    audit(f"client:{made.id}", at=made.id)
    return made


@bp.get("/clients/me")
@bp.response(200, ClientSchema)
def get_own() -> Client:
    """Show the client this key speaks for."""
    return accounts.client(db(), own_id())


@bp.patch("/clients/me")
@bp.arguments(ClientChangesSchema)
@bp.response(200, ClientSchema)
@bp.told_as("client.update")
def update_own(data: dict[str, Any]) -> Client:
    """Change what is given."""
    return _changed(own_id(), data)


@bp.get("/clients/search")
@bp.arguments(FindQuery, location="query")
@bp.response(200, page_of(ClientSchema))
def search_clients(query: dict[str, Any]) -> dict[str, Any]:
    """Search clients by words of their name or email; the best first."""
    return all_of(client_queries.search_clients(db(), listed(), query["q"], limit=query["limit"]))


@bp.get("/clients/statistics")
@bp.response(200, ClientStatisticsSchema)
def statistics() -> dict[str, Any]:
    """Count clients by status and tier, and contracts that end."""
    return asdict(client_queries.client_statistics(db(), clock(), listed()))


@bp.get("/clients/expiring")
@bp.arguments(ExpiringQuery, location="query")
@bp.response(200, page_of(ExpiringSchema))
def list_expiring(query: dict[str, Any]) -> dict[str, Any]:
    """List contracts that end within so many days, and those that have ended; earliest first."""
    limit, days = query["limit"], query["days"]
    found = client_queries.expiring_contracts(
        db(), clock(), listed(), days=days, after=_edge(query["cursor"]), limit=limit + 1
    )
    page = cut(found, limit, lambda one: encode_cursor(one.client.contract_end, one.client.id))
    rows = [
        {
            "client_id": one.client.id,
            "name": one.client.name,
            "email": one.client.email,
            "subscription_tier": one.client.subscription_tier,
            "contract_end": one.client.contract_end,
            "days_left": one.days_left,
            "overdue": one.overdue,
        }
        for one in page.items
    ]
    return {"data": rows, "next_cursor": page.next_cursor}


def _edge(cursor: str | None) -> tuple[datetime, int] | None:
    """Return where a page of contracts begins. Raises InvalidError for another list's cursor."""
    if cursor is None:
        return None
    values = decode_cursor(cursor)
    try:
        at, number = values
        edge = datetime.fromisoformat(at), int(number)
    except (ValueError, TypeError):
        edge = None
    if edge is None or edge[0].tzinfo is None or not 0 < edge[1] < 2**63:
        raise InvalidError(
            "this is not a cursor of this list", field="cursor", remedy="start without a cursor"
        )
    return edge


@bp.post("/clients/bulk-edits")
@bp.action(CHANGES)
@bp.arguments(ClientBulkSchema)
@bp.response(200, BulkResultsSchema)
def edit_many(data: dict[str, Any]) -> dict[str, Any]:
    """Give up to 200 clients the same values; each has its result, or all change or none."""
    found = client_edit.bulk_update_clients(
        db(),
        clock(),
        among_ids=None,
        client_ids=data["ids"],
        changes=data["changes"],
        all_or_nothing=data["all_or_nothing"],
    )
    for one in found:
        if one.status == "changed":
            _told_update(one.client_id, data["changes"])
    return results(found, "client_id", data)


@bp.get(f"/clients/{ID}")
@bp.response(200, ClientSchema)
def get_client(client_id: int) -> Client:
    """Show a client."""
    return seen(client_id)


@bp.patch(f"/clients/{ID}")
@bp.arguments(AgreedChangesSchema)
@bp.response(200, ClientSchema)
def update_client(data: dict[str, Any], client_id: int) -> Client:
    """Change what is given; status, contract and spend limit only as a super admin."""
    found = seen(client_id, CHANGES)
    agreed = sorted(data.keys() & accounts.CONTRACT)
    if agreed and CHANGES not in principal().actions:
        raise ForbiddenError(
            f"{agreed[0]} is agreed with a client, not set by it",
            field=agreed[0],
            remedy="ask whoever runs this installation",
        )
    return _changed(found.id, data)


def _changed(client_id: int, data: dict[str, Any]) -> Client:
    changed = accounts.update_client(db(), clock(), client_id=client_id, **data)
    _told_update(client_id, data)
    return changed


def _told_update(client_id: int, changes: dict[str, Any]) -> None:
    told = f"client:{client_id}"
    audit(told, action="client.update", at=client_id, fields=sorted(changes))


@bp.delete(f"/clients/{ID}")
@bp.action(CHANGES)
@bp.response(204)
@bp.fresh
def delete_client(client_id: int) -> None:
    """Delete a client: its keys end, nothing more is sent; its rows stay."""
    if client_id == principal().client_id:
        raise ConflictError(
            "this is the client you speak for", remedy="speak for another, and delete it from there"
        )
    cancelled = close_client(db(), clock(), client_id=seen(client_id, CHANGES).id)
    audit(f"client:{client_id}", at=client_id, cancelled=cancelled)


@bp.post(f"/clients/{ID}/tier")
@bp.action(CHANGES)
@bp.arguments(ClientTierSchema)
@bp.response(200, ClientTierChangedSchema)
def change_tier(data: dict[str, Any], client_id: int) -> dict[str, Any]:
    """Give a client a tier, up or down; asked again it changes nothing. The audit log keeps it."""
    tier = SubscriptionTier(data["tier"])
    changed = client_edit.change_tier(
        db(),
        clock(),
        client_id=seen(client_id, CHANGES).id,
        tier=tier,
        actor=actor(),
        reason=data["reason"],
    )
    return {"subscription_tier": tier.value, "changed": changed}


@bp.get(f"/clients/{ID}/revenue")
@bp.action("usage:read")
@bp.arguments(MonthsQuery, location="query")
@bp.response(200, RevenueSchema)
def show_revenue(query: dict[str, Any], client_id: int) -> dict[str, Any]:
    """Show what a client's members paid, by month and currency, less what was given back."""
    found = seen(client_id)
    return {
        "total": _totals(total_revenue(db(), found.id)),
        "months": revenue(db(), clock(), client_id=found.id, months=query["months"]),
    }


@bp.get(f"/clients/{ID}/usage")
@bp.action("usage:read")
@bp.arguments(UsageQuery, location="query")
@bp.response(200, UsageSchema)
def show_usage(query: dict[str, Any], client_id: int) -> dict[str, Any]:
    """Show messages by month and channel, what they cost beside the limit, and how much is kept."""
    found = seen(client_id)
    told: dict[str, Any] = spending.counted(db(), found.id)
    told["this_month"] = spending.told(spending.spend(db(), clock(), found))
    told["months"] = spending.usage(db(), clock(), client_id=found.id, months=query["months"])
    return told | ({"rows": stored_rows(db(), found.id)} if query["rows"] else {})


def _totals(amounts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"currency": one, "amount": amount} for one, amount in amounts.items()]


@bp.get(f"/clients/{ID}/activity")
@bp.action("audit:read")
@bp.arguments(PageQuery, location="query")
@bp.response(200, page_of(ActivityEntrySchema))
def list_activity(query: dict[str, Any], client_id: int) -> dict[str, Any]:
    """List what was done at a client, newest first, by whomever."""
    found = seen(client_id)
    return paged(
        query,
        lambda before, limit: client_queries.client_activity(
            db(), found.id, before=before, limit=limit
        ),
        by_id,
    )
