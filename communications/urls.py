"""Urls: the public links that a message carries. Each holds a signed token, never a bare id."""

from urllib.parse import quote

from core.token import Signer


class Urls:
    """Builds links below the configured public URL; never from a request's Host header."""

    def __init__(self, public_url: str, signer: Signer) -> None:
        self._base = public_url.rstrip("/")
        self._signer = signer

    def click(self, communication_id: int, position: int) -> str:
        """Return the tracked link in place of the template's link number `position`."""
        return f"{self._base}/c/{self._signer.sign('click', communication_id, position)}"

    def open(self, communication_id: int) -> str:
        """Return the address of the open pixel."""
        return f"{self._base}/o/{self._signer.sign('open', communication_id)}.gif"

    def unsubscribe(self, communication_id: int) -> str:
        """Return the unsubscribe page, which also answers RFC 8058 one-click POSTs."""
        return f"{self._base}/u/{self._signer.sign('unsubscribe', communication_id)}"

    def receipts(self, adapter: str, account_token: str) -> str:
        """Return where the provider posts what it has to tell about one account."""
        return f"{self._base}/webhooks/{adapter}/{account_token}"

    def status(self, adapter: str, account_token: str, reference: str) -> str:
        """Return the same for one attempt, for providers that take a URL per message (Twilio)."""
        return f"{self.receipts(adapter, account_token)}?a={quote(reference)}"
