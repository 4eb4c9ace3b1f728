"""Authentication: every operation under /api/v1 needs a caller who may do its action.

A caller is an API key (`Bearer ex_…`), or a person's session: `Bearer es_…` for programs, a cookie
for pages. A cookie is sent by browsers whoever asks, so a request that changes something by cookie
must also carry what only our own pages know, and come from our own origin.

An operation's action stands on its view (api.openapi.Resource). One without an action keeps the
application from starting; what is OPEN needs no caller.
"""

import hmac
import re
from urllib.parse import urlsplit

from flask import Flask, current_app, g, request

from accounts import key as keys
from accounts import session as user_sessions
from accounts.permission import PERMISSIONS
from accounts.principal import Principal, key_holder, person
from api import rate
from api.context import clock, services
from api.hardening import is_secure
from api.openapi import OPEN, PREFIX, READS, is_fresh_only
from core.db import read, write
from core.errors import ForbiddenError, InvalidError, UnauthenticatedError

SECRET_IN_URL = re.compile(rb"\be[xs]_[0-9a-f]{8}_").search
PROOF = "X-CSRF-Token"
CLIENT = "X-Client"


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
        try:
            if action != OPEN:
                g.principal = _caller()
        finally:
            rate.take()  # who guesses keys, too
        if action not in (OPEN, None):
            g.principal.require(action)
            if is_fresh_only(current_app.view_functions[request.endpoint or ""]):
                g.principal.require_fresh()


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


def cookie_name() -> str:
    """Return the name of the session's cookie; the prefix binds it to this host and to TLS."""
    return "__Host-echelonx" if is_secure() else "echelonx"


def refuse_other_origins() -> None:
    """Raise ForbiddenError for a request that a page of somebody else made.

    A form of ours says `null`, as browsers let one that hides its referrer (Fetch 3.2), and
    `Sec-Fetch-Site`, which no page can write, says where it was.
    """
    origin = request.headers.get("Origin")
    if origin == "null" and request.headers.get("Sec-Fetch-Site") == "same-origin":
        return
    ours = urlsplit(services().settings.public_url)
    if origin is not None and origin != f"{ours.scheme}://{ours.netloc}":
        raise ForbiddenError(
            "this request comes from another site",
            field="Origin",
            remedy=f"send it from a page of {ours.scheme}://{ours.netloc}, or without Origin",
        )


def _caller() -> Principal:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    cookie = request.cookies.get(cookie_name())
    if scheme.casefold() == "bearer" and text:
        text = text.strip()
        marked = text.startswith(f"{user_sessions.MARK}_")
        return _person(text) if marked else _program(text)
    if cookie and "Authorization" not in request.headers:
        _check_page(cookie)
        return _person(cookie)
    raise UnauthenticatedError(
        "there is no API key",
        field="Authorization",
        remedy="send the header `Authorization: Bearer ex_…`",
    )


def _check_page(cookie: str) -> None:
    """Refuse what a page of somebody else may have sent with our cookie (B020)."""
    if request.method in READS:
        return
    refuse_other_origins()
    proof = user_sessions.proof_of_page(cookie)
    if not hmac.compare_digest(proof.encode(), request.headers.get(PROOF, "").encode()):
        raise ForbiddenError(
            "this request does not prove that our own page sent it",
            field=PROOF,
            remedy=f"send the header {PROOF} with the csrf_token of GET /me",
        )


def _program(text: str) -> Principal:
    now = clock().now()
    with read(services().sessions) as session:
        key = keys.authenticate(session, clock(), text)
        holder = key_holder(session, key)
    if _asked_client() not in (None, holder.client_id):
        raise ForbiddenError(
            "this key speaks for another client",
            field=CLIENT,
            remedy="leave the header out, or use a key of that client",
        )
    if key.last_used_at is None or now - key.last_used_at > keys.USE_NOTED_EVERY:
        with write(services().sessions) as session:
            keys.note_use(session, clock(), key_id=key.id)
    return holder


def _person(text: str) -> Principal:
    now = clock().now()
    with read(services().sessions) as session:
        row, who = user_sessions.found_session(session, clock(), text)
        fresh = row.is_fresh(now)
        holder = person(session, who, session_id=row.id, fresh=fresh, client_id=_asked_client())
    if now - row.last_used_at > user_sessions.USE_NOTED_EVERY:
        with write(services().sessions) as session:
            user_sessions.note_session_use(session, clock(), session_id=row.id)
    g.csrf_token = user_sessions.proof_of_page(text)
    return holder


def _asked_client() -> int | None:
    told = request.headers.get(CLIENT)
    if told is None:
        return None
    if not (told.isascii() and told.isdigit() and 0 < len(told) < 19):
        raise InvalidError(
            "this is not a client's id", field=CLIENT, remedy="GET /me lists your clients"
        )
    return int(told)
