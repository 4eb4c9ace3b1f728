"""/password-resets and /email-verifications: what a link in a letter is for."""

from typing import Any

from marshmallow import Schema, fields, validate

from accounts import password as passwords
from accounts import recovery
from accounts.one_time import MAX_TEXT
from api.attempts import may_mail
from api.context import clock, db, services
from api.letters import write_letter
from api.openapi import OPEN, Resource
from api.sign_in import Email, Password, tell_of
from core.db import read

bp = Resource(
    "recovery", noun="user", about="A new password, and proof of an address, by a link", room="me"
)


class AskSchema(Schema):
    """Whose password is to be set anew."""

    email = Email


class LinkTextSchema(Schema):
    """The text of a link."""

    token = fields.String(required=True, validate=validate.Length(min=1, max=MAX_TEXT))


class ResetSchema(LinkTextSchema):
    """A new password, by a link."""

    password = Password


@bp.post("/password-resets")
@bp.action(OPEN)
@bp.arguments(AskSchema)
@bp.response(202)
def ask(data: dict[str, Any]) -> dict[str, Any]:
    """Send a link for a new password. The answer is the same whether there is such an account."""
    if services().mailer.works and may_mail(data["email"]):
        found = recovery.ask_reset(db(), clock(), email=data["email"])
        if found is not None:
            write_letter("reset", to=found[0], token=found[1])
    return {}


@bp.post("/password-resets/confirm")
@bp.action(OPEN)
@bp.arguments(ResetSchema)
@bp.response(204)
def reset(data: dict[str, Any]) -> None:
    """Set a password by a link. Every session and key of the account ends; two-factor stays on."""
    reset_password(data["token"], data["password"])


def reset_password(token: str, password: str) -> None:
    """Set a password by a link's text. Raises InvalidError."""
    with read(services().sessions) as session:
        email = recovery.email_of_reset(session, clock(), text=token)
    made = passwords.hashed(password, email=email)
    tell_of("user.reset", recovery.reset(db(), clock(), text=token, password_hash=made))


@bp.post("/email-verifications")
@bp.action(OPEN)
@bp.arguments(LinkTextSchema)
@bp.response(204)
def verify(data: dict[str, Any]) -> None:
    """Note that an address is somebody's own, by a link."""
    recovery.verify(db(), clock(), text=data["token"])
