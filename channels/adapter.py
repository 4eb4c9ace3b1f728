"""The protocol every provider file implements, and the values that cross it.

An adapter knows one provider's wire format and nothing else: no database, no settings lookup, no
retries; what it needs of the world is in Ports. It owns its own concurrency: how many requests are
open at a time, how many members share one call.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol, Self

from channels.channel import Channel
from channels.outcome import Outcome
from channels.skeleton import Skeleton
from core.clock import Clock, SystemClock
from core.errors import InvalidError


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One rendered message to one address: a shared skeleton and the values that fill it."""

    reference: str
    """Our attempt reference (`communications.attempt`); planted wherever the provider echoes it."""
    to: str
    """Normal form: email address, E.164 number or push token."""
    skeleton: Skeleton
    """The static parts, shared by every message of a template version (compare by identity)."""
    values: tuple[str, ...]
    """What goes between the static parts, already rendered and escaped, in order."""
    headers: tuple[tuple[str, str], ...] = ()
    """Extra email headers: List-Unsubscribe and List-Unsubscribe-Post."""
    status_url: str | None = None
    """Where the provider should post receipts of this message (Twilio's StatusCallback)."""
    collapse_key: str | None = None
    """Push: a second copy replaces the first on the device."""


class EventType(StrEnum):
    """What a provider can tell us about a message, in our words."""

    ACCEPTED = "accepted"  # on its way inside the provider; no news for a person
    SENT = "sent"
    DEFERRED = "deferred"  # the provider goes on trying
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"  # given up before delivery
    BOUNCED_SOFT = "bounced_soft"
    BOUNCED_HARD = "bounced_hard"
    OPENED = "opened"
    CLICKED = "clicked"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    RESUBSCRIBED = "resubscribed"
    REPLIED = "replied"  # an inbound message
    ACCOUNT = "account"  # about the account, not about a message
    UNRECOGNISED = "unrecognised"


class MalformedWebhookError(InvalidError):
    """A provider's request does not have the shape its provider gives it."""

    status = 400
    code = "malformed_webhook"


@dataclass(frozen=True, slots=True)
class RawWebhook:
    """A provider's request exactly as it came: the signature covers these bytes."""

    url: str
    """The public URL as configured at the provider, with its query string still encoded."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One receipt or inbound message in our words, with the provider's own kept beside them."""

    type: EventType
    dedup_key: str
    """Unique per account; equal for two deliveries of one event (PROVIDERS 10.8)."""
    occurred_at: datetime | None
    """The provider's time; None when it gives none."""
    reference: str | None
    """Our attempt reference as the provider echoed it; unverified."""
    provider_id: str | None
    provider_status: str
    """Their word, untranslated."""
    address: str | None = None
    """Recipient of a receipt, or sender of an inbound message."""
    machine: bool = False
    """A prefetching proxy or scanner, not a person."""
    address_invalid: bool = False
    opted_out: bool = False
    code: str | None = None
    text: str | None = None
    """Reason of a failure, URL of a click, body of an inbound message."""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Sender(Protocol):
    """The half of an adapter that sends."""

    name: ClassVar[str]
    channel: ClassVar[Channel]
    window: ClassVar[int]
    """Messages in flight unless the account says otherwise; bounds what a crash makes unknown."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any], ports: "Ports") -> Self:
        """Build for one account. Raises InvalidError naming the field of `config` that is wrong."""
        ...

    def send(
        self, messages: Sequence[OutgoingMessage], expired: Callable[[], bool]
    ) -> Iterator[tuple[str, Outcome]]:
        """Send each message once; yield `(reference, outcome)` as each becomes known.

        `expired()` is asked right before the first byte of each call or message: once it says yes
        the rest is `NotSent("deadline passed")`. Every reference is yielded exactly once. Raises
        only for a bug in our own code.
        """
        ...

    def close(self) -> None:
        """Drop connections."""
        ...


class Receiver(Protocol):
    """The half of an adapter that reads receipts."""

    name: ClassVar[str]

    @classmethod
    def from_config(cls, config: Mapping[str, Any], ports: "Ports") -> Self:
        """Build for one account, like a Sender."""
        ...

    def verify(self, webhook: RawWebhook) -> bool:
        """Say whether the request really comes from the provider. Never raises on bad input."""
        ...

    def parse(self, webhook: RawWebhook) -> list[ProviderEvent]:
        """Translate a verified request; unknown statuses become UNRECOGNISED.

        Raises MalformedWebhookError (an InvalidError) when the body is not this provider's shape.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What an adapter may use of the outside world; handed in so that tests can replace it."""

    http: "HttpClient"
    clock: Clock = field(default_factory=SystemClock)
    """Dates mail and tells how long a token is good for; nothing waits for it."""


class HttpClient(Protocol):
    """The egress client as adapters see it (core.http.Egress)."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> "HttpReply":
        """Send one request without redirects and without retries."""
        ...


class HttpReply(Protocol):
    """What came back, or how far the request got (core.http.Reply)."""

    @property
    def status(self) -> int | None:
        """HTTP status; None when there was no answer."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""
        ...

    @property
    def body(self) -> bytes:
        """At most the egress client's cap."""
        ...

    @property
    def sent(self) -> bool:
        """Whether a byte of the request may have left: False only if it certainly did not."""
        ...

    @property
    def error(self) -> str | None:
        """Why there is no answer, without addresses or secrets."""
        ...
