"""What a provider did with one send, as four values instead of exceptions.

The four are the whole truth a worker needs: only `NotSent` may be sent again unasked. Which reply
is which, reply.py and transaction.py say; an exception or status nobody listed is `Ambiguous`,
never `NotSent`.
"""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the message. Its id may be missing."""

    provider_id: str | None = None
    provider_status: str | None = None
    """The provider's own first word for it: `queued`, `202`."""
    segments: int | None = None
    cost: Decimal | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider refused for good; sending the same again would be refused again."""

    code: str
    reason: str
    address_invalid: bool = False
    """The address itself is dead: suppress it."""
    opted_out: bool = False
    """The provider holds an opt-out of this member (Twilio 21610)."""
    account_fault: bool = False
    """The account, not the message, is refused (401, 403): pause the account, keep the row."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """No byte of the message can have been accepted; it is safe to try again."""

    reason: str
    retry_after: float | None = None
    """Seconds the provider asked us to wait."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The provider may or may not have it. Never sent again unasked."""

    reason: str


Outcome = Accepted | Rejected | NotSent | Ambiguous

DEADLINE_PASSED = NotSent("deadline passed")
"""What an adapter yields for messages it did not come to in time: no fault, no wait."""
