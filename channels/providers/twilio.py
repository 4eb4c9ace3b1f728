"""Twilio: SMS over its 2010-04-01 API. Wire facts: docs/providers/twilio.md.

The official SDK builds requests, reads errors and checks signatures; bytes leave through our own
egress client. Twilio echoes nothing we send, so our reference travels in the status callback's URL.
"""

import logging
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import local
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from twilio.base import values
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http import HttpClient as TwilioHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from channels.adapter import (
    CannotSay,
    EventType,
    Found,
    HttpClient,
    HttpReply,
    MalformedWebhookError,
    OutgoingMessage,
    Ports,
    ProviderEvent,
    Query,
    RawWebhook,
)
from channels.channel import Channel
from channels.lanes import Halt, Lanes, Result
from channels.outcome import Accepted, Ambiguous, NotSent, Outcome, Rejected
from channels.payload import form_pairs, load_form
from channels.reply import outcome_of, retry_after, unsaid
from channels.settings import ConfigError, checked_url, read_config
from channels.sms import size

EVENTS = {
    # their word: ours
    "accepted": EventType.ACCEPTED,
    "scheduled": EventType.ACCEPTED,
    "queued": EventType.ACCEPTED,
    "sending": EventType.SENT,
    "sent": EventType.SENT,
    "delivered": EventType.DELIVERED,
    "partially_delivered": EventType.DELIVERED,
    "read": EventType.OPENED,
    "undelivered": EventType.UNDELIVERED,
    "failed": EventType.UNDELIVERED,
    "canceled": EventType.UNDELIVERED,
}
# Error codes by class (docs/providers/twilio.md). What is in no set is refused for this one.
DEAD_ADDRESS = frozenset({21211, 21614, 21635, 30005, 30006, 63003, 63024})
OPTED_OUT = frozenset({21610, 63014, 63033})
REJECTED_BEFORE_QUEUEING = frozenset(
    {20429, 21611, 30001, 30008, 30017, 30022, 30023, 30027, 30450, 30610, 35125}
    | {63009, 63010, 63012, 63017, 63018, 63038}
)
ACCOUNT_FAULT = frozenset(
    {20003, 20005, 21703, 21704, 21705, 30002, 30032, 30033, 30034, 30035}
    | {63001, 63002, 63007, 63008, 63026, 63040, 63041, 63042, 63051}
)
UNKNOWN_OUTCOME = frozenset({30410})
"""Twilio itself does not know and does not retry, to avoid a duplicate."""

SEARCHED = 50
"""The most messages a search looks at; with more to one number in minutes nothing is certain."""
LONGEST_QUEUED = timedelta(hours=10)
"""Twilio's default ValidityPeriod: how much later it may date the sending than the taking."""

EXPIRED = NotSent("deadline passed")
REFERENCE = "a"
"""The query parameter of a status callback that carries our reference."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a Twilio account needs; one of `from_number` and `messaging_service_sid`."""

    account_sid: str
    auth_token: str
    """The primary token: only that one signs webhooks (57012)."""
    from_number: str | None = None
    """E.164, a short code or a sender name."""
    messaging_service_sid: str | None = None
    base_url: str = "https://api.twilio.com"


