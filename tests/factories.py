"""Things tests need to exist, made directly and quickly; how they come about is tested elsewhere.

Each function writes one row and returns its id, and takes any column as a keyword.
"""

import itertools
from datetime import datetime, timedelta
from typing import Any

from accounts.client import Client
from channels.channel import Channel
from communications.account import ProviderAccount, seal
from communications.communication import Communication
from communications.link import Link
from communications.status import Rank, Status
from core.address import AddressHasher
from core.clock import Clock, ManualClock
from core.db import Sessions, write
from core.secret import Vault
from members.address import MemberAddress
from members.consent import MARKETING, ConsentState, CurrentConsent
from members.member import Member

KEY = bytes(range(32))
"""The master key of tests."""
_numbers = itertools.count(1)


class MovingClock(ManualClock):
    """A clock that moves at every look, as the machine's does."""

    def now(self) -> datetime:
        """Return an instant later than any before."""
        self.set(super().now() + timedelta(microseconds=1))
        return super().now()


class Factory:
    """Makes rows for one client."""

    def __init__(self, sessions: Sessions, clock: Clock, client_id: int) -> None:
        self.sessions, self.clock, self.client_id = sessions, clock, client_id
        self.vault, self.hasher = Vault(KEY), AddressHasher(KEY)

    def member(self, **values: Any) -> int:
        """A person without any address."""
        number = next(_numbers)
        return self._add(Member, {"member_id": f"m-{number}", "first_name": "Ana"} | values)

    def address(self, member_id: int, kind: str = "email", value: str | None = None) -> str:
        """A primary address with consent; returns its normal form."""
        made = (
            value
            or {
                "email": f"m{member_id}@example.com",
                "sms": f"+1201555{member_id:04d}",
                "push": f"token-{member_id:08d}",
            }[kind]
        )
        self._add(
            MemberAddress,
            {
                "member_id": member_id,
                "channel": kind,
                "value": made,
                "hash": self.hash(kind, made),
            },
        )
        self._add(
            CurrentConsent,
            {
                "member_id": member_id,
                "channel": kind,
                "topic": MARKETING,
                "state": ConsentState.GRANTED,
                "occurred_at": self.clock.now(),
            },
            times=(),
        )
        return made

    def account(
        self, adapter: str, channel: Channel, settings: dict[str, Any], **values: Any
    ) -> int:
        """A provider account; its settings are not checked."""
        token = values.pop("token", f"token-of-account-{next(_numbers):06d}")
        row = {
            "name": token,
            "adapter": adapter,
            "channel": channel,
            "token": token,
            "config": seal(self.vault, token, settings),
        }
        return self._add(ProviderAccount, row | values)

    def message(self, member_id: int | None = None, channel: str = "email", **values: Any) -> int:
        """A message that a provider has accepted, to a new member unless one is given."""
        kind = Channel(channel).address_kind
        if member_id is None:
            member_id = self.member()
            values.setdefault("to_address", self.address(member_id, kind))
        to = values.get("to_address")
        row = {
            "member_id": member_id,
            "channel": Channel(channel),
            "address_hash": self.hash(kind, to) if to else None,
            "status": Status.SENT,
            "rank": Rank.SENT,
            "sent_at": self.clock.now(),
            "not_before": self.clock.now(),
        }
        return self._add(Communication, row | values)

    def link(self, version_id: int, position: int, url: str) -> int:
        """A tracked link of a template version."""
        row = {"template_version_id": version_id, "position": position, "url": url}
        return self._add(Link, row, times=())

    def hash(self, kind: str, value: str) -> str:
        """The keyed hash of an address of this client."""
        return self.hasher.hash(self.client_id, kind, value)

    def another_client(self) -> "Factory":
        """A factory for a client of its own."""
        values = {"name": f"Other {next(_numbers)}", "country": "US"}
        with write(self.sessions) as session:
            now = self.clock.now()
            client = Client(created_at=now, updated_at=now, **values)
            session.add(client)
            session.flush()
            return Factory(self.sessions, self.clock, client.id)

    def rename(self, name: str) -> None:
        """Give the client another name."""
        with write(self.sessions) as session:
            session.get_one(Client, self.client_id).name = name

    def _add(
        self,
        model: type[Any],
        values: dict[str, Any],
        times: tuple[str, ...] = ("created_at", "updated_at"),
    ) -> int:
        stamps = dict.fromkeys(times, self.clock.now())
        with write(self.sessions) as session:
            row = model(**{"client_id": self.client_id} | stamps | values)
            session.add(row)
            session.flush()
            return getattr(row, "id", 0)
