"""/me/two-factor: a second proof at sign-in. Turning it off takes both."""

from typing import Any

from marshmallow import Schema, fields, validate

from accounts import totp
from accounts.password import MAX_LENGTH
from accounts.session import end_sessions
from accounts.throttle import TWO_FACTOR
from accounts.two_factor import NEXT_CODE, confirm, new_recovery_codes, prepare, spend, turn_off
from api.attempts import attempt, prove_again
from api.context import audit, clock, db, principal, services
from api.me import me
from api.openapi import Resource
from core.errors import ForbiddenError

bp = Resource("two-factor", about="A second proof at sign-in", room="me")
Code = validate.Length(max=64)


class AgainSchema(Schema):
    """The caller's password once more."""

    password = fields.String(load_default="", validate=validate.Length(max=MAX_LENGTH))


class BothSchema(AgainSchema):
    """The caller's password and a code once more."""

    code = fields.String(load_default="", validate=Code)


class AppCodeSchema(Schema):
    """A code of the authenticator app."""

    code = fields.String(required=True, validate=Code)


class AppSecretSchema(Schema):
    """What the authenticator app is told, shown once."""

    secret = fields.String(required=True)
    uri = fields.String(required=True, metadata={"description": "as a QR code for the app"})


class RecoveryCodesSchema(Schema):
    """Ways in without the app, each good once and shown once."""

    recovery_codes = fields.List(fields.String(), required=True)


@bp.post("/me/two-factor")
@bp.arguments(AgainSchema)
@bp.response(201, AppSecretSchema)
def begin(data: dict[str, Any]) -> dict[str, str]:
    """Make a secret for an authenticator app; it is asked for once it is confirmed."""
    prove_again(data["password"])
    secret = prepare(db(), services().vault, me())
    return {"secret": totp.spoken(secret), "uri": totp.link(secret, me().email)}


@bp.post("/me/two-factor/confirm")
@bp.arguments(AppCodeSchema)
@bp.response(200, RecoveryCodesSchema)
def turn_on(data: dict[str, Any]) -> dict[str, list[str]]:
    """Turn two-factor on with the app's first code; every other session ends."""
    _count_try()
    codes = confirm(db(), clock(), services().vault, me(), data["code"])
    _others_end()
    audit(f"user:{me().id}")
    return {"recovery_codes": codes}


@bp.post("/me/two-factor/disable")
@bp.arguments(BothSchema)
@bp.response(204)
def disable(data: dict[str, Any]) -> None:
    """Turn two-factor off, with password and code; every other session ends."""
    _prove_both(data)
    turn_off(db(), me())
    _others_end()
    audit(f"user:{me().id}")


@bp.post("/me/two-factor/recovery-codes")
@bp.arguments(BothSchema)
@bp.response(200, RecoveryCodesSchema)
def renew(data: dict[str, Any]) -> dict[str, list[str]]:
    """Replace the recovery codes, with password and code."""
    _prove_both(data)
    audit(f"user:{me().id}")
    return {"recovery_codes": new_recovery_codes(db(), me())}


def _prove_both(data: dict[str, Any]) -> None:
    prove_again(data["password"])
    prove_code(data["code"])


def prove_code(code: str) -> None:
    """Raise ForbiddenError unless a code of the caller's second factor is given."""
    _count_try()
    if not (me().two_factor_enabled and spend(db(), clock(), services().vault, me(), code)):
        raise ForbiddenError("this code is not right", field="code", remedy=NEXT_CODE)


def _count_try() -> None:
    attempt(TWO_FACTOR, me().email)


def _others_end() -> None:
    end_sessions(db(), clock(), user_id=me().id, keep=principal().session_id)
