"""Shopify: what was paid and given back. Wire facts: docs/providers/shopify.md."""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Self

from channels.adapter import MalformedWebhookError, Ports, RawWebhook
from channels.payload import load_json, text_of
from channels.sale import Sale, Silent, money, person_of
from channels.settings import read_config

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Config:
    """What a Shopify account needs."""

    secret: str
    """What webhooks are signed with: the app's client secret, or the shop's own in its settings."""


class Shopify(Silent):
    """Reads one shop's webhooks."""

    name: ClassVar[str] = "shopify"

    def __init__(self, config: Config) -> None:
        self._key = config.secret.encode()

    @classmethod
    def from_config(cls, config: Mapping[str, Any], ports: Ports) -> Self:
        """Build for one account. Raises ConfigError naming the field."""
        return cls(read_config(Config, config))

    def verify(self, webhook: RawWebhook) -> bool:
        """Check the HMAC over the raw body."""
        given = webhook.headers.get("x-shopify-hmac-sha256", "").strip()
        made = base64.b64encode(hmac.digest(self._key, webhook.body, "sha256"))
        return hmac.compare_digest(made, given.encode(errors="replace"))

    def sales(self, webhook: RawWebhook) -> list[Sale]:
        """Read one webhook; other topics are no sale. Raises MalformedWebhookError."""
        row = load_json(webhook.body)
        if not isinstance(row, dict):
            raise MalformedWebhookError("a webhook is an object")
        match webhook.headers.get("x-shopify-topic", "").strip().lower():
            case "orders/paid":
                return _order(row)
            case "refunds/create":
                return _refund(row)
            case _:
                return []


def _order(row: Row) -> list[Sale]:
    paid = money(row.get("current_total_price", row.get("total_price")))
    if row.get("test") is True or paid <= 0:
        return []
    customer = row.get("customer")
    mail = {"email": row.get("contact_email")}
    person = person_of(row, mail, customer, row.get("billing_address"))
    told = {"order_name": text_of(row, "name", 100)} if text_of(row, "name") else {}
    at = _instant(row.get("processed_at")) or _instant(row.get("created_at"))
    return [Sale(_id(row, "id"), paid, _currency(row), at, person, properties=told)]


def _refund(row: Row) -> list[Sale]:
    """Read what was really paid back; goods that only came back are no money."""
    told = row.get("transactions")
    paid = [
        one
        for one in (told if isinstance(told, list) else [])
        if isinstance(one, dict) and one.get("kind") == "refund" and one.get("status") == "success"
    ]
    back = sum((money(one.get("amount")) for one in paid), Decimal(0))
    if back <= 0:
        return []
    currency = _currency(paid[0])
    at = _instant(row.get("created_at"))
    return [Sale(_id(row, "order_id"), back, currency, at, refund_id=_id(row, "id"))]


def _id(row: Row, name: str) -> str:
    found = text_of(row, name, 80)
    if found is None:
        raise MalformedWebhookError(f"there is no {name}")
    return found


def _currency(row: Row) -> str:
    return (text_of(row, "currency", 3) or "").upper()


def _instant(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else None
