"""Issuer: who signs people in for us by OpenID Connect, and the proof that a word is its own.

The operator chose it, so its word about people is believed; what comes through a browser is not.
Only its published keys prove an ID token, by RS256 or ES256: a token does not choose how it is
checked. Nothing here is kept in the database, and no transaction may be open while it is asked.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import jwt

from core.clock import Clock
from core.errors import UnauthenticatedError, UnavailableError
from core.http import Egress
from core.log import get
from core.secret import Secret

log = get(__name__)
SCOPE = "openid email"
KEYS = {"RS256": ("RSA", None), "ES256": ("EC", "P-256")}
"""What may prove an ID token, with the kind and the curve of its key."""
ANEW = {"max_age": "0", "prompt": "login"}
"""Asks for a sign-in there and then, and when it was (Core 3.1.2.1): some heed one of the two."""
KEPT = timedelta(minutes=10)
"""How long the issuer's addresses and keys are kept. A key not among them is asked for at once."""
LEEWAY = 60
"""Seconds that the issuer's clock may differ from ours."""
MAX_SUBJECT = 255
REQUIRED = ["iss", "sub", "aud", "exp", "iat", "nonce"]
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


class IssuerError(UnavailableError):
    """The identity provider does not answer as it should."""

    code = "issuer"


@dataclass(frozen=True, slots=True)
class Registration:
    """What the operator and the issuer agreed on."""

    url: str
    client_id: str
    client_secret: Secret
    name: str
    """What people call it."""


@dataclass(frozen=True, slots=True)
class Proven:
    """Who somebody is, by the issuer's word."""

    issuer: str
    subject: str
    email: str
    at: datetime | None
    """When they last proved it there; None where the issuer does not say."""


