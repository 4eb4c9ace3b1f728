"""FCM: push over Google's HTTP v1 API. Wire facts: docs/providers/fcm.md.

FCM tells nothing after accepting a message. What a device did comes from the client's own app, as
signed acknowledgements: POST `{"events": [{"ref": …, "event": "delivered"|"opened", "at": unix}]}`
with `X-EchelonX-Signature`, the hex HMAC-SHA256 of the body under `ack_key`.
"""

import hmac
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Lock
from typing import Any, ClassVar, Self
from urllib.parse import urlencode

import jwt

from channels.adapter import (
    EventType,
    HttpReply,
    MalformedWebhookError,
    OutgoingMessage,
    Ports,
    ProviderEvent,
    RawWebhook,
)
from channels.channel import Channel
from channels.lanes import Halt, Lanes, Result
from channels.outcome import Accepted, Ambiguous, NotSent, Outcome, Rejected
from channels.payload import fingerprint, from_unix, load_json, text_of
from channels.reply import outcome_of, retry_after
from channels.settings import ConfigError, checked_url, read_config

EVENTS = {
    # the app's word: ours
    "delivered": EventType.DELIVERED,
    "opened": EventType.OPENED,
    "clicked": EventType.CLICKED,
}
DEAD_TOKEN = frozenset({"UNREGISTERED", "SENDER_ID_MISMATCH", "INVALID_ARGUMENT"})
"""INVALID_ARGUMENT only inside an FcmError: without one it is our payload that is wrong."""
QUOTA = frozenset({"QUOTA_EXCEEDED"})
QUOTA_SECONDS = 60.0
"""What Google asks to wait at least when it names no time."""
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PAYLOAD_BYTES = 4096
EXPIRED = NotSent("deadline passed")


@dataclass(frozen=True, slots=True)
class Config:
    """What an FCM account needs: three fields of the service account's JSON, and a key of ours."""

    project_id: str
    client_email: str
    private_key: str
    """PEM, RSA."""
    ack_key: str | None = None
    """What the client's app signs acknowledgements with; without it none is believed."""
    base_url: str = "https://fcm.googleapis.com"
    token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105  (an address, no secret)


class Fcm:
    """Sends through one project and reads its app's acknowledgements."""

    name: ClassVar[str] = "fcm"
    channel: ClassVar[Channel] = Channel.PUSH
    window: ClassVar[int] = 100

    def __init__(self, config: Config, ports: Ports) -> None:
        self._config = config
        self._ports = ports
        self._url = f"{config.base_url}/v1/projects/{config.project_id}/messages:send"
        self._access = Access(config, ports)
        self._lanes = Lanes(16, "fcm")

    @classmethod
    def from_config(cls, config: Mapping[str, Any], ports: Ports) -> Self:
        """Build for one account. Raises ConfigError naming the field."""
        read = read_config(Config, config)
        if "PRIVATE KEY-----" not in read.private_key:
            raise ConfigError(
                "private_key is no PEM key",
                field="private_key",
                remedy="copy private_key from the service account's JSON file",
            )
        base_url = checked_url(read.base_url, "base_url")
        token_url = checked_url(read.token_url, "token_url")
        return cls(replace(read, base_url=base_url, token_url=token_url), ports)

    def send(
        self, messages: Sequence[OutgoingMessage], expired: Callable[[], bool]
    ) -> Iterator[Result]:
        """Send each message in a request of its own, some at a time."""
        halt = Halt(expired)

        def carry(taken: Iterator[OutgoingMessage]) -> Iterator[Result]:
            for message in taken:
                yield message.reference, halt.note(self._deliver(message, halt))

        return self._lanes.run(messages, carry)

    def close(self) -> None:
        """End the threads; connections belong to the egress client."""
        self._lanes.close()

    def verify(self, webhook: RawWebhook) -> bool:
        """Check the app's HMAC over the raw body."""
        if not self._config.ack_key:
            return False
        given = webhook.headers.get("x-echelonx-signature", "").strip().lower()
        made = hmac.new(self._config.ack_key.encode(), webhook.body, "sha256").hexdigest()
        return hmac.compare_digest(made.encode(), given.encode(errors="replace"))

    def parse(self, webhook: RawWebhook) -> list[ProviderEvent]:
        """Translate acknowledgements; one that cannot be read does not spoil the others."""
        document = load_json(webhook.body)
        rows = document.get("events") if isinstance(document, dict) else None
        if not isinstance(rows, list):
            raise MalformedWebhookError("an acknowledgement is {“events”: […]}")
        return [receipt(row) for row in rows]

    def _deliver(self, message: OutgoingMessage, expired: Callable[[], bool]) -> Outcome:
        """Send one message; with a new access token if Google refuses the old one."""
        body = payload(message)
        if body is None:
            return Rejected("payload_too_large", "a push holds at most 4,096 bytes")
        found: Outcome = EXPIRED
        for _ in range(2):
            token = self._access.token()
            if not isinstance(token, str):
                return token
            if expired():
                return EXPIRED
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            reply = self._ports.http.request("POST", self._url, headers=headers, body=body)
            found = outcome(reply, self._ports)
            if reply.status != 401 or _error(reply)[0]:
                break
            self._access.forget(token)
        return found


