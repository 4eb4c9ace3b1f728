"""Names of the providers and where they live. Adding a provider is one line here."""

from importlib import import_module
from typing import Any

from channels.adapter import Receiver, Searcher, Sender
from core.errors import InvalidError

PROVIDERS = {
    "fcm": "channels.providers.fcm:Fcm",
    "sendgrid": "channels.providers.sendgrid:SendGrid",
    "shopify": "channels.providers.shopify:Shopify",
    "smtp": "channels.providers.smtp:Smtp",
    "stripe": "channels.providers.stripe:Stripe",
    "twilio": "channels.providers.twilio:Twilio",
}
SEARCHABLE = frozenset({"sendgrid", "twilio"})
"""Those that can be asked for a message; known without importing them."""


class UnknownProviderError(InvalidError):
    """No provider has this name."""

    code = "unknown_provider"


def adapter_names() -> list[str]:
    """Return every provider's name."""
    return sorted(PROVIDERS)


def sender(name: str) -> type[Sender]:
    """Return the sending half; imported only now, so that an SDK costs only those who use it."""
    found: type[Sender] = _adapter(name)
    return found


def receiver(name: str) -> type[Receiver]:
    """Return the half that reads receipts."""
    found: type[Receiver] = _adapter(name)
    return found


def searcher(name: str) -> type[Searcher] | None:
    """Return the half that asks its provider for a message; None where there is none."""
    if name not in SEARCHABLE:
        return None
    found: type[Searcher] = _adapter(name)
    return found


def _adapter(name: str) -> Any:
    if name not in PROVIDERS:
        raise UnknownProviderError(
            f"no provider is called “{name}”",
            field="adapter",
            remedy=f"use one of {', '.join(adapter_names())}",
        )
    module, _, attribute = PROVIDERS[name].partition(":")
    return getattr(import_module(module), attribute)
