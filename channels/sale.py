"""Sale: what a shop tells about money: an order that was paid, or a refund of one.

A shop is an account like a provider's: its settings are sealed, it has a webhook URL of its own,
and what it posts is verified and stored before it is acknowledged. It sends nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from channels.adapter import (
    MalformedWebhookError,
    OutgoingMessage,
    Ports,
    ProviderEvent,
    RawWebhook,
)
from channels.channel import Channel
from channels.outcome import Outcome, Rejected
from channels.payload import text_of

PERSON = ("email", "phone", "first_name", "last_name")
NO_CARRIER = Rejected("no_carrier", "a shop carries no messages")


@dataclass(frozen=True, slots=True)
class Sale:
    """One order, or one refund of an order."""

    order_id: str
    """The same however often, and in whatever kind of event, the order is told."""
    amount: Decimal
    """Major units; positive."""
    currency: str
    at: datetime | None
    person: Mapping[str, str] = field(default_factory=dict)
    """E-mail address, phone number and names of who paid; nothing for a refund."""
    refund_id: str | None = None
    """None is an order."""
    properties: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Shop(Protocol):
    """An adapter whose requests tell of sales."""

    name: ClassVar[str]

    def sales(self, webhook: RawWebhook) -> list[Sale]:
        """Read a verified request; what is no sale is nothing. Raises MalformedWebhookError."""
        ...


class Silent:
    """The half of an adapter that shops do not have: they send nothing and report no messages."""

    channel: ClassVar[Channel] = Channel.WEBHOOK
    window: ClassVar[int] = 1

    def send(
        self, messages: Sequence[OutgoingMessage], expired: Callable[[], bool]
    ) -> Iterator[tuple[str, Outcome]]:
        """Refuse every message."""
        for message in messages:
            yield message.reference, NO_CARRIER

    def close(self) -> None:
        """Nothing is open."""

    def parse(self, webhook: RawWebhook) -> list[ProviderEvent]:
        """Return nothing, but raise MalformedWebhookError as `sales` does."""
        self.sales(webhook)
        return []

    def sales(self, webhook: RawWebhook) -> list[Sale]:
        """Read a verified request."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: Mapping[str, Any], ports: Ports) -> Self:
        """Build for one account."""
        raise NotImplementedError


def person_of(*rows: object) -> dict[str, str]:
    """Return who paid: of each field the first of `rows` that has it."""
    found: dict[str, str] = {}
    for row in rows:
        if isinstance(row, dict):
            for name in PERSON:
                told = text_of(row, name, 320)
                if told and name not in found:
                    found[name] = told
    return found


def money(value: object) -> Decimal:
    """Return an amount that is told as text. Raises MalformedWebhookError."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise MalformedWebhookError("an amount is no number") from None
    if not amount.is_finite():
        raise MalformedWebhookError("an amount is no number")
    return amount
