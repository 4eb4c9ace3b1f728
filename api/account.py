"""/account: the pages that the links of letters lead to. No script, and no cookie but a session's.

    GET  /account/{invitation,reset,sign-in,verify}?token=…   a form; changes nothing
    POST /account/{invitation,reset,sign-in,verify}           does what the link is for, once

The link's text is the only proof, and travels on in a hidden field: nobody's browser can be made to
send what they do not know. What these pages do, the API's operations do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Blueprint, request
from flask.wrappers import Response
from marshmallow import Schema, ValidationError
from werkzeug.exceptions import HTTPException

from accounts import recovery
from accounts.client import client
from accounts.invitation import open_invitation
from accounts.one_time import MAX_TEXT
from accounts.recovery import email_of_reset
from accounts.sign_in_link import account_of_link
from api.body import check_text
from api.context import clock, db, services
from api.invitations import AcceptSchema, accepted
from api.recovery import LinkTextSchema, ResetSchema, reset_password
from api.refusal import refusals
from api.sign_in import set_cookie
from api.sign_in_link import Entered, LinkSchema, enter
from core.db import DATABASE_AWAY, read
from core.errors import EngineError, InvalidError
from webhooks.public import away, page, sealed

MAX_FORM = 16 * 1024
bp = Blueprint("account", __name__)
bp.after_request(sealed)
for _kind in DATABASE_AWAY:
    bp.register_error_handler(_kind, lambda _: away())

Words = dict[str, str]


@dataclass(frozen=True, slots=True)
class Door:
    """What one kind of link is for."""

    asks: Callable[[str], Words]
    """The words of its form. Raises InvalidError for a link that is not good."""
    schema: type[Schema]
    does: Callable[..., object]
    done: Words


def _invited(token: str) -> Words:
    with read(services().sessions) as session:
        found, known = open_invitation(session, clock(), text=token)
        where = client(session, found.client_id).name
    words = {"heading": f"Work for {where}", "button": "Accept", "email": found.email}
    if known is not None and known.password_hash is not None:
        return words | {"password": "The password of your account", "kind_of": "current-password"}
    words |= {"password": "A new password", "kind_of": "new-password"}
    return words if known is not None else words | {"names": "yes"}


def _forgotten(token: str) -> Words:
    with read(services().sessions) as session:
        email = email_of_reset(session, clock(), text=token)
    return {
        "heading": "Set a new password",
        "button": "Set it",
        "email": email,
        "password": "The new password",
        "kind_of": "new-password",
    }


def _entering(token: str) -> Words:
    with read(services().sessions) as session:
        account = account_of_link(session, clock(), text=token)
    words = {"heading": "Sign in to EchelonX", "button": "Sign in", "email": account.email}
    return words | ({"code": "yes"} if account.two_factor else {})


def _unproven(token: str) -> Words:
    del token
    return {"heading": "Confirm your address", "button": "Confirm"}


def _verify(token: str) -> None:
    recovery.verify(db(), clock(), text=token)


DOORS = {
    "invitation": Door(
        _invited, AcceptSchema, accepted, {"heading": "Welcome", "then": "You can sign in now."}
    ),
    "reset": Door(
        _forgotten,
        ResetSchema,
        reset_password,
        {
            "heading": "Your password is set",
            "then": "Wherever you were signed in, you are not any more. Sign in with it.",
        },
    ),
    "sign-in": Door(
        _entering,
        LinkSchema,
        enter,
        {"heading": "You are signed in", "then": "This browser is, until you sign out."},
    ),
    "verify": Door(
        _unproven,
        LinkTextSchema,
        _verify,
        {"heading": "Your address is confirmed", "then": "There is nothing else to do."},
    ),
}
KIND = f"<any({', '.join(map(repr, DOORS))}):kind>"


@bp.get(f"/account/{KIND}")
def ask(kind: str) -> Response:
    """Show what a link is for."""
    try:
        return _form(kind, request.args.get("token", ""))
    except InvalidError:
        return _dead()


@bp.post(f"/account/{KIND}")
def act(kind: str) -> Response:
    """Do it; what is wrong is said above the same form."""
    request.max_content_length = MAX_FORM
    door = DOORS[kind]
    try:
        done = door.does(**_filled(door.schema, request.form))
    except EngineError as error:
        return _again(kind, request.form.get("token", ""), error)
    shown = page("account_done", door.done)
    if isinstance(done, Entered):
        set_cookie(shown, done.text)
    return shown


@bp.errorhandler(HTTPException)
def refuse(error: HTTPException) -> Response:
    """Answer what is no form of ours."""
    return Response("", status=error.code or 400, mimetype="text/plain")


def _filled(schema: type[Schema], form: Mapping[str, str]) -> Mapping[str, str]:
    """Return the fields that were filled in. Raises InvalidError."""
    made = schema()
    given = {name: form[name] for name in made.fields if name in form}
    for name, value in given.items():
        check_text(name, [value])
    try:
        loaded: Mapping[str, str] = made.load(given)
    except ValidationError as error:
        first = next(refusals(error.messages, "", made))
        told, remedy = (first[one].replace("_", " ") for one in ("detail", "remedy"))
        raise InvalidError(told, field=first["pointer"].strip("/"), remedy=remedy) from None
    return loaded


def _again(kind: str, token: str, error: EngineError) -> Response:
    """Show the form once more, or that its link is of no use any more."""
    db().rollback()
    if error.field == "token":
        return _dead()
    try:
        shown = _form(kind, token, error)
    except InvalidError:
        return _dead()
    if error.retry_after is not None:
        shown.headers["Retry-After"] = str(error.retry_after)
    return shown


def _form(kind: str, token: str, error: EngineError | None = None) -> Response:
    if not 0 < len(token) <= MAX_TEXT:
        return _dead()
    words = DOORS[kind].asks(token) | {"kind": kind, "token": token}
    if error is not None:
        words |= {"error": str(error), "remedy": error.remedy or error.usual}
    return page("account", words, status=200 if error is None else error.status)


def _dead() -> Response:
    """Return the one answer to every link that is not good, whatever the reason."""
    return page("account_dead", status=404)
