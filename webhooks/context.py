"""Services: what the routes of this package may use of the running product."""

from typing import Protocol

from channels.adapter import HttpClient
from communications.reference import References
from communications.urls import Urls
from core.address import AddressHasher
from core.clock import Clock
from core.db import Sessions
from core.secret import Vault
from core.token import Signer


class Bell(Protocol):
    """Wakes whoever looks for work; a lost ring costs seconds, never work (law 3)."""

    def ring(self) -> None:
        """Say that there is work."""
        ...


class Services(Protocol):
    """The parts of echelonx.wiring.Services that this package reads."""

    @property
    def sessions(self) -> Sessions:
        """Makes database sessions."""
        ...

    @property
    def clock(self) -> Clock:
        """The one clock."""
        ...

    @property
    def vault(self) -> Vault:
        """Opens provider settings and seals stored requests."""
        ...

    @property
    def hasher(self) -> AddressHasher:
        """Makes the keyed hashes suppressions are kept under."""
        ...

    @property
    def signer(self) -> Signer:
        """Reads the tokens of public links."""
        ...

    @property
    def references(self) -> References:
        """Reads our attempt references out of receipts."""
        ...

    @property
    def urls(self) -> Urls:
        """Knows the public URL, which Twilio's signature covers."""
        ...

    @property
    def bell(self) -> Bell:
        """Rung after a request was stored."""
        ...

    @property
    def egress(self) -> HttpClient:
        """Handed to adapters; receivers hardly need it."""
        ...
