"""/sign-in and /sign-out: from a password to a session, and back."""

from typing import Any

from flask import jsonify, request
from flask.wrappers import Response
from marshmallow import Schema, fields, validate

from accounts import password as passwords
from accounts.audit import record
from accounts.session import (
    LIFETIME,
    Device,
    UserSession,
    end_session,
    open_session,
    proof_of_page,
)
from accounts.sign_in import Account, known, proven, signed_in
from accounts.throttle import PASSWORD, TWO_FACTOR
from accounts.two_factor import NEXT_CODE, TwoFactorRequiredError, spend
from accounts.user import user
from api.attempts import attempt, attempt_password, succeeded
from api.auth import cookie_name, refuse_other_origins
from api.context import clock, db, principal, services
from api.hardening import is_secure
from api.openapi import OPEN, Resource
from api.schemas.field import Instant
from core.db import read
from core.errors import UnauthenticatedError

bp = Resource("sign-in", noun="user", about="From a password to a session", room="me")
Email = fields.String(required=True, validate=validate.Length(min=1, max=320))
Password = fields.String(required=True, validate=validate.Length(max=passwords.MAX_LENGTH))
Code = fields.String(
    load_default=None,
    validate=validate.Length(max=64),
    metadata={"description": "of the authenticator app, or a recovery code"},
)


class SignInSchema(Schema):
    """Who signs in."""

    email = Email
    password = Password
    code = Code
    cookie = fields.Boolean(
        load_default=False,
        metadata={"description": "true for pages: the session travels in a cookie only"},
    )


class SignedInSchema(Schema):
    """A session. With `cookie`, its token is in the cookie and not here."""

    token = fields.String(metadata={"description": "send it as `Authorization: Bearer es_…`"})
    csrf_token = fields.String(
        metadata={"description": "with a cookie: send it as `X-CSRF-Token` with every change"}
    )
    expires_at = Instant(required=True)


@bp.post("/sign-in")
@bp.action(OPEN)
@bp.arguments(SignInSchema)
@bp.response(200, SignedInSchema)
def sign_in(data: dict[str, Any]) -> Response | dict[str, Any]:
    """Sign in with a password, and with a code where `two_factor_required` (401) asks for it."""
    refuse_other_origins()
    attempt_password(data["email"])
    with read(services().sessions) as session:
        account = known(session, data["email"])
    proven(account, data["password"])
    succeeded(PASSWORD, account.email)
    if account.two_factor:
        second_factor(account, data["code"])
    made, text = signed_in(db(), clock(), account, here(), proven_at=clock().now())
    tell_of("user.sign_in", made.user_id)
    return handed_over(made, text, by_cookie=data["cookie"])


@bp.post("/sign-out")
@bp.action("me:write")
@bp.response(204)
def sign_out() -> Response:
    """End this session."""
    who = principal()
    if who.user_id is not None and who.session_id is not None:
        end_session(db(), clock(), user_id=who.user_id, session_id=who.session_id)
    response = Response(status=204)
    set_cookie(response, "")
    return response


def tell_of(action: str, user_id: int, client_id: int | None = None) -> None:
    """Write down what somebody did who only now proved who they are."""
    who = f"user:{user_id}"
    record(db(), clock(), client_id=client_id, actor=who, action=action, target=who)


def here() -> Device:
    """Return the device that this request comes from."""
    return Device.of(request.headers.get("User-Agent"), request.remote_addr)


def renewed(*, by_cookie: bool) -> Response | dict[str, Any]:
    """Open another session for the caller, whose old ones ended."""
    who = principal()
    if who.user_id is None:
        raise UnauthenticatedError("nobody is signed in", remedy="POST /sign-in")
    made, text = open_session(
        db(), clock(), user_id=who.user_id, device=here(), proven_at=clock().now()
    )
    return handed_over(made, text, by_cookie=by_cookie)


def handed_over(made: UserSession, text: str, *, by_cookie: bool) -> Response | dict[str, Any]:
    """Return the answer that gives a session to its caller."""
    if not by_cookie:
        return {"token": text, "expires_at": made.expires_at}
    body = {"csrf_token": proof_of_page(text), "expires_at": made.expires_at.isoformat()}
    response = jsonify(body)
    set_cookie(response, text)
    return response


def second_factor(account: Account, code: str | None) -> None:
    """Raise unless the second proof is given. Its tries are counted by account, for an hour."""
    if not code:
        raise TwoFactorRequiredError(
            "a code is needed", field="code", remedy="send the code of your authenticator app"
        )
    attempt(TWO_FACTOR, account.email)
    who = user(db(), account.user_id or 0)
    if not spend(db(), clock(), services().vault, who, code):
        raise UnauthenticatedError("this code is not right", field="code", remedy=NEXT_CODE)
    succeeded(TWO_FACTOR, account.email)


def set_cookie(response: Response, text: str) -> None:
    """Let a browser keep a session's text; none takes it away."""
    response.set_cookie(
        cookie_name(),
        text,
        max_age=int(LIFETIME.total_seconds()) if text else 0,
        secure=is_secure(),
        httponly=True,
        samesite="Lax",
    )
