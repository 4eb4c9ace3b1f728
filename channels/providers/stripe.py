"""Stripe: what was paid and given back. Wire facts: docs/providers/stripe.md.

One payment may be told by two events: a subscription's checkout by its session and by its invoice.
Both name the order by the invoice, else by the payment, so it counts once.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Self

from channels.adapter import MalformedWebhookError, Ports, RawWebhook
from channels.payload import from_unix, load_json, text_of
from channels.sale import Sale, Silent, person_of
from channels.settings import ConfigError, read_config
from core.clock import Clock

TOLERANCE_SECONDS = 300
"""So old a signed request may be: a later one may be somebody's copy."""
ZERO_DECIMAL = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
     "XOF", "XPF"}
)  # fmt: skip
"""Told in whole units. ISK and UGX have no cents either, but are told in hundredths."""
THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
PAID = frozenset({"checkout.session.completed", "checkout.session.async_payment_succeeded"})
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Config:
    """What a Stripe account needs."""

    signing_secret: str
    """The endpoint's, `whsec_…`."""


class Stripe(Silent):
    """Reads one endpoint's events."""

    name: ClassVar[str] = "stripe"

    def __init__(self, config: Config, clock: Clock) -> None:
        self._key = config.signing_secret.encode()
        self._clock = clock

    @classmethod
    def from_config(cls, config: Mapping[str, Any], ports: Ports) -> Self:
        """Build for one account. Raises ConfigError naming the field."""
        read = read_config(Config, config)
        if not read.signing_secret.startswith("whsec_"):
            raise ConfigError(
                "signing_secret does not begin with whsec_",
                field="signing_secret",
                remedy="copy the signing secret of the webhook endpoint in Stripe's dashboard",
            )
        return cls(read, ports.clock)

    def verify(self, webhook: RawWebhook) -> bool:
        """Check any `v1` of the header over time and raw body, and the time."""
        pairs = [
            part.strip().partition("=")[::2]
            for part in webhook.headers.get("stripe-signature", "").split(",")
        ]
        told = next((value for name, value in pairs if name == "t"), "")
        at = from_unix(told) if told.isascii() and told.isdigit() else None
        if at is None or abs((self._clock.now() - at).total_seconds()) > TOLERANCE_SECONDS:
            return False
        made = hmac.new(self._key, told.encode() + b"." + webhook.body, "sha256").hexdigest()
        given = [value.encode(errors="replace") for name, value in pairs if name == "v1"]
        return any(hmac.compare_digest(made.encode(), one) for one in given)

    def sales(self, webhook: RawWebhook) -> list[Sale]:
        """Read one event; most kinds are no sale. Raises MalformedWebhookError."""
        event = load_json(webhook.body)
        data = event.get("data") if isinstance(event, dict) else None
        row = data.get("object") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(row, dict):
            raise MalformedWebhookError("an event has data.object")
        kind, at = text_of(event, "type"), from_unix(event.get("created"))
        if kind in PAID:
            return _session(row, at)
        if kind == "invoice.paid":
            return _invoice(row, at)
        if kind == "charge.refunded":
            before = data.get("previous_attributes")
            return _refund(row, before if isinstance(before, dict) else {}, at)
        return []


def _session(row: Row, at: datetime | None) -> list[Sale]:
    if row.get("payment_status") != "paid":
        return []
    told = row.get("customer_details")
    who = _named(told if isinstance(told, dict) else {}) | {"email": row.get("customer_email")}
    order = _id(row, "invoice") or _id(row, "payment_intent") or _id(row, "id")
    return _order(order, row, "amount_total", at, person_of(told, who))


def _invoice(row: Row, at: datetime | None) -> list[Sale]:
    named = _named({"name": row.get("customer_name")})
    who = {"email": row.get("customer_email"), "phone": row.get("customer_phone")} | named
    return _order(_id(row, "id"), row, "amount_paid", at, person_of(who))


def _order(
    order: str | None, row: Row, amount: str, at: datetime | None, person: Mapping[str, str]
) -> list[Sale]:
    currency = _currency(row)
    if order is None:
        raise MalformedWebhookError("a payment has no id")
    paid = _major(row.get(amount), currency)
    return [Sale(order, paid, currency, at, person)] if paid > 0 else []


def _refund(row: Row, before: Row, at: datetime | None) -> list[Sale]:
    """Read what one refund gave back: the charge tells the sum of all so far."""
    order = _id(row, "invoice") or _id(row, "payment_intent") or _id(row, "id")
    charge, currency, total = _id(row, "id"), _currency(row), row.get("amount_refunded")
    if order is None or charge is None:
        raise MalformedWebhookError("a charge has no id")
    back = _major(total, currency) - _major(before.get("amount_refunded", 0), currency)
    if back <= 0:
        return []
    return [Sale(order, back, currency, at, refund_id=f"{charge}:{total}")]


def _id(row: Row, name: str) -> str | None:
    """Return the id of a thing that stands there as its id, or whole."""
    value = row.get(name)
    return text_of(value, "id", 80) if isinstance(value, dict) else text_of(row, name, 80)


def _currency(row: Row) -> str:
    return (text_of(row, "currency", 3) or "").upper()


def _major(value: object, currency: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedWebhookError("an amount is no whole number")
    if currency in ZERO_DECIMAL:
        return Decimal(value)
    return Decimal(value).scaleb(-3 if currency in THREE_DECIMAL else -2)


def _named(row: Row) -> Row:
    """Return the parts of a whole name."""
    first, _, last = (text_of(row, "name", 200) or "").strip().partition(" ")
    return {"first_name": first[:100], "last_name": last.strip()[:100]}
