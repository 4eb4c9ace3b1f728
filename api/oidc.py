"""/sign-in/oidc: from an identity provider's word to a session.

Two steps, both POST: a GET changes nothing. The first makes two texts: the state, which travels
through the provider, and the binding, which stays with the caller. The second takes both, once.
"""

from typing import Any

from flask import jsonify, request
from flask.wrappers import Response
from marshmallow import Schema, fields, validate

from accounts.identity import identified, identities, unlink
from accounts.issuer import Issuer, Proven
from accounts.one_time import MAX_TEXT
from accounts.sign_in import signed_in
from accounts.sign_in_state import LIVES, begin, come_back
from api.auth import cookie_name, refuse_other_origins
from api.context import audit, clock, db, principal, release, services
from api.hardening import is_secure
from api.me import me
from api.openapi import OPEN, Resource
from api.paging import all_of
from api.schemas.field import Instant
from api.schemas.page import page_of
from api.sign_in import SignedInSchema, handed_over, here, tell_of
from core.errors import NotFoundError

bp = Resource("oidc", noun="user", about="Signing in with an identity provider", room="me")
PAGE = "/account/oidc"
MAX_CODE = 4096


class BeginSchema(Schema):
    """Where what stays with the caller shall be kept."""

    cookie = fields.Boolean(
        load_default=False,
        metadata={"description": "true for pages: the binding travels in a cookie only"},
    )


class BegunSchema(Schema):
    """A sign-in on its way, good for ten minutes."""

    name = fields.String(required=True, metadata={"description": "of the identity provider"})
    authorization_url = fields.String(
        required=True, metadata={"description": "where the person's browser goes"}
    )
    binding = fields.String(
        metadata={"description": "without a cookie: keep it, and send it with state and code"}
    )


class BroughtBackSchema(Schema):
    """What the provider sent back."""

    state = fields.String(required=True, validate=validate.Length(max=MAX_TEXT))
    code = fields.String(required=True, validate=validate.Length(min=1, max=MAX_CODE))
    binding = fields.String(
        load_default=None,
        validate=validate.Length(max=MAX_TEXT),
        metadata={"description": "without a cookie: what the first step answered"},
    )
    cookie = fields.Boolean(
        load_default=False,
        metadata={"description": "true for pages: what stays with them is in a cookie only"},
    )


class IdentitySchema(Schema):
    """Who the caller is at an identity provider."""

    id = fields.Integer(required=True)
    issuer = fields.String(required=True)
    created_at = Instant(required=True)


@bp.post("/sign-in/oidc")
@bp.action(OPEN)
@bp.arguments(BeginSchema)
@bp.response(200, BegunSchema)
def begin_oidc(data: dict[str, Any]) -> Response | dict[str, Any]:
    """Begin to sign in with the identity provider: where to go, for ten minutes."""
    refuse_other_origins()
    return begun(by_cookie=data["cookie"])


@bp.post("/sign-in/oidc/callback")
@bp.action(OPEN)
@bp.arguments(BroughtBackSchema)
@bp.response(200, SignedInSchema)
def finish_oidc(data: dict[str, Any]) -> Response | dict[str, Any]:
    """Sign in with what the identity provider sent back, once."""
    refuse_other_origins()
    who = brought_back(data)
    account, linked = identified(db(), clock(), who)
    made, text = signed_in(db(), clock(), account, here(), proven_at=who.at)
    if linked:
        tell_of("user.link", made.user_id)
    tell_of("user.sign_in", made.user_id)
    answer = handed_over(made, text, by_cookie=data["cookie"])
    if isinstance(answer, Response):
        forget_binding(answer)
    return answer


@bp.get("/me/identities")
@bp.response(200, page_of(IdentitySchema))
def list_identities() -> dict[str, Any]:
    """List at which identity providers the caller signs in."""
    return all_of(identities(db(), principal().user_id or 0))


@bp.delete("/me/identities/<int(min=1,max=9223372036854775807):identity_id>")
@bp.response(204)
@bp.fresh
def unlink_identity(identity_id: int) -> None:
    """Unlink the caller from an identity provider; the only way in stays."""
    unlink(db(), me(), identity_id)
    audit(f"user:{me().id}")


def begun(*, by_cookie: bool, session_id: int | None = None) -> Response | dict[str, Any]:
    """Return the answer that sends somebody to the provider: for a proof, to sign in anew.

    Raises NotFoundError, IssuerError.
    """
    issuer = _issuer()
    passage = begin(db(), clock(), session_id=session_id)
    release()
    body = {
        "name": issuer.name,
        "authorization_url": issuer.authorization_url(
            redirect_uri=redirect_uri(),
            state=passage.state,
            nonce=passage.nonce,
            verifier=passage.verifier,
            anew=session_id is not None,
        ),
    }
    if not by_cookie:
        return {**body, "binding": passage.binding}
    response = jsonify(body)
    _set_cookie(response, passage.binding)
    return response


def brought_back(data: dict[str, Any], *, session_id: int | None = None) -> Proven:
    """Return who came back, by a body of BroughtBackSchema, once.

    Raises NotFoundError, IssuerError, UnauthenticatedError.
    """
    issuer = _issuer()
    kept = request.cookies.get(_cookie_name()) if data["cookie"] else data["binding"]
    passage = come_back(
        db(), clock(), state=data["state"], binding=kept or "", session_id=session_id
    )
    release()
    return issuer.proven(
        code=data["code"],
        redirect_uri=redirect_uri(),
        nonce=passage.nonce,
        verifier=passage.verifier,
    )


def forget_binding(response: Response) -> None:
    """Take the binding from a browser that came back."""
    _set_cookie(response, "")


def redirect_uri() -> str:
    """Return where the provider sends browsers back to, on the address that is configured."""
    return f"{services().settings.public_url}{PAGE}"


def _issuer() -> Issuer:
    found = services().issuer
    if found is None:
        raise NotFoundError(
            "there is no identity provider here",
            remedy="sign in with a password, or have an operator set ECHELONX_OIDC_ISSUER",
        )
    return found


def _cookie_name() -> str:
    return f"{cookie_name()}-oidc"


def _set_cookie(response: Response, binding: str) -> None:
    response.set_cookie(
        _cookie_name(),
        binding,
        max_age=int(LIVES.total_seconds()) if binding else 0,
        secure=is_secure(),
        httponly=True,
        samesite="Lax",
    )