class Twilio:
    """Sends through one account and reads its callbacks and inbound messages."""

    name: ClassVar[str] = "twilio"
    channel: ClassVar[Channel] = Channel.SMS
    window: ClassVar[int] = 100
    search_complete: ClassVar[bool] = False

    def __init__(self, config: Config, ports: Ports) -> None:
        self._ports = ports
        self._http = EgressClient(ports.http)
        self._client = Client(
            config.account_sid,
            config.auth_token,
            http_client=self._http,
            environment={"TWILIO_EDGE": ""},  # never from the process's own environment
        )
        self._client.api.base_url = config.base_url
        self._from = config.from_number or values.unset
        self._service = config.messaging_service_sid or values.unset
        self._validator = RequestValidator(config.auth_token)
        self._lanes = Lanes(16, "twilio")

    @classmethod
    def from_config(cls, config: Mapping[str, Any], ports: Ports) -> Self:
        """Build for one account. Raises ConfigError naming the field."""
        read = read_config(Config, config)
        if not read.from_number and not read.messaging_service_sid:
            raise ConfigError(
                "there is no sender",
                field="from_number",
                remedy="give from_number or messaging_service_sid",
            )
        return cls(replace(read, base_url=checked_url(read.base_url, "base_url")), ports)

    def send(
        self, messages: Sequence[OutgoingMessage], expired: Callable[[], bool]
    ) -> Iterator[Result]:
        """Send each message in a request of its own, some at a time."""
        halt = Halt(expired)

        def carry(taken: Iterator[OutgoingMessage]) -> Iterator[Result]:
            for message in taken:
                yield message.reference, EXPIRED if halt() else halt.note(self._create(message))

        return self._lanes.run(messages, carry)

    def close(self) -> None:
        """End the threads; connections belong to the egress client."""
        self._lanes.close()

    def verify(self, webhook: RawWebhook) -> bool:
        """Check X-Twilio-Signature with the official validator: form, GET and JSON requests."""
        signature = webhook.headers.get("x-twilio-signature", "")
        try:
            return bool(self._validator.validate(webhook.url, _signed(webhook), signature))
        except (ValueError, MalformedWebhookError):
            return False

    def parse(self, webhook: RawWebhook) -> list[ProviderEvent]:
        """Translate a status callback or an inbound message, told apart by their fields."""
        query = urlsplit(webhook.url).query
        form = load_form(query if webhook.method == "GET" else webhook.body)
        sid = form.get("MessageSid") or form.get("SmsSid")
        if not sid:
            raise MalformedWebhookError("Twilio names the message in MessageSid")
        status = form.get("MessageStatus") or form.get("SmsStatus") or "?"
        if "Body" in form and status in ("received", "receiving", "?"):
            return [inbound(form, sid)]
        reference = parse_qs(query).get(REFERENCE, [None])[0]
        return [receipt(form, sid, status, reference)]

    def find(self, query: Query) -> tuple[Found, ...] | CannotSay:
        """Return messages of this number, text and time. Twilio keeps nothing of our reference."""
        self._http.begin()
        try:
            listed = self._client.messages.page(
                to=query.to,
                from_=self._from,
                date_sent_after=query.begun,
                date_sent_before=query.ended + LONGEST_QUEUED,
                page_size=SEARCHED,
            )
            told = list(listed)
        except (TwilioException, TypeError, ValueError, AttributeError, LookupError):
            return unsaid(self._http.reply())
        if len(told) >= SEARCHED:
            return CannotSay("too many messages to one number")
        service = self._service if isinstance(self._service, str) else None
        return tuple(
            Found(str(one.sid)[:128], False, _dated(one), str(one.status)[:40])
            for one in told
            if one.sid and _alike(one, query, service)
        )

    def _create(self, message: OutgoingMessage) -> Outcome:
        body = message.skeleton.fill(message.values).get("body", "")
        code: int | None = None
        said = ""
        self._http.begin()
        try:
            made = self._client.messages.create(
                to=message.to,
                from_=self._from,
                messaging_service_sid=self._service,
                body=body,
                status_callback=message.status_url or values.unset,
            )
        except TwilioRestException as error:
            made, code, said = None, error.code, error.msg
        except (TwilioException, TypeError, ValueError, AttributeError, LookupError):
            made = None  # no answer, or one that is not Twilio's shape: its status decides
        found = outcome(self._http.reply(), code, said, self._ports)
        if isinstance(found, Accepted):
            sid = str(made.sid)[:128] if made is not None and made.sid else None
            status = str(made.status)[:40] if made is not None and made.status else None
            return Accepted(sid, status or found.provider_status, segments=size(body).segments)
        return found


