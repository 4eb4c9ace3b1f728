"""/sign-in/link: into an account by a link in a letter, and by the second factor where it is on."""

from typing import Any, NamedTuple

from flask.wrappers import Response
from marshmallow import fields

from accounts.session import UserSession
from accounts.sign_in import signed_in
from accounts.sign_in_link import account_of_link, ask_sign_in, use_link
from api.attempts import may_mail
from api.auth import refuse_other_origins
from api.context import clock, db, services
from api.letters import require_mail, write_letter
from api.openapi import OPEN, Resource
from api.recovery import AskSchema, LinkTextSchema
from api.sign_in import Code, SignedInSchema, handed_over, here, second_factor, tell_of
from core.db import read

bp = Resource("sign-in-link", about="Into an account by a link in a letter", room="me")


class LinkSchema(LinkTextSchema):
    """A link's text, and a code where the account has a second factor."""

    code = Code


class EnterSchema(LinkSchema):
    """The same, and how the session shall be handed over."""

    cookie = fields.Boolean(
        load_default=False,
        metadata={"description": "true for pages: the session travels in a cookie only"},
    )


class Entered(NamedTuple):
    """A session that a link opened, and its text."""

    made: UserSession
    text: str


@bp.post("/sign-in/link")
@bp.action(OPEN)
@bp.arguments(AskSchema)
@bp.response(202)
def ask(data: dict[str, Any]) -> dict[str, Any]:
    """Send a link to sign in by. The answer is the same whether there is such an account."""
    require_mail()
    if may_mail(data["email"]):
        found = ask_sign_in(db(), clock(), email=data["email"])
        if found is not None:
            write_letter("sign-in", to=found[0], token=found[1])
    return {}


@bp.post("/sign-in/link/confirm")
@bp.action(OPEN)
@bp.arguments(EnterSchema)
@bp.response(200, SignedInSchema)
def confirm(data: dict[str, Any]) -> Response | dict[str, Any]:
    """Sign in by a link, once, with a code where `two_factor_required` (401) asks for it."""
    return handed_over(*enter(data["token"], data["code"]), by_cookie=data["cookie"])


def enter(token: str, code: str | None) -> Entered:
    """Open a session by a link's text.

    Raises InvalidError for a link that is not good, UnauthenticatedError for the second factor.
    """
    refuse_other_origins()
    with read(services().sessions) as session:
        account = account_of_link(session, clock(), text=token)
    if account.two_factor:
        second_factor(account, code)
    use_link(db(), clock(), text=token)
    made, text = signed_in(db(), clock(), account, here(), proven_at=clock().now())
    tell_of("user.sign_in", made.user_id)
    return Entered(made, text)
