"""Script: what becomes of each message, and which faults strike, by a hash of seed and reference.

Nothing is drawn from a generator: two processes with one seed tell one story about one reference.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from channels.simulators.table import FAULTS, NO_FAULT, SETTINGS, WEBHOOKS, Fault, check

Table = Sequence[tuple[str, float]]
"""Outcomes with their shares, which sum up to 1."""

EMAIL: Table = (("bounce", 0.015), ("blocked", 0.006), ("dropped", 0.004), ("delivered", 0.975))
SMS: Table = (("undelivered", 0.04), ("sent", 0.02), ("delivered", 0.94))
SMS_ERRORS: Table = (
    ("30003", 0.4),  # handset unreachable
    ("30005", 0.2),  # unknown handset
    ("30006", 0.15),  # landline
    ("30007", 0.15),  # filtered
    ("30008", 0.1),  # unknown
)
REPLIES: Table = (("yes", 0.03), ("STOP", 0.006), ("", 0.964))
PUSH: Table = (("", 0.05), ("delivered", 0.95))

OPENED, CLICKED = 0.35, 0.12
MACHINE_OPENED = 0.08
"""Prefetched by a mail proxy, whether or not anybody reads it."""
DEFERRED, COMPLAINED, UNSUBSCRIBED = 0.03, 0.005, 0.005
PUSH_OPENED, UNREGISTERED = 0.08, 0.02
REPEATED = 1 / 12
OFTEN_REPEATED = 1 / 8
"""Of the repeated: three to five times."""


@dataclass(slots=True)
class Script:
    """The story of one seed."""

    seed: int
    faults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """As table.py has it."""
    delay: float = 1.0
    """The longest a webhook is late, in seconds."""
    _requests: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        check(self.faults)

    def change(self, faults: Mapping[str, Mapping[str, Any]]) -> None:
        """Put other faults in the place of those of the providers named. Raises ScriptError."""
        check(faults)
        self.faults = {**self.faults, **faults}

    def roll(self, *parts: object) -> float:
        """Return a number from 0 up to 1 that depends on seed and parts alone."""
        text = "\0".join(map(str, (self.seed, *parts)))
        return int.from_bytes(blake2b(text.encode(), digest_size=6).digest()) / 2**48

    def name(self, *parts: object) -> str:
        """Return 32 hex digits that depend on seed and parts alone: an id."""
        text = "\0".join(map(str, (self.seed, *parts)))
        return blake2b(text.encode(), digest_size=16).hexdigest()

    def chance(self, share: float, *parts: object) -> bool:
        """Say yes to that share of all parts."""
        return self.roll(*parts) < share

    def pick(self, table: Table, *parts: object) -> str:
        """Return one outcome of a table."""
        left = self.roll(*parts)
        for outcome, share in table:
            left -= share
            if left < 0:
                return outcome
        return table[-1][0]

    def fault(self, provider: str, key: str) -> Fault:
        """Return what strikes this request; a second one with the same key has its own luck."""
        shares = self.faults.get(provider)
        if not shares:
            return NO_FAULT
        self._requests[f"{provider}:{key}"] += 1
        number = self._requests[f"{provider}:{key}"]
        table = [(kind, shares.get(kind, 0.0)) for kind in FAULTS]
        kind = self.pick([*table, ("", 1.0)], provider, key, number, "fault")
        return Fault(
            kind=kind,
            accepted=self.chance(0.5, provider, key, number, "accepted"),
            seconds=self.setting(provider, "early_seconds" if kind == "early" else "slow_seconds"),
            retry_after=self.setting(provider, "retry_after"),
        )

    def setting(self, provider: str, name: str) -> float:
        """Return one of a provider's SETTINGS."""
        return float(self.faults.get(provider, {}).get(name, SETTINGS[name]))

    def delayed(self, event: str, copy: int) -> float:
        """Return after how many seconds a copy of an event is posted."""
        told = self.faults.get(WEBHOOKS, {})
        after = self.delay * self.roll(event, copy, "delay")
        if self.chance(told.get("late", 0.0), event, copy, "late"):
            after += told.get("late_seconds", 0.0)
        return after

    def forges(self, event: str, number: int) -> bool:
        """Say whether somebody else posts a lie beside the post that carries this event."""
        share = self.faults.get(WEBHOOKS, {}).get("forged", 0.0)
        return self.chance(share, event, number, "forged")

    def copies(self, event: str) -> int:
        """Return how often an event is posted: once, mostly, unless the script says otherwise."""
        most = self.faults.get(WEBHOOKS, {}).get("copies")
        if most:
            return 1 + int(most * self.roll(event, "copies"))
        if not self.chance(REPEATED, event, "repeated"):
            return 1
        if not self.chance(OFTEN_REPEATED, event, "often"):
            return 2
        return 3 + int(3 * self.roll(event, "copies"))

    def email(self, key: str) -> list[str]:
        """Return what happens to an email, in the order it happens.

        `machine_open`, `open`, `click` and `unsubscribe` are a reader's; the rest are SendGrid's.
        """
        fate = self.pick(EMAIL, key, "email")
        if fate != "delivered":
            return ["dropped"] if fate == "dropped" else ["processed", fate]
        life = ["processed", "delivered"]
        if self.chance(DEFERRED, key, "deferred"):
            life.insert(1, "deferred")
        if self.chance(MACHINE_OPENED, key, "machine_open"):
            life.append("machine_open")
        if self.chance(OPENED, key, "open"):
            clicked = self.chance(CLICKED / OPENED, key, "click")
            life += ["open", "click"] if clicked else ["open"]
        if self.chance(COMPLAINED, key, "spamreport"):
            life.append("spamreport")
        if self.chance(UNSUBSCRIBED, key, "unsubscribe"):
            life.append("unsubscribe")
        return life

    def sms(self, key: str) -> tuple[str, str, str]:
        """Return an SMS's last status, its error code ('' for none) and the reply ('' for none)."""
        fate = self.pick(SMS, key, "sms")
        error = self.pick(SMS_ERRORS, key, "error") if fate == "undelivered" else ""
        reply = self.pick(REPLIES, key, "reply") if fate == "delivered" else ""
        return fate, error, reply

    def push(self, key: str) -> list[str]:
        """Return what the app acknowledges of an accepted push."""
        if not self.pick(PUSH, key, "push"):
            return []
        return ["delivered", "opened"] if self.chance(PUSH_OPENED, key, "open") else ["delivered"]

    def unregistered(self, key: str) -> bool:
        """Say whether the app of a push was removed from its device."""
        return self.chance(UNREGISTERED, key, "unregistered")
