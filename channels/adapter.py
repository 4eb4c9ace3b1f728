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
from channels.outcome import DEADLINE_PASSED, Outcome
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
    """Unique per account; equal for two deliveries of one event."""
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


PULSE: tuple[str, Outcome] = ("", DEADLINE_PASSED)
"""What a sender may yield while nothing new is known; no message has this reference."""


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
        the rest is `NotSent("deadline passed")`. Every reference is yielded exactly once, and PULSE
        as often as it likes while it waits. Raises only for a bug in our own code.
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
class Query:
    """A message that its provider may or may not have, as far as we know it."""

    references: tuple[str, ...]
    """Our references of all its attempts, newest first."""
    to: str
    body: str
    """What it said, rendered again; of an email its plain text, which nobody compares."""
    begun: datetime
    """It cannot have left before."""
    ended: datetime
    """Nor long after: what the provider dates later is another message."""


@dataclass(frozen=True, slots=True)
class Found:
    """A message that a provider has and that may be the one we ask about."""

    provider_id: str
    proven: bool
    """It carries our reference. Otherwise it only looks like ours, and whoever asks checks that
    it is nobody else's."""
    at: datetime | None
    provider_status: str


@dataclass(frozen=True, slots=True)
class CannotSay:
    """The provider did not tell."""

    reason: str
    """Without addresses or secrets."""
    of_account: bool = False
    """It would tell nothing about any other message either: no permission, or asked too often."""
    again: bool = False
    """It may well tell in a moment."""


class Searcher(Protocol):
    """The half of an adapter that asks its provider whether it has a message.

    It is only ever evidence that a message was sent. What is not found may still be on its way
    into the provider's index: no adapter of ours declares `search_complete`, and nothing takes
    absence for proof (docs/why/sending.md).
    """

    name: ClassVar[str]
    search_complete: ClassVar[bool]
    """Whether what is not found certainly is not there."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any], ports: "Ports") -> Self:
        """Build for one account, like a Sender."""
        ...

    def find(self, query: Query) -> tuple[Found, ...] | CannotSay:
        """Return what the provider has that may be this message, in one request. Never raises."""
        ...

    def close(self) -> None:
        """Drop connections."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What an adapter may use of the outside world; handed in so that tests can replace it."""

    http: "HttpClient"
    clock: Clock = field(default_factory=SystemClock)
    """Dates mail and tells how long a token is good for; nothing waits for it."""
    connect_seconds: float = 5.0
    answer_seconds: float = 20.0
    """How long to wait, where an adapter opens connections of its own; `http` has its own."""


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
