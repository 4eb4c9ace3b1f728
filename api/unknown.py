"""/unknown: messages nobody can tell were sent or not; asking their providers, and deciding."""

from typing import Any

from api.context import actor, audit, client_id, clock, db, ring_after_commit, services
from api.openapi import Resource
from api.schemas.unknown import (
    CheckedSchema,
    CheckSchema,
    ResolvedSchema,
    ResolveSchema,
    UnknownSchema,
)
from campaigns import again
from communications.communication import Reason
from communications.reconcile import Checked, Reconciler
from communications.unknown import Decision, Which, unknown_groups

bp = Resource("unknown", about="Messages nobody can tell were sent or not", room="messages")


@bp.get("/unknown")
@bp.response(200, UnknownSchema)
def show() -> dict[str, Any]:
    """Count what nobody can tell about, by provider account, run and reason."""
    groups = unknown_groups(db(), client_id())
    return {"rows": sum(group.rows for group in groups), "groups": groups}


@bp.post("/unknown/resolve")
@bp.action("messages:resolve")
@bp.arguments(ResolveSchema)
@bp.response(200, ResolvedSchema)
def resolve(data: dict[str, Any]) -> dict[str, Any]:
    """Decide (action messages:resolve); a receipt that comes later is believed all the same."""
    decision = Decision(data["decision"])
    done = again.resolve(
        db(),
        clock(),
        client_id=client_id(),
        which=_which(data["filter"]),
        decision=decision,
        expected=data["count"],
        actor=actor(),
    )
    if decision is Decision.RESEND:
        ring_after_commit()
    return {"rows": done.rows, "decision": decision}


@bp.post("/unknown/check")
@bp.action("messages:check")
@bp.arguments(CheckSchema)
@bp.response(200, CheckedSchema)
def check(data: dict[str, Any]) -> Checked:
    """Ask providers about up to 50 messages; what they have is sent, the rest stays unknown."""
    made = services()
    asks = Reconciler(
        made.sessions,
        made.clock,
        references=made.references,
        vault=made.vault,
        http=made.egress,
        content=made.content,
    )
    done = asks.check(client_id(), _which(data["filter"]))
    audit(f"messages:{done.rows}")
    return done


def _which(given: dict[str, Any]) -> Which:
    reason = given.get("reason")
    ids = given.get("ids")
    return Which(
        ids=tuple(ids) if ids else None,
        run_id=given.get("run_id"),
        provider_account_id=given.get("provider_account_id"),
        reason=Reason(reason) if reason else None,
        older_than_seconds=given.get("older_than_seconds"),
    )
