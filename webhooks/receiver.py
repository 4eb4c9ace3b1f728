"""Receivers: the reading half of each account's adapter, built once per version of its settings."""

from datetime import datetime

from channels.adapter import HttpClient, Ports, Receiver
from channels.registry import UnknownProviderError, receiver
from communications.account import ProviderAccount, account_config
from core.secret import Vault


class Receivers:
    """Builds receivers of provider accounts and keeps them until the account changes."""

    def __init__(self, vault: Vault, http: HttpClient) -> None:
        self._vault = vault
        self._ports = Ports(http=http)
        self._built: dict[int, tuple[datetime, Receiver]] = {}

    def of(self, account: ProviderAccount) -> Receiver:
        """Return the account's receiver.

        Raises UnknownProviderError when its adapter receives nothing, the adapter's InvalidError
        when its settings lack what verifies a signature, SealedError when they do not open.
        """
        kept = self._built.get(account.id)
        if kept is not None and kept[0] == account.updated_at:
            return kept[1]
        kind = receiver(account.adapter)
        if not hasattr(kind, "verify"):
            raise UnknownProviderError(f"{account.adapter} posts no receipts", field="adapter")
        built = kind.from_config(account_config(self._vault, account), self._ports)
        self._built[account.id] = (account.updated_at, built)
        return built
