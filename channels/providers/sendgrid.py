"""SendGrid: email over its v3 API. Wire facts: docs/providers/sendgrid.md.

One call carries up to 1,000 messages of one skeleton: the static text once, each member's values as
substitutions. Whatever is sent carries our reference as the custom argument `ex_ref`.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, Self
from urllib.parse import quote, urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sendgrid.helpers.eventwebhook import EventWebhook
from sendgrid.helpers.mail import (
    ClickTracking,
    Content,
    From,
    Mail,
    OpenTracking,
    ReplyTo,
    Subject,
    SubscriptionTracking,
    TrackingSettings,
)

from channels.adapter import (
    CannotSay,
    EventType,
    Found,
    HttpReply,
    MalformedWebhookError,
    OutgoingMessage,
    Ports,
    ProviderEvent,
    Query,
    RawWebhook,
)
from channels.channel import Channel
from channels.email import CONTROLS
from channels.lanes import Lanes, Result
from channels.outcome import Accepted, NotSent, Outcome, Rejected
from channels.payload import fingerprint, from_unix, load_json, text_of
from channels.reply import MAX_WAIT_SECONDS, outcome_of, unsaid
from channels.settings import ConfigError, checked_url, read_config
from channels.skeleton import Skeleton

EVENTS = {
    # their word: ours
    "processed": EventType.SENT,
    "deferred": EventType.DEFERRED,
    "delivered": EventType.DELIVERED,
    "bounce": EventType.BOUNCED_HARD,  # unless its type is `blocked`, see `_type`
    "dropped": EventType.UNDELIVERED,
    "open": EventType.OPENED,
    "click": EventType.CLICKED,
    "spamreport": EventType.COMPLAINED,
    "unsubscribe": EventType.UNSUBSCRIBED,
    "group_unsubscribe": EventType.UNSUBSCRIBED,
    "group_resubscribe": EventType.RESUBSCRIBED,
    "account_status_change": EventType.ACCOUNT,
}
DEAD_REASONS = ("bounced address", "invalid")
"""Reasons of `dropped`, in lower case, by which SendGrid itself keeps the address suppressed."""
OPTED_OUT_REASONS = ("unsubscribed address", "spam reporting address")

PER_CALL = 1000
SUBSTITUTION_BYTES = 9_000
"""SendGrid takes 10,000 a personalization; a longer message travels alone, already filled in."""
SEARCHED = 10
"""The most references of one message that are asked for; operators made the older ones."""
EXPIRED = NotSent("deadline passed")
OFFENDER = re.compile(r"personalizations\.(\d+)\b")


@dataclass(frozen=True, slots=True)
class Config:
    """What a SendGrid account needs."""

    api_key: str
    """Needs the scope `mail.send`; with `messages.read` also, it can be asked what arrived."""
    from_email: str
    """A verified sender."""
    from_name: str | None = None
    reply_to: str | None = None
    public_key: str | None = None
    """Verification key of the signed event webhook; without it no receipt is believed."""
    base_url: str = "https://api.sendgrid.com"


class SendGrid:
    """Sends through one account and reads its event webhook."""

    name: ClassVar[str] = "sendgrid"
    channel: ClassVar[Channel] = Channel.EMAIL
    window: ClassVar[int] = PER_CALL
    search_complete: ClassVar[bool] = False

    def __init__(self, config: Config, ports: Ports) -> None:
        self._config = config
        self._ports = ports
        self._url = f"{config.base_url}/v3/mail/send"
        self._headers = {
            "Authorization": f"Bearer {config.api_key}",
            "Content-Type": "application/json",
        }
        self._lanes = Lanes(4, "sendgrid")

    @classmethod
    def from_config(cls, config: Mapping[str, Any], ports: Ports) -> Self:
        """Build for one account. Raises ConfigError naming the field."""
        read = read_config(Config, config)
        if read.public_key:
            _verifier(read.public_key)
        return cls(replace(read, base_url=checked_url(read.base_url, "base_url")), ports)

    def send(
        self, messages: Sequence[OutgoingMessage], expired: Callable[[], bool]
    ) -> Iterator[Result]:
        """Send all messages, those of one skeleton together."""

        def carry(taken: Iterator[list[OutgoingMessage]]) -> Iterator[Result]:
            for batch in taken:
                yield from self._carry(batch, expired)

        return self._lanes.run(_batches(messages), carry)

    def close(self) -> None:
        """End the threads; connections belong to the egress client."""
        self._lanes.close()

    def verify(self, webhook: RawWebhook) -> bool:
        """Check the ECDSA signature over timestamp and raw body with the official verifier."""
        if not self._config.public_key:
            return False
        signature = webhook.headers.get("x-twilio-email-event-webhook-signature", "")
        timestamp = webhook.headers.get("x-twilio-email-event-webhook-timestamp", "")
        try:
            verifier = _verifier(self._config.public_key)
            return bool(verifier.verify_signature(webhook.body.decode(), signature, timestamp))
        except ValueError:
            return False

    def parse(self, webhook: RawWebhook) -> list[ProviderEvent]:
        """Translate a batch of events; one that cannot be read does not spoil the others."""
        rows = load_json(webhook.body)
        if not isinstance(rows, list):
            raise MalformedWebhookError("SendGrid posts a JSON array")
        return [receipt(row) for row in rows]

    def find(self, query: Query) -> tuple[Found, ...] | CannotSay:
        """Return what the Email Activity API has under one of our references.

        Its answers do not name the reference, so they are believed only when all go to the right
        address: a filter that was not understood would list others.
        """
        if not query.references:  # an empty filter would list anything
            return CannotSay("nothing to ask for")
        filters = [f"(unique_args['ex_ref']=\"{one}\")" for one in query.references[:SEARCHED]]
        asked = urlencode({"limit": SEARCHED, "query": " OR ".join(filters)}, quote_via=quote)
        url = f"{self._config.base_url}/v3/messages?{asked}"
        reply = self._ports.http.request("GET", url, headers=self._headers)
        try:
            told = load_json(reply.body) if reply.status == 200 else None
        except MalformedWebhookError:
            told = None
        rows = told.get("messages") if isinstance(told, dict) else None
        if not isinstance(rows, list):
            return unsaid(reply)
        found = [one for one in map(_listed, rows) if one is not None]
        if any(address != query.to.casefold() for address, _ in found):
            return CannotSay("it listed other messages than were asked for", of_account=True)
        return tuple(one for _, one in found)

    def _carry(self, batch: list[OutgoingMessage], expired: Callable[[], bool]) -> Iterator[Result]:
        """Send one batch; again without the offenders while SendGrid refuses the whole for them.

        A 400 or 413 means that nothing of the call was sent, so the rest may go out again.
        """
        waiting = [batch]
        while waiting:
            part = waiting.pop()
            if expired():
                yield from ((message.reference, EXPIRED) for message in part)
                continue
            reply = self._ports.http.request(
                "POST", self._url, headers=self._headers, body=self._body(part)
            )
            bad = _offenders(reply, len(part))
            if reply.status == 413 and len(part) > 1:
                waiting += [part[: len(part) // 2], part[len(part) // 2 :]]
            elif bad and len(part) > 1:
                yield from ((part[index].reference, outcome) for index, outcome in bad.items())
                waiting.append([m for index, m in enumerate(part) if index not in bad])
            else:
                outcome = bad.get(0) or self._outcome(reply, len(part))
                yield from ((message.reference, outcome) for message in part)

    def _outcome(self, reply: HttpReply, recipients: int) -> Outcome:
        now = self._ports.clock.now()
        outcome = outcome_of(reply, now, reason=_error_text(reply))
        if isinstance(outcome, Accepted) and recipients == 1:
            # X-Message-Id names the call; of several recipients it would name the wrong one.
            return replace(outcome, provider_id=reply.headers.get("x-message-id", "")[:128] or None)
        if isinstance(outcome, NotSent) and outcome.retry_after is None and reply.status == 429:
            reset = from_unix(reply.headers.get("x-ratelimit-reset"))
            wait = (reset - now).total_seconds() if reset else 0.0
            return replace(outcome, retry_after=min(max(wait, 0.0), MAX_WAIT_SECONDS) or None)
        return outcome

    def _body(self, batch: Sequence[OutgoingMessage]) -> bytes:
        skeleton = batch[0].skeleton
        tokens: tuple[str, ...] = ()
        if len(batch) == 1:
            frame = self._frame(skeleton.fill(batch[0].values))
        else:
            frame, tokens = self._shared_frame(skeleton)
        frame = {**frame, "personalizations": [_personalization(m, tokens) for m in batch]}
        return json.dumps(frame, separators=(",", ":")).encode()

    def _shared_frame(self, skeleton: Skeleton) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the call without its personalizations, and the token that marks each hole."""
        config = self._config
        key = f"sendgrid:{config.from_email}:{config.from_name}:{config.reply_to}"
        if key not in skeleton.cache:
            nonce = secrets.token_hex(4)
            holes = sum(face.holes for face in skeleton.faces)
            tokens = tuple(f"-ex{nonce}.{number}-" for number in range(holes))
            skeleton.cache[key] = (self._frame(skeleton.fill(tokens)), tokens)
        found: tuple[dict[str, Any], tuple[str, ...]] = skeleton.cache[key]
        return found

    def _frame(self, texts: Mapping[str, str]) -> dict[str, Any]:
        mail = Mail(from_email=From(self._config.from_email, self._config.from_name))
        mail.subject = Subject(_one_line(texts.get("subject", "")))
        for face, kind in (("text", "text/plain"), ("html", "text/html")):
            if face in texts:
                mail.add_content(Content(kind, texts[face]))
        if self._config.reply_to:
            mail.reply_to = ReplyTo(self._config.reply_to)
        mail.tracking_settings = TrackingSettings(  # the links and the pixel are our own
            ClickTracking(False, False), OpenTracking(False), SubscriptionTracking(False)
        )
        frame: dict[str, Any] = mail.get()
        return frame


