"""Authentication: every operation under /api/v1 needs a caller who may do its action.

An operation's action stands on its view (api.openapi.Resource). One without an action keeps the
application from starting; what is OPEN needs no caller.
"""

import re

from flask import Flask, current_app, g, request

from accounts.key import USE_NOTED_EVERY, authenticate, note_use
from accounts.permission import PERMISSIONS
from accounts.principal import Principal, key_holder
from api.context import clock, services
from api.openapi import OPEN, PREFIX
from core.db import read, write
from core.errors import InvalidError, UnauthenticatedError

SECRET_IN_URL = re.compile(rb"\be[xs]_[0-9a-f]{8}_").search


class UnknownActionError(RuntimeError):
    """An operation asks for an action that accounts/permission.py does not know."""


def install(app: Flask) -> None:
    """Refuse what does not prove who it is, before anything is looked up."""

    @app.before_request
    def require_caller() -> None:
        if not request.path.startswith(PREFIX):
            return
        if SECRET_IN_URL(request.query_string):
            raise InvalidError(
                "a key in an address ends up in logs",
                remedy="revoke that key; send another as `Authorization: Bearer ex_…`",
            )
        action = action_of(current_app, request.endpoint)
        if action == OPEN:
            return
        g.principal = _caller()
        if action is not None:
            g.principal.require(action)


def action_of(app: Flask, endpoint: str | None) -> str | None:
    """Return what an endpoint's view needs; None where there is no such endpoint."""
    return getattr(app.view_functions[endpoint], "action", None) if endpoint else None


def check(app: Flask) -> None:
    """Raise UnknownActionError for an operation that anybody would be refused, or nobody."""
    for rule in app.url_map.iter_rules():
        action = action_of(app, rule.endpoint)
        if rule.rule.startswith(PREFIX) and action != OPEN and action not in PERMISSIONS:
            raise UnknownActionError(
                f"{rule.rule} needs “{action}”: add it to accounts/permission.py"
            )


def _caller() -> Principal:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.casefold() != "bearer" or not text:
        raise UnauthenticatedError(
            "there is no API key",
            field="Authorization",
            remedy="send the header `Authorization: Bearer ex_…`",
        )
    with read(services().sessions) as session:
        key = authenticate(session, clock(), text.strip())
        holder = key_holder(session, key)
    if key.last_used_at is None or clock().now() - key.last_used_at > USE_NOTED_EVERY:
        with write(services().sessions) as session:
            note_use(session, clock(), key_id=key.id)
    return holder
