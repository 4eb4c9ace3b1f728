"""Names of the providers and where they live. Adding a provider is one line here."""

from importlib import import_module
from typing import Any

from channels.adapter import Receiver, Sender
from core.errors import InvalidError

PROVIDERS = {
    "fcm": "channels.providers.fcm:Fcm",
    "sendgrid": "channels.providers.sendgrid:SendGrid",
    "smtp": "channels.providers.smtp:Smtp",
    "twilio": "channels.providers.twilio:Twilio",
}


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


def _adapter(name: str) -> Any:
    if name not in PROVIDERS:
        raise UnknownProviderError(
            f"no provider is called “{name}”",
            field="adapter",
            remedy=f"use one of {', '.join(adapter_names())}",
        )
    module, _, attribute = PROVIDERS[name].partition(":")
    return getattr(import_module(module), attribute)
