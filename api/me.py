"""/me: the caller: profile, permissions, password, sessions."""

from typing import Any

from flask import g, request
from flask.wrappers import Response
from marshmallow import Schema, fields, validate

from accounts import password as passwords
from accounts.principal import places
from accounts.recovery import ask_verification, set_password
from accounts.session import end_session, end_sessions, sessions_of
from accounts.user import Role, User, user
from accounts.user_edit import Editor, update_user
from api.attempts import may_mail, prove_again
from api.auth import cookie_name
from api.context import audit, clock, db, principal, release
from api.letters import require_mail, write_letter
from api.openapi import Resource
from api.paging import all_of
from api.schemas.field import Instant
from api.schemas.page import page_of
from api.sign_in import Password, SignedInSchema, renewed
from core.errors import ForbiddenError

bp = Resource("me", about="The caller: profile, permissions, password, sessions")
ID = "<int(min=1,max=9223372036854775807):session_id>"


class ProfileSchema(Schema):
    """What people say of themselves."""

    first_name = fields.String(allow_none=True, validate=validate.Length(max=100))
    last_name = fields.String(allow_none=True, validate=validate.Length(max=100))
    full_name = fields.String(allow_none=True, validate=validate.Length(max=200))
    phone = fields.String(allow_none=True, validate=validate.Length(max=64))
    avatar_url = fields.String(allow_none=True, validate=validate.Length(max=500))
    timezone = fields.String(allow_none=True, validate=validate.Length(max=64))
    language = fields.String(allow_none=True, validate=validate.Length(max=16))
    preferences = fields.Dict(keys=fields.String(), allow_none=True)


class PlaceSchema(Schema):
    """A client where the caller may work."""

    client_id = fields.Integer(required=True)
    name = fields.String(required=True)
    role = fields.Enum(Role, by_value=True, required=True)


class OwnUserSchema(ProfileSchema):
    """The caller's own account."""

    id = fields.Integer(required=True)
    email = fields.String(required=True)
    email_verified = fields.Boolean(required=True)
    two_factor_enabled = fields.Boolean(required=True)
    last_login = Instant(allow_none=True)


class MeSchema(Schema):
    """Who asks, and what they may do."""

    actor = fields.String(required=True, metadata={"description": "`user:7`, or `key:3`"})
    client_id = fields.Integer(required=True, allow_none=True)
    role = fields.Enum(Role, by_value=True, required=True)
    permissions = fields.List(fields.String(), required=True)
    user = fields.Nested(OwnUserSchema, allow_none=True, required=True)
    clients = fields.List(fields.Nested(PlaceSchema), required=True)
    csrf_token = fields.String(allow_none=True)


class NewPasswordSchema(Schema):
    """A password in place of the one there is."""

    password = Password
    new_password = Password


class SessionSchema(Schema):
    """One device that is signed in."""

    id = fields.Integer(required=True)
    device = fields.String(allow_none=True)
    ip = fields.String(allow_none=True, metadata={"description": "the network, not the address"})
    current = fields.Boolean(required=True)
    created_at = Instant(required=True)
    last_used_at = Instant(required=True)
    expires_at = Instant(required=True)


@bp.get("/me")
@bp.response(200, MeSchema)
def show() -> dict[str, Any]:
    """Show who asks and what they may do; a key's person, if it belongs to one."""
    who = principal()
    known = user(db(), who.user_id) if who.user_id is not None else None
    signed_in = who.session_id is not None
    return {
        "actor": who.actor,
        "client_id": who.client_id,
        "role": who.role,
        "permissions": sorted(who.actions),
        "user": known,
        "clients": places(db(), known) if known is not None and signed_in else [],
        "csrf_token": g.get("csrf_token"),
    }


@bp.patch("/me")
@bp.arguments(ProfileSchema)
@bp.response(200, OwnUserSchema)
def change(data: dict[str, Any]) -> User:
    """Change one's own profile: what is given; null empties a field."""
    who = principal()
    editor = Editor(role=who.role, client_id=who.client_id, user_id=who.user_id)
    return update_user(db(), clock(), editor=editor, user_id=me().id, **data).user


@bp.post("/me/password")
@bp.arguments(NewPasswordSchema)
@bp.response(200, SignedInSchema)
def change_password(data: dict[str, Any]) -> Response | dict[str, Any]:
    """Set another password. Every session and key of the caller ends; here is a new session."""
    prove_again(data["password"])
    email = me().email
    release()  # on SQLite nobody else could write while this is computed
    made = passwords.hashed(data["new_password"], email=email, field="new_password")
    set_password(db(), clock(), me(), password_hash=made)
    audit(f"user:{me().id}")
    return renewed(by_cookie=comes_by_cookie())


@bp.get("/me/sessions")
@bp.response(200, page_of(SessionSchema))
def list_sessions() -> dict[str, Any]:
    """List the devices that are signed in, newest first."""
    who = principal()
    rows = sessions_of(db(), clock(), who.user_id) if who.user_id is not None else []
    return all_of([{**_columns(row), "current": row.id == who.session_id} for row in rows])


@bp.delete("/me/sessions")
@bp.response(204)
def end_others() -> None:
    """End every session of the caller but this one."""
    end_sessions(db(), clock(), user_id=me().id, keep=principal().session_id)


@bp.delete(f"/me/sessions/{ID}")
@bp.response(204)
def end_one(session_id: int) -> None:
    """End one session of the caller."""
    end_session(db(), clock(), user_id=me().id, session_id=session_id)


@bp.post("/me/email-verification")
@bp.response(202)
def send_verification() -> dict[str, Any]:
    """Send a link that proves the address is one's own."""
    require_mail()
    who = me()
    if may_mail(who.email):
        write_letter("verify", to=who.email, token=ask_verification(db(), clock(), who))
    return {}


def me() -> User:
    """Return the caller's account. Raises ForbiddenError for a key of nobody."""
    user_id = principal().user_id
    if user_id is None:
        raise ForbiddenError(
            "this key belongs to nobody", remedy="sign in, or use a key that a person made"
        )
    return user(db(), user_id)


def comes_by_cookie() -> bool:
    """Say whether the caller proved who they are by cookie."""
    return "Authorization" not in request.headers and cookie_name() in request.cookies


def _columns(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}