def _listed(row: object) -> tuple[str, Found] | None:
    """Return one message of the Email Activity API with its recipient; None for what is none."""
    if not isinstance(row, dict):
        return None
    name, address = text_of(row, "msg_id", 128), text_of(row, "to_email", 320)
    if not name or not address:
        return None
    status = text_of(row, "status", 40) or "?"
    return address.casefold(), Found(name, True, None, status)


def receipt(row: object) -> ProviderEvent:
    """Translate one event."""
    if not isinstance(row, dict):
        row = {"event": None, "item": row}
    status = text_of(row, "event", 64) or "?"
    reason = (text_of(row, "reason") or text_of(row, "response") or "").strip()
    dropped = reason.lower() if status == "dropped" else ""
    kind = _type(row, status)
    message_id = text_of(row, "sg_message_id", 300)
    return ProviderEvent(
        type=kind,
        dedup_key=text_of(row, "sg_event_id", 120) or fingerprint(row),
        occurred_at=from_unix(row.get("timestamp")),
        reference=text_of(row, "ex_ref", 64),
        provider_id=message_id.partition(".")[0][:128] if message_id else None,
        provider_status=status,
        address=text_of(row, "email", 320),
        machine=row.get("sg_machine_open") is True,
        address_invalid=kind is EventType.BOUNCED_HARD or dropped.startswith(DEAD_REASONS),
        opted_out=kind is EventType.UNSUBSCRIBED or dropped.startswith(OPTED_OUT_REASONS),
        code=text_of(row, "status", 32),
        text=text_of(row, "url", 2000) or reason[:500] or None,
        raw=row,
    )