class EgressClient(TwilioHttpClient):  # type: ignore[misc]  # the SDK is untyped
    """The SDK's HTTP client, over ours: no retries, no redirects, the guard in its place."""

    def __init__(self, http: HttpClient) -> None:
        super().__init__(logging.getLogger("twilio.egress"), is_async=False)
        self._http = http
        self._last = local()

    def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """Send one request. Raises TwilioException when there is no answer; see `reply`."""
        sent = dict(headers or {})
        if auth:
            sent["Authorization"] = "Basic " + b64encode(":".join(auth).encode()).decode()
        url = f"{uri}?{urlencode(params, doseq=True)}" if params else uri
        body = urlencode(data or {}, doseq=True).encode()
        reply = self._last.reply = self._http.request(method, url, headers=sent, body=body)
        if reply.status is None:
            raise TwilioException("no answer")
        return Response(reply.status, reply.body.decode(errors="replace"), reply.headers)

    def begin(self) -> None:
        """Forget this thread's last reply."""
        self._last.reply = None

    def reply(self) -> HttpReply | None:
        """Return what this thread's request came to; None when nobody can tell."""
        found: HttpReply | None = getattr(self._last, "reply", None)
        return found


def outcome(reply: HttpReply | None, code: int | None, said: str, ports: Ports) -> Outcome:
    """Classify by status first, then by Twilio's code."""
    if reply is None:
        return Ambiguous("the request failed on our side")
    now = ports.clock.now()
    found = outcome_of(reply, now, reason=said)
    if not isinstance(found, Rejected):
        return found
    if code in UNKNOWN_OUTCOME:
        return Ambiguous(f"Twilio error {code}")
    if code in REJECTED_BEFORE_QUEUEING:
        return NotSent(f"Twilio error {code}", retry_after(reply, now))
    return replace(
        found,
        code=str(code or reply.status),
        address_invalid=code in DEAD_ADDRESS,
        opted_out=code in OPTED_OUT,
        account_fault=found.account_fault or code in ACCOUNT_FAULT,
    )


def _dated(listed: Any) -> datetime | None:
    """Return when Twilio took a message that it lists."""
    when = listed.date_created or listed.date_sent
    return when if isinstance(when, datetime) else None


def _alike(listed: Any, query: Query, service: str | None) -> bool:
    """Say whether a message that Twilio lists may be the one asked about."""
    when = _dated(listed)
    return (
        str(listed.direction).startswith("outbound")
        and (service is None or listed.messaging_service_sid == service)
        and str(listed.body or "").strip() == query.body.strip()
        and when is not None
        and query.begun <= when <= query.ended
    )


def receipt(form: Mapping[str, str], sid: str, status: str, reference: str | None) -> ProviderEvent:
    """Translate a status callback. Twilio gives neither an event id nor a time."""
    code = form.get("ErrorCode") or None
    number = int(code) if code and code.isascii() and code.isdigit() else 0
    return ProviderEvent(
        type=EVENTS.get(status, EventType.UNRECOGNISED),
        dedup_key=f"{sid}:{status}:{code or ''}"[:200],
        occurred_at=None,
        reference=reference,
        provider_id=sid[:128],
        provider_status=status[:64],
        address=form.get("To"),
        address_invalid=number in DEAD_ADDRESS,
        opted_out=number in OPTED_OUT,
        code=code,
        text=form.get("ErrorMessage") or form.get("ChannelStatusMessage"),
        raw=dict(form),
    )


def inbound(form: Mapping[str, str], sid: str) -> ProviderEvent:
    """Translate a message from a member; `raw["OptOutType"]` is Twilio's own reading of it."""
    return ProviderEvent(
        type=EventType.REPLIED,
        dedup_key=f"in:{sid}"[:200],
        occurred_at=None,
        reference=None,
        provider_id=sid[:128],
        provider_status=form.get("SmsStatus") or "received",
        address=form.get("From"),
        text=form.get("Body"),
        raw=dict(form),
    )


class FormValues(dict[str, list[str]]):
    """Form fields with all their values, as the SDK's validator asks for them."""

    def getlist(self, name: str) -> list[str]:
        """Return every value of a field."""
        return self[name]


def _signed(webhook: RawWebhook) -> FormValues | str:
    """Return what is signed beside the URL. Raises ValueError for what Twilio cannot have sent."""
    if webhook.method == "GET":
        return FormValues()
    if "json" in webhook.headers.get("content-type", ""):
        if "bodySHA256" not in parse_qs(urlsplit(webhook.url).query):
            raise ValueError("a JSON request names the hash of its body")
        return webhook.body.decode()
    fields = FormValues()
    for name, value in form_pairs(webhook.body):
        fields.setdefault(name, []).append(value)
    return fields
