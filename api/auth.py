"""Authentication: every route under /api/v1 needs a key in force; only PUBLIC ones do not."""

from flask import Flask, g, request

from accounts.key import USE_NOTED_EVERY, authenticate, note_use, permits
from api.context import READS, clock, services
from core.db import read, write
from core.errors import ForbiddenError, UnauthenticatedError

PREFIX = "/api/v1"
PUBLIC = frozenset({"/api/v1/openapi.json"})

OWN_SCOPES = {"/api/v1/unknown/resolve": "messages:resolve"}
"""Routes that neither `read` nor `write` opens."""


def install(app: Flask) -> None:
    """Refuse what does not prove who it is, before anything is looked up."""

    @app.before_request
    def require_key() -> None:
        if not request.path.startswith(PREFIX) or request.path in PUBLIC:
            return
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.casefold() != "bearer" or not text:
            raise UnauthenticatedError(
                "there is no API key",
                field="Authorization",
                remedy="send the header `Authorization: Bearer ex_…`",
            )
        with read(services().sessions) as session:
            key = authenticate(session, clock(), text.strip())
        scope = OWN_SCOPES.get(request.path, "read" if request.method in READS else "write")
        if not permits(key, scope):
            raise ForbiddenError(
                f"this key may not do this: it needs “{scope}”",
                remedy=f"use a key with the scope “{scope}” or “*”",
            )
        if key.last_used_at is None or clock().now() - key.last_used_at > USE_NOTED_EVERY:
            with write(services().sessions) as session:
                note_use(session, clock(), key_id=key.id)
        g.api_key = key
