"""Auditing: every write of the API is in the audit log, and every look at people.

A write is told with its transaction, by the name its route gives it (`context.audit`) or else by
the operation's own, with what it changed. A look is handed to the witness after the answer is made:
one entry a request, with the names of its filters and the number of rows; reading waits for nobody.

What is not named here is told: a new route is audited until somebody says that it need not be.
"""

import re
from collections.abc import Mapping
from typing import Any

from flask import Flask, current_app, g, request
from flask.wrappers import Response

from accounts.audit import ORIGIN, AuditSource, Origin, noted, record, truncated
from api.auth import action_of
from api.context import actor, clock, db, principal, services
from api.idempotency import REPLAYED
from api.openapi import PREFIX, READS, deed_of

NOBODY = frozenset(
    {"audit", "clients", "api-keys", "templates", "providers", "campaigns", "journeys", "recipes",
     "prompts", "segments", "unknown", "me", "jobs"}
)  # fmt: skip
"""Rooms that show no person."""
SHOWS_NOBODY = frozenset(
    {"segment.show_reach", "bulk_edit.get", "bulk_edit.list", "elevate.get_metrics",
     "elevate.get_path", "elevate.list_snapshots", "enrolment.show_results", "export.get",
     "export.list", "import.get",
     "import.list", "member.statistics", "privacy.preview_retention",
     "score.models", "tier.list"}
)  # fmt: skip
"""Operations of other rooms that show none either."""
CHANGES_NOTHING = frozenset(
    {"bulk_edit.preview", "import.look", "journey.check", "segment.effect", "segment.preview"}
)
"""Operations that are sent as writes because their question is long."""
STREAMS = frozenset({"member.track_events", "member.tell_order", "member.tell_refund"})
"""What machines report by the thousand; each is a row with its time in the member's own history."""
UNTOLD = CHANGES_NOTHING | STREAMS
FILTER = re.compile(r"[a-z_]{1,32}").fullmatch


def install(app: Flask) -> None:
    """Tell of each good answer; context.commit, installed before, runs after this."""

    @app.before_request
    def arrive() -> None:
        ORIGIN.set(Origin(AuditSource.API, truncated(request.remote_addr)))

    @app.after_request
    def tell(response: Response) -> Response:
        if request.path.startswith(PREFIX) and response.status_code < 400 and _known():
            if request.method not in READS:
                # What was answered before was told before; a secret is shown once more.
                if REPLAYED not in response.headers or _shows_secrets():
                    _tell_deeds()
            elif request.method != "OPTIONS" and not _shows_nobody():
                services().witness.saw(_look())
        return response

    @app.teardown_request
    def leave(error: BaseException | None) -> None:
        del error
        ORIGIN.set(None)


def describe(spec: dict[str, Any]) -> None:
    """Leave out of the OpenAPI document's `x-audit` what the log is not told."""
    for operations in spec["paths"].values():
        for operation in operations.values():
            if isinstance(operation, dict) and operation.get("x-audit") in UNTOLD:
                del operation["x-audit"]


def reference(document: Mapping[str, Any]) -> str:
    """Return the table of docs/reference/audit.md: what the log calls each write of the API."""
    told = sorted(
        (operation["x-audit"], f"`{method.upper()} {path.removeprefix(PREFIX)}`")
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if isinstance(operation, dict) and "x-audit" in operation
    )
    rows = [f"| `{action}` | {where} |" for action, where in told]
    return "\n".join(["| action | operation |", "| - | - |", *rows, ""])


def _known() -> bool:
    """Say whether somebody asks: public routes are not audited."""
    return "principal" in g and request.endpoint is not None


def _tell_deeds() -> None:
    session = db()
    session.flush()
    deeds: list[tuple[int | None, str, str | None, dict[str, Any]]] = g.pop("deeds", [])
    if not deeds and not g.changes.told and deed_of(current_app, request.endpoint) not in UNTOLD:
        deeds = [(None, deed_of(current_app, request.endpoint), _target(), _sent())]
    shown = g.changes.by_row()
    for at, action, target, detail in deeds:
        before, after = shown.together() if len(deeds) == 1 else shown.of(target)
        record(
            session, clock(), client_id=at or principal().client_id, actor=actor(),
            action=action, target=target, before=before or None, after=after or None, **detail,
        )  # fmt: skip


def _shows_secrets() -> bool:
    return (action_of(current_app, request.endpoint) or "").endswith(":secret")


def _shows_nobody() -> bool:
    room = (request.endpoint or "").partition(".")[0]
    return room in NOBODY or deed_of(current_app, request.endpoint) in SHOWS_NOBODY


def _look() -> Any:
    detail: dict[str, Any] = {"filters": sorted(filter(FILTER, request.args))}
    if "rows" in g:
        detail["rows"] = g.rows
    return noted(
        clock(), client_id=principal().client_id, actor=actor(),
        action=f"read.{deed_of(current_app, request.endpoint)}", target=_target(), **detail,
    )  # fmt: skip


def _sent() -> dict[str, Any]:
    """Return the names, and only the names, of what was sent."""
    body = request.get_json(silent=True) if request.is_json else None
    return {"fields": sorted(filter(FILTER, body))} if isinstance(body, dict) else {}


def _target() -> str | None:
    """Name the thing in the path: `member:7`. Ids that are texts are not ours, and not shown."""
    for name, value in (request.view_args or {}).items():
        if isinstance(value, int):
            return f"{name.removesuffix('_id')}:{value}"
    return None