def _type(row: Mapping[str, Any], status: str) -> EventType:
    if status == "bounce" and row.get("type") == "blocked":
        return EventType.BOUNCED_SOFT  # decided by type, not by the 5 of its status
    return EVENTS.get(status, EventType.UNRECOGNISED)


def _batches(messages: Sequence[OutgoingMessage]) -> list[list[OutgoingMessage]]:
    """Return groups of one skeleton, at most a call's worth each; a long message stands alone."""
    groups: dict[int, list[OutgoingMessage]] = {}
    batches: list[list[OutgoingMessage]] = []
    for message in messages:
        if _is_long(message):
            batches.append([message])
        else:
            groups.setdefault(id(message.skeleton), []).append(message)
    for group in groups.values():
        batches += [group[start : start + PER_CALL] for start in range(0, len(group), PER_CALL)]
    return batches


def _is_long(message: OutgoingMessage) -> bool:
    rough = sum(map(len, message.values)) * 4 + len(message.values) * 24
    if rough <= SUBSTITUTION_BYTES:
        return False
    size = sum(len(value.encode(errors="replace")) + 24 for value in message.values)
    return size > SUBSTITUTION_BYTES


def _personalization(message: OutgoingMessage, tokens: Sequence[str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "to": [{"email": message.to}],
        "custom_args": {"ex_ref": message.reference},
    }
    if message.headers:
        made["headers"] = {name: _one_line(value) for name, value in message.headers}
    if tokens:
        made["substitutions"] = dict(zip(tokens, message.values, strict=True))
    return made


def _one_line(text: str) -> str:
    return CONTROLS.sub(" ", text).strip()


def _errors(reply: HttpReply) -> list[dict[str, Any]]:
    try:
        document = load_json(reply.body)
    except MalformedWebhookError:
        return []
    errors = document.get("errors") if isinstance(document, dict) else None
    return [error for error in errors or [] if isinstance(error, dict)]


def _error_text(reply: HttpReply) -> str:
    errors = _errors(reply) if reply.status is not None and reply.status >= 400 else []
    return "; ".join(filter(None, (text_of(error, "message", 150) for error in errors)))


def _offenders(reply: HttpReply, size: int) -> dict[int, Outcome]:
    """Return who made SendGrid refuse a call, by position; empty when it was not a member."""
    if reply.status != 400:
        return {}
    found: dict[int, Outcome] = {}
    for error in _errors(reply):
        field = text_of(error, "field") or ""
        match = OFFENDER.match(field)
        if match is None or int(match[1]) >= size:
            return {}
        reason = f"HTTP 400 {text_of(error, 'message', 150) or ''}".strip()
        found[int(match[1])] = Rejected("400", reason, address_invalid=".to" in field)
    return found


@lru_cache(maxsize=256)
def _verifier(public_key: str) -> EventWebhook:
    try:
        verifier = EventWebhook(public_key)
    except (ValueError, UnsupportedAlgorithm):
        verifier = None
    if verifier is None or not isinstance(verifier.public_key, EllipticCurvePublicKey):
        raise ConfigError(
            "public_key is no ECDSA public key",
            field="public_key",
            remedy="copy the verification key from SendGrid's event webhook settings",
        )
    return verifier
