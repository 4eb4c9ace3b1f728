"""/me/proof: a person proves again who they are, before what cannot be taken back.

An operation marked `fresh` is refused to a session whose person last did so more than ten minutes
ago (code `stale_session`): a screen left alone, or a stolen cookie, is not enough for it. Signing
in is a proof, too: with an identity provider, when its ID token says by `auth_time` that they did
so there just now, and not that it knew them still. An API key has nothing else to prove, and may
what its scopes say.
"""

from typing import Any

from flask.wrappers import Response

from accounts.identity import identified
from accounts.session import freshen, is_fresh
from api.attempts import prove_again
from api.context import audit, clock, db, principal
from api.me import me
from api.oidc import (
    BeginSchema,
    BegunSchema,
    BroughtBackSchema,
    begun,
    brought_back,
    forget_binding,
)
from api.openapi import Resource
from api.sign_in import tell_of
from api.two_factor import BothSchema, prove_code
from core.errors import ForbiddenError, InvalidError

bp = Resource("proof", noun="user", about="A person proves again who they are", room="me")


@bp.post("/me/proof")
@bp.arguments(BothSchema)
@bp.response(204)
def prove(data: dict[str, Any]) -> None:
    """Prove again who you are, by your password or a code: good for ten minutes."""
    if data["code"]:
        prove_code(data["code"])
    elif data["password"]:
        prove_again(data["password"])
    else:
        raise InvalidError(
            "nothing proves who you are",
            field="password",
            remedy="give your password, or as code one of your authenticator app",
        )
    freshen(db(), session_id=_here(), at=clock().now())
    audit(f"user:{me().id}")


@bp.post("/me/proof/oidc")
@bp.arguments(BeginSchema)
@bp.response(200, BegunSchema)
def begin_proof(data: dict[str, Any]) -> Response | dict[str, Any]:
    """Begin to prove who you are with the identity provider, where you sign in anew."""
    return begun(by_cookie=data["cookie"], session_id=_here())


@bp.post("/me/proof/oidc/callback")
@bp.told_as("user.prove")
@bp.arguments(BroughtBackSchema)
@bp.response(204)
def finish_proof(data: dict[str, Any]) -> Response:
    """Prove who you are with what the identity provider sent back to this session, once."""
    who = brought_back(data, session_id=_here())
    account, linked = identified(db(), clock(), who)
    if account.user_id != me().id:
        raise ForbiddenError(
            "the identity provider says that this is somebody else",
            remedy="sign out there, and start again as yourself with POST /me/proof/oidc",
        )
    if who.at is None or not is_fresh(who.at, clock().now()):
        raise ForbiddenError(
            "the identity provider does not say that you signed in there just now",
            remedy="prove it by your password or a code at POST /me/proof, or sign in again "
            "by POST /sign-in/link; an operator can let the provider send auth_time",
        )
    if linked:
        tell_of("user.link", me().id)
    freshen(db(), session_id=_here(), at=who.at)
    audit(f"user:{me().id}")
    response = Response(status=204)
    if data["cookie"]:
        forget_binding(response)
    return response


def _here() -> int:
    """Return the caller's session; keys, which have none, may not `me:write`."""
    return principal().session_id or 0
