"""/me/proof: a person proves again who they are, before what cannot be taken back.

An operation marked `fresh` is refused to a session whose person last did so more than ten minutes
ago (code `stale_session`): a screen left alone, or a stolen cookie, is not enough for it. Signing
in is a proof, too. An API key has nothing else to prove, and may what its scopes say.
"""

from typing import Any

from accounts.session import freshen
from api.attempts import prove_again
from api.context import audit, clock, db, principal
from api.me import me
from api.openapi import Resource
from api.two_factor import BothSchema, prove_code
from core.errors import InvalidError

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
    freshen(db(), clock(), session_id=principal().session_id or 0)
    audit(f"user:{me().id}")