class Issuer:
    """The issuer of one registration; safe to share between threads."""

    def __init__(self, registration: Registration, egress: Egress, clock: Clock) -> None:
        self.name = registration.name
        self._told = registration
        self._egress = egress
        self._clock = clock
        self._kept: dict[str, tuple[datetime, dict[str, Any]]] = {}

    def authorization_url(
        self, *, redirect_uri: str, state: str, nonce: str, verifier: str, anew: bool = False
    ) -> str:
        """Return where a browser goes to sign in: `anew`, even if it is signed in there already.

        Raises IssuerError.
        """
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        query = {
            "response_type": "code",
            "client_id": self._told.client_id,
            "redirect_uri": redirect_uri,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge.rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        query |= ANEW if anew else {}
        endpoint: str = self._discovered()["authorization_endpoint"]
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    def proven(self, *, code: str, redirect_uri: str, nonce: str, verifier: str) -> Proven:
        """Exchange a code for who it was given to. Raises IssuerError, UnauthenticatedError."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        claims = self._claims(self._id_token(form))
        self._check(claims, nonce)
        return Proven(self._told.url, claims["sub"], claims["email"], self._at(claims))

    def _id_token(self, form: dict[str, str]) -> str:
        known = self._discovered()
        client, secret = self._told.client_id, self._told.client_secret.reveal()
        headers = dict(FORM)
        if "client_secret_basic" in known.get(
            "token_endpoint_auth_methods_supported", ["client_secret_basic"]
        ):
            pair = f"{quote_plus(client)}:{quote_plus(secret)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        else:
            form |= {"client_id": client, "client_secret": secret}
        reply = self._egress.request(
            "POST", known["token_endpoint"], headers=headers, body=urlencode(form).encode()
        )
        told = _object(reply.body) if reply.status in (200, 400) else None
        if told is not None and told.get("error") == "invalid_grant":
            raise refused("the code is not good")
        token = told.get("id_token") if told is not None and reply.status == 200 else None
        if not isinstance(token, str):
            raise _wrong("token endpoint", reply.status, reply.error)
        return token

    def _claims(self, token: str) -> dict[str, Any]:
        """Return what a token says, once its signature, issuer and audience are proven."""
        try:
            header = jwt.get_unverified_header(token)
            told: dict[str, Any] = jwt.decode(
                token,
                self._key(header),
                algorithms=list(KEYS),
                audience=self._told.client_id,
                issuer=self._told.url,
                # Times are checked by our own clock, below.
                options={
                    "require": REQUIRED,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.PyJWTError as error:
            raise refused(f"the ID token is not good ({type(error).__name__})") from None
        return told

    def _check(self, claims: dict[str, Any], nonce: str) -> None:
        """Raise UnauthenticatedError unless a token is for us, for now and for this sign-in."""
        now = self._clock.now().timestamp()
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        party = claims.get("azp", None if several else self._told.client_id)
        subject, email = claims["sub"], claims.get("email")
        reasons = {
            "it is for another party": party == self._told.client_id,
            "it has expired": now < _number(claims["exp"]) + LEEWAY,
            "it is of a later time": _number(claims["iat"]) <= now + LEEWAY,
            "it is not in force yet": _number(claims.get("nbf", 0)) <= now + LEEWAY,
            "its sign-in is of a later time": not _number(claims.get("auth_time")) > now + LEEWAY,
            "it belongs to another sign-in": hmac.compare_digest(
                f"{claims['nonce']}".encode(), nonce.encode()
            ),
            "it names nobody": isinstance(subject, str) and 0 < len(subject) <= MAX_SUBJECT,
            "its address is not verified": isinstance(email, str)
            and claims.get("email_verified") is True,
        }
        for reason, good in reasons.items():
            if not good:
                raise refused(f"the ID token is not good: {reason}")

    def _at(self, claims: dict[str, Any]) -> datetime | None:
        """Return when somebody authenticated there; a clock ahead of ours makes it no later."""
        told = _number(claims.get("auth_time"))
        now = self._clock.now()
        return datetime.fromtimestamp(min(told, now.timestamp()), UTC) if told >= 0 else None

    def _key(self, header: dict[str, Any]) -> jwt.PyJWK:
        """Return the published key a token names; keys that are new are asked for once."""
        algorithm = str(header.get("alg"))
        if algorithm in KEYS:
            for age in (KEPT, timedelta(0)):
                keys = self._fetched(self._discovered()["jwks_uri"], age).get("keys")
                for key in keys if isinstance(keys, list) else ():
                    if _fits(key, header.get("kid"), algorithm):
                        return jwt.PyJWK(key, algorithm)
        raise refused("the ID token is not good: no key of the issuer fits")

    def _discovered(self) -> dict[str, Any]:
        """Return the issuer's own description (OpenID Connect Discovery 1.0)."""
        base = self._told.url
        found = self._fetched(f"{base.rstrip('/')}/.well-known/openid-configuration", KEPT)
        schemes = ("https", "http") if base.startswith("http:") else ("https",)
        if found.get("issuer") != base:
            raise _wrong("discovery: another issuer", None, None)
        if any(urlsplit(f"{found.get(each)}").scheme not in schemes for each in ENDPOINTS):
            raise _wrong("discovery: an endpoint", None, None)
        return found

    def _fetched(self, url: str, age: timedelta) -> dict[str, Any]:
        """Return a document of the issuer that is not older than `age`."""
        at, document = self._kept.get(url, (None, None))
        if at is not None and document is not None and self._clock.now() - at < age:
            return document
        reply = self._egress.request("GET", url, headers={"Accept": "application/json"})
        fresh = _object(reply.body) if reply.status == 200 else None
        if fresh is None:
            raise _wrong("a document", reply.status, reply.error)
        self._kept[url] = (self._clock.now(), fresh)
        return fresh


def refused(reason: str) -> UnauthenticatedError:
    """Return the answer to a sign-in that proves nothing."""
    log.warning("oidc refused", reason=reason)
    return UnauthenticatedError(reason, field="code", remedy="start again with POST /sign-in/oidc")


def _fits(key: Any, kid: object, algorithm: str) -> bool:
    if not isinstance(key, dict):
        return False
    kind, curve = KEYS[algorithm]
    return (
        (key.get("kid"), key.get("kty"), key.get("crv")) == (kid, kind, curve)
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
    )


def _number(claim: object) -> float:
    """Return a time in seconds; what is none compares with nothing."""
    known = isinstance(claim, int | float) and not isinstance(claim, bool)
    return float(claim) if known else float("nan")  # type: ignore[arg-type]


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _wrong(what: str, status: int | None, why: str | None) -> IssuerError:
    log.warning("oidc issuer unusable", what=what, status=status, why=why)
    return IssuerError(
        "the identity provider does not answer as it should",
        remedy="try again; if it stays so, sign in with a password and tell an operator",
    )
