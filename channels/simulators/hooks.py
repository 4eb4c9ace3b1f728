"""Hooks: where webhooks go, and which of those places may be contacted at all: loopback."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from core.errors import InvalidError

NAMES = ("sendgrid", "fcm", "twilio_inbound")


class HookError(InvalidError):
    """A webhook address cannot be used."""

    code = "invalid_webhook_address"


class Hooks:
    """The addresses set at the providers, which may change at any time."""

    def __init__(self, base: str | None = None) -> None:
        self._base = base.rstrip("/") if base else None
        if self._base and not is_loopback(self._base):
            raise HookError("simulators contact loopback only", field="webhook_base")
        self._urls: dict[str, str] = {}

    def set(self, urls: Mapping[str, object]) -> None:
        """Change some; a path is taken below the base. Raises HookError."""
        for name, url in urls.items():
            if name not in NAMES or not isinstance(url, str):
                raise HookError(
                    f"there is no webhook {name}", field=name, remedy=f"use {', '.join(NAMES)}"
                )
        for name, url in urls.items():
            self._urls[name] = f"{self._base or ''}{url}" if str(url).startswith("/") else str(url)

    def all(self) -> dict[str, str]:
        """Return them by name."""
        return dict(self._urls)

    def url(self, name: str) -> str | None:
        """Return one as it is configured at the provider, and signed; None when it is not set."""
        return self._urls.get(name)

    def reach(self, url: str) -> str | None:
        """Return where to connect for `url`: itself on loopback, else its path on the base.

        None when neither can be: nobody outside of this machine is ever contacted.
        """
        if is_loopback(url):
            return url
        if self._base is None:
            return None
        wanted, base = urlsplit(url), urlsplit(self._base)
        return urlunsplit((base.scheme, base.netloc, wanted.path, wanted.query, ""))


def is_loopback(url: str) -> bool:
    """Say whether an http URL leads to this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme != "http":
            return False
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