class Access:
    """The OAuth access token of a service account, shared by all threads until it runs out."""

    MARGIN = timedelta(minutes=5)

    def __init__(self, config: Config, ports: Ports) -> None:
        self._config = config
        self._ports = ports
        self._lock = Lock()
        self._token: str | None = None
        self._until = ports.clock.now()

    def token(self) -> str | NotSent | Rejected:
        """Return a token, or why there is none: no message has left then."""
        with self._lock:
            if self._token is None or self._ports.clock.now() >= self._until:
                failed = self._fetch()
                if failed is not None:
                    return failed
            return self._token or NotSent("no access token")

    def forget(self, token: str) -> None:
        """Fetch a new one next time, unless another thread did."""
        with self._lock:
            if self._token == token:
                self._token = None

    def _fetch(self) -> NotSent | Rejected | None:
        now = self._ports.clock.now()
        claims = {
            "iss": self._config.client_email,
            "scope": SCOPE,
            "aud": self._config.token_url,
            "iat": int(now.timestamp()),
            "exp": int(now.timestamp()) + 3600,
        }
        try:
            assertion = jwt.encode(claims, self._config.private_key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            return Rejected("private_key", "the private key cannot be used", account_fault=True)
        form = urlencode({"grant_type": GRANT, "assertion": assertion}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        reply = self._ports.http.request("POST", self._config.token_url, headers=headers, body=form)
        if reply.status in (400, 401, 403):
            return Rejected(
                str(reply.status), "Google refuses the service account", account_fault=True
            )
        return self._keep(reply)

    def _keep(self, reply: HttpReply) -> NotSent | None:
        document = _document(reply) if reply.status == 200 else {}
        token, seconds = document.get("access_token"), document.get("expires_in")
        if not isinstance(token, str) or not token:
            wait = retry_after(reply, self._ports.clock.now())
            return NotSent(f"no access token: {reply.error or reply.status}", wait)
        lifetime = seconds if isinstance(seconds, int) and 0 < seconds < 86_400 else 3600
        self._token = token
        self._until = self._ports.clock.now() + max(
            timedelta(seconds=lifetime) - self.MARGIN, timedelta(seconds=lifetime / 2)
        )
        return None


def payload(message: OutgoingMessage) -> bytes | None:
    """Return the request's body; None when it is larger than FCM takes."""
    texts = message.skeleton.fill(message.values)
    collapse = (message.collapse_key or message.reference)[:64]
    notification = {name: texts[name] for name in ("title", "body") if name in texts}
    data = {"ex_ref": message.reference}
    if len(json.dumps([notification, data]).encode()) > PAYLOAD_BYTES:
        return None
    document = {
        "message": {
            "token": message.to,
            "notification": notification,
            "data": data,
            "android": {"collapse_key": collapse, "notification": {"tag": collapse}},
            "apns": {"headers": {"apns-collapse-id": collapse}},
            "webpush": {"notification": {"tag": collapse}},
        }
    }
    return json.dumps(document, separators=(",", ":")).encode()


def outcome(reply: HttpReply, ports: Ports) -> Outcome:
    """Classify by status, then by errorCode, which says more (docs/providers/fcm.md)."""
    now = ports.clock.now()
    code, said = _error(reply)
    found = outcome_of(reply, now, reason=said)
    match found:
        case Accepted():
            name = _document(reply).get("name")
            return replace(found, provider_id=name[-128:] if isinstance(name, str) else None)
        case NotSent() if code in QUOTA or reply.status == 429:
            return replace(found, retry_after=found.retry_after or QUOTA_SECONDS)
        case Rejected() if code in QUOTA:
            return NotSent(code, retry_after(reply, now) or QUOTA_SECONDS)
        case Rejected() if code in ("UNAVAILABLE", "INTERNAL"):
            return Ambiguous(code)
        case Rejected():
            dead = code in DEAD_TOKEN
            # A 404 without an FcmError is a wrong project id.
            fault = (found.account_fault and not dead) or (not code and reply.status == 404)
            return replace(
                found, code=code or found.code, address_invalid=dead, account_fault=fault
            )
        case _:
            return found


def receipt(row: object) -> ProviderEvent:
    """Translate one acknowledgement."""
    if not isinstance(row, dict):
        row = {"item": row}
    status = text_of(row, "event", 64) or "?"
    reference = text_of(row, "ref", 64)
    known = EVENTS.get(status) if reference else None
    return ProviderEvent(
        type=known or EventType.UNRECOGNISED,
        dedup_key=f"{reference}:{status}" if known else fingerprint(row),
        occurred_at=from_unix(row.get("at")),
        reference=reference,
        provider_id=None,
        provider_status=status,
        raw=row,
    )


def _document(reply: HttpReply) -> dict[str, Any]:
    try:
        document = load_json(reply.body)
    except MalformedWebhookError:
        return {}
    return document if isinstance(document, dict) else {}


def _error(reply: HttpReply) -> tuple[str, str]:
    """Return FCM's errorCode ('' without an FcmError) and what it says."""
    error = _document(reply).get("error") if reply.status and reply.status >= 400 else None
    if not isinstance(error, dict):
        return "", ""
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict) and detail.get("@type") == FCM_ERROR:
            return text_of(detail, "errorCode", 64) or "", text_of(error, "message", 150) or ""
    return "", text_of(error, "message", 150) or ""
