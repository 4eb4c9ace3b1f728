"""Receivers: the reading half of each account's adapter, built once per version of its settings.

Directory finds the account a webhook URL names. Providers post thousands of times a second to a
handful of accounts, so it remembers each for a moment: other settings are believed that much later.
"""

from datetime import datetime

from channels.adapter import HttpClient, Ports, Receiver
from channels.registry import UnknownProviderError, receiver
from communications.account import ProviderAccount, account_by_token, account_config
from core.clock import ticking
from core.db import Sessions, read
from core.secret import Vault

REMEMBER_SECONDS = 1.0
"""How long a change of an account's settings may go unnoticed here."""


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


class Directory:
    """Finds accounts by the token of their webhook URL."""

    def __init__(self, sessions: Sessions, *, remember: float = REMEMBER_SECONDS) -> None:
        self._sessions = sessions
        self._remember = remember
        self._known: dict[str, tuple[float, ProviderAccount]] = {}

    def account(self, token: str) -> ProviderAccount | None:
        """Return the account with this token; None is never remembered, so guesses fill nothing."""
        known = self._known.get(token)
        if known is not None and ticking() < known[0]:
            return known[1]
        with read(self._sessions) as session:
            found = account_by_token(session, token)
            if found is None:
                self._known.pop(token, None)
                return None
            session.expunge(found)
        self._known[token] = (ticking() + self._remember, found)
        return found
