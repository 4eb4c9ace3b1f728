"""/providers: accounts at companies that carry messages. Secrets go in and never come out."""

from typing import Any

from api.context import actor, audit, client_id, clock, db, ring_after_commit, services
from api.openapi import Resource
from api.paging import all_of
from api.schemas.communication import NewProviderSchema, ProviderChangesSchema, ProviderSchema
from api.schemas.page import page_of
from communications import account as accounts
from communications.account import ProviderAccount

bp = Resource("providers", about="Accounts at companies that carry messages")
ID = "<int(min=1,max=9223372036854775807):provider_id>"


def shown(account: ProviderAccount) -> dict[str, Any]:
    """Return an account; of secrets only the last four characters."""
    config = accounts.account_config(services().vault, account)
    return {
        "id": account.id,
        "name": account.name,
        "adapter": account.adapter,
        "channel": account.channel.value,
        "status": account.status.value,
        "status_reason": account.status_reason,
        "window": account.window,
        "config": {name: accounts.veiled(name, value) for name, value in config.items()},
        "webhook_url": services().urls.receipts(account.adapter, account.token),
        "created_at": account.created_at,
    }


@bp.get("/providers")
@bp.response(200, page_of(ProviderSchema))
def list_providers() -> dict[str, Any]:
    """List provider accounts, oldest first."""
    return all_of([shown(account) for account in accounts.accounts(db(), client_id())])


@bp.post("/providers")
@bp.arguments(NewProviderSchema)
@bp.response(201, ProviderSchema)
def create(data: dict[str, Any]) -> dict[str, Any]:
    """Add an account; settings its adapter cannot use are refused with their field."""
    added = accounts.add_account(db(), clock(), services().vault, client_id=client_id(), **data)
    audit(f"provider:{added.id}")
    return shown(added)


@bp.get(f"/providers/{ID}")
@bp.response(200, ProviderSchema)
def get(provider_id: int) -> dict[str, Any]:
    """Show an account."""
    return shown(accounts.account(db(), client_id(), provider_id))


@bp.patch(f"/providers/{ID}")
@bp.arguments(ProviderChangesSchema)
@bp.response(200, ProviderSchema)
def change(data: dict[str, Any], provider_id: int) -> dict[str, Any]:
    """Change what is given, single settings too; null empties. Messages on the wire go on as sent.

    What is sent from now on goes out with it. Another adapter is another account.
    """
    found = accounts.change_account(
        db(), clock(), services().vault, client_id=client_id(), account_id=provider_id, **data
    )
    audit(f"provider:{found.id}", settings=sorted(data.get("config", ())))
    ring_after_commit()
    return shown(found)


@bp.post(f"/providers/{ID}/pause")
@bp.response(200, ProviderSchema)
def pause(provider_id: int) -> dict[str, Any]:
    """Stop using an account; what is queued for it waits."""
    found = accounts.account(db(), client_id(), provider_id)
    accounts.pause_account(
        db(), clock(), account_id=found.id, reason="paused by hand", actor=actor()
    )
    audit(f"provider:{found.id}")
    db().refresh(found)
    return shown(found)


@bp.post(f"/providers/{ID}/resume")
@bp.response(200, ProviderSchema)
def resume(provider_id: int) -> dict[str, Any]:
    """Use an account again."""
    found = accounts.account(db(), client_id(), provider_id)
    accounts.resume_account(db(), clock(), account_id=found.id)
    audit(f"provider:{found.id}")
    db().refresh(found)
    ring_after_commit()
    return shown(found)
