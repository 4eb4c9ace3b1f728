"""Script: what becomes of each message, and which faults strike, by a hash of seed and reference.

Nothing is drawn from a generator: two processes with one seed tell one story about one reference.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from core.errors import InvalidError

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

PROVIDERS = ("sendgrid", "smtp", "twilio", "fcm")
FAULTS = ("lost", "slow", "reset", "429", "500", "400", "empty", "odd")
"""lost: accepted, then cut without an answer. slow: accepted, answered after `slow_seconds`.
reset: cut before accepting. 500: half of them accepted. empty, odd: a 2xx without a body, or with
a page in it (RELIABILITY 3.3, 3.6)."""
SLOW_SECONDS = "slow_seconds"


class ScriptError(InvalidError):
    """A fault script cannot be followed."""

    code = "invalid_script"


@dataclass(frozen=True, slots=True)
class Fault:
    """What strikes one request."""

    kind: str = ""
    """One of FAULTS, or '' for none."""
    accepted: bool = True
    """Of a 500: whether the message was taken all the same."""
    seconds: float = 0.0
    """How late a slow answer is."""


NO_FAULT = Fault()


@dataclass(slots=True)
class Script:
    """The story of one seed."""

    seed: int
    faults: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Share of requests by provider and kind."""
    delay: float = 1.0
    """The longest a webhook is late, in seconds."""
    _requests: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for provider, shares in self.faults.items():
            _check_faults(provider, shares)

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
        return Fault(
            kind=self.pick([*table, ("", 1.0)], provider, key, number, "fault"),
            accepted=self.chance(0.5, provider, key, number, "accepted"),
            seconds=shares.get(SLOW_SECONDS, 30.0),
        )

    def copies(self, event: str) -> int:
        """Return how often an event is posted: once, mostly."""
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


def _check_faults(provider: str, shares: object) -> None:
    if provider not in PROVIDERS:
        raise ScriptError(
            f"there is no provider {provider}", field=provider, remedy=f"use {', '.join(PROVIDERS)}"
        )
    if not isinstance(shares, Mapping):
        raise ScriptError("faults are an object", field=provider, remedy='{"lost": 0.01}')
    for kind, share in shares.items():
        if kind not in (*FAULTS, SLOW_SECONDS):
            raise ScriptError(
                f"there is no fault {kind}",
                field=f"{provider}.{kind}",
                remedy=f"use {', '.join((*FAULTS, SLOW_SECONDS))}",
            )
        if not isinstance(share, int | float) or share < 0:
            raise ScriptError("a share is a number from 0 to 1", field=f"{provider}.{kind}")
    if sum(share for kind, share in shares.items() if kind != SLOW_SECONDS) > 1:
        raise ScriptError("the shares sum up to more than 1", field=provider)
