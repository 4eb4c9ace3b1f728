"""FCM: Google's token endpoint, `messages:send`, and the acknowledgements of the client's own app.

FCM itself reports nothing after a send; the app on the device does, signed with a
key the engine gave it.
"""

import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jwt

from channels.simulators.client import Post
from channels.simulators.config import PROJECT
from channels.simulators.fault import struck
from channels.simulators.log import Accept
from channels.simulators.outbox import Door, Item, Owed, owe
from channels.simulators.provider import World
from channels.simulators.server import Answer, Request
from channels.simulators.table import Fault

NAME = DOOR = "fcm"
TOKEN_PATH = "/token"  # noqa: S105  (a path, no secret)
PATH = re.compile(r"/v1/projects/([^/]+)/messages:send").fullmatch
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
TOKEN_SECONDS = 3599
LEEWAY = 60
MAX_PAYLOAD = 4096
ACKS_PER_POST = 100
UNAUTHENTICATED = "Request had invalid authentication credentials."
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
JSON = {"Content-Type": "application/json; charset=UTF-8"}
STATUS_WORDS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


class Fcm:
    """One project."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.doors = {DOOR: Door(self._build, ACKS_PER_POST, lie=_lie)}

    def token(self, request: Request) -> Answer:
        """Give an access token for an assertion that the service account signed."""
        form = request.form()
        keys = self._world.keys
        try:
            claims = jwt.decode(
                form.get("assertion", ""),
                keys.fcm_key.public_key(),
                algorithms=["RS256"],
                audience=f"http://{request.headers.get('host', '')}{TOKEN_PATH}",
                issuer=keys.client_email,
                options={
                    "require": ["iat", "exp", "aud", "iss"],
                    "verify_iat": False,
                    "verify_exp": False,
                },
            )
        except jwt.PyJWTError as wrong:
            return _oauth_error("invalid_grant", f"Invalid JWT: {wrong}")
        # By the simulation's clock, which need not be the machine's.
        if not claims["iat"] - LEEWAY <= self._world.now() < claims["exp"] + LEEWAY:
            return _oauth_error("invalid_grant", "Invalid JWT: it is not valid now")
        if form.get("grant_type") != GRANT or SCOPE not in str(claims.get("scope")).split():
            return _oauth_error("invalid_scope", "Invalid OAuth scope or ID token audience")
        expires = int(self._world.now()) + TOKEN_SECONDS
        document = {
            "access_token": self._access_token(expires),
            "expires_in": TOKEN_SECONDS,
            "token_type": "Bearer",
        }
        return Answer(200, json.dumps(document).encode(), JSON)

    def answer(self, request: Request) -> Answer:
        """Take one message to one device."""
        path = PATH(request.path)
        if not self._is_known(request.headers.get("authorization", "")):
            return error(401, UNAUTHENTICATED)
        if path is None or path[1] != PROJECT or request.method != "POST":
            return error(404, "Requested entity was not found.")
        message = _message(request.body)
        wrong = _offence(message)
        if message is None or wrong:
            return error(400, wrong, kind=BAD_REQUEST)
        ref = message.get("data", {}).get("ex_ref")
        key = ref or message["token"]
        if self._world.script.unregistered(key):
            return error(404, "Requested entity was not found.", "UNREGISTERED")
        fault = self._world.script.fault(NAME, key)
        return struck(fault, lambda: self._accept(ref, message["token"], fault), _refuse)

    def owed(self, accept: Accept) -> list[Owed]:
        """Return what the app acknowledges; without our reference it would not know what."""
        found: list[Owed] = []
        for act in self._world.script.push(accept.key) if accept.ref else ():
            # The app knows a time of day to the second, like most.
            at = int(accept.at) + (act == "opened")
            item = {"ref": accept.ref, "event": act, "at": at}
            found += owe(self._world.script, f"{accept.provider_id}.{act}", DOOR, item)
        return found

    def _accept(self, ref: str | None, token: str, fault: Fault) -> Answer:
        serial = self._world.script.name(NAME, self._world.serial())[:16]
        name = f"projects/{PROJECT}/messages/0:{serial}"
        self._world.take([Accept(NAME, ref, token, self._world.now(), name)], fault)
        return Answer(200, json.dumps({"name": name}).encode(), JSON)

    def _access_token(self, expires: int) -> str:
        """Return a token that proves itself, so that it outlives this process as Google's do."""
        key = self._world.keys.ack_key.encode()
        return f"ya29.{expires}.{hmac.digest(key, b'access %d' % expires, 'sha256').hex()}"

    def _is_known(self, authorization: str) -> bool:
        token = authorization.removeprefix("Bearer ")
        expires = token.split(".")[1] if token.count(".") == 2 else ""
        if not expires.isdecimal() or int(expires) < self._world.now():
            return False
        return hmac.compare_digest(token.encode(), self._access_token(int(expires)).encode())

    def _build(self, items: Sequence[Item]) -> Post | None:
        url = self._world.hooks.url(NAME)
        place = self._world.hooks.reach(url) if url else None
        if url is None or place is None:
            return None
        body = json.dumps({"events": list(items)}, separators=(",", ":")).encode()
        made = hmac.digest(self._world.keys.ack_key.encode(), body, "sha256").hex()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Elevate/4.2 (Android 15)",
            "X-EchelonX-Signature": made,
        }
        return Post(place, url.split("/")[2], body, headers)


def error(
    status: int,
    message: str,
    code: str = "",
    *,
    kind: str = FCM_ERROR,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return Google's error document; with an FcmError when there is a `code`."""
    body: dict[str, Any] = {"code": status, "message": message, "status": STATUS_WORDS[status]}
    if code:
        body["details"] = [{"@type": kind, "errorCode": code}]
    elif kind == BAD_REQUEST:
        body["details"] = [{"@type": kind, "fieldViolations": [{"description": message}]}]
    return Answer(status, json.dumps({"error": body}).encode(), {**JSON, **(headers or {})})


def _lie(item: Item) -> Item:
    """Return an open nobody made."""
    return {**item, "event": "opened", "at": item["at"] + 7}


def _refuse(fault: Fault) -> Answer:
    match fault.kind:
        case "429":
            return error(429, "Quota exceeded.", "QUOTA_EXCEEDED")
        case "400":
            return error(400, "Invalid value at 'message'", kind=BAD_REQUEST)
        case "401":
            return error(401, UNAUTHENTICATED)
        case "503":
            return error(503, "The service is currently unavailable.", "UNAVAILABLE")
        case _:
            return error(500, "Internal error encountered.", "INTERNAL")


def _oauth_error(word: str, description: str) -> Answer:
    document = {"error": word, "error_description": description}
    return Answer(400, json.dumps(document).encode(), JSON)


def _message(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    message = document.get("message") if isinstance(document, dict) else None
    return message if isinstance(message, dict) else None


def _offence(message: Mapping[str, Any] | None) -> str:
    """Return what is wrong with a message; '' when nothing is."""
    if message is None:
        return "Invalid JSON payload received."
    if not isinstance(message.get("token"), str) or not message["token"]:
        return "Exactly one of token, topic or condition is required"
    data = message.get("data", {})
    if not isinstance(data, dict) or not all(isinstance(v, str) for v in data.values()):
        return "Invalid value at 'message.data' (TYPE_STRING)"
    size = len(json.dumps([message.get("notification", {}), data]).encode())
    return "Android message is too big" if size > MAX_PAYLOAD else ""
