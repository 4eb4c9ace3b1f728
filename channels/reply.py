"""Reply: what an HTTP answer means for the messages it carried."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from channels.adapter import CannotSay, HttpReply
from channels.outcome import Accepted, Ambiguous, NotSent, Outcome, Rejected

REJECTED = frozenset({400, 401, 403, 404, 413, 422})
ACCOUNT_FAULT = frozenset({401, 403})
MAX_WAIT_SECONDS = 86_400.0


def outcome_of(reply: HttpReply, now: datetime, *, reason: str = "") -> Outcome:
    """Return the outcome by status alone. What is not listed is ambiguous.

    `reason` is what the provider said, for a refusal.
    """
    status = reply.status
    match status:
        case None if not reply.sent:
            return NotSent(reply.error or "could not connect")
        case None:
            return Ambiguous(reply.error or "no answer")
        case 429:
            return NotSent("HTTP 429", retry_after(reply, now))
        case 503 if "retry-after" in reply.headers:
            return NotSent("HTTP 503", retry_after(reply, now))
        case _ if 200 <= status < 300:
            return Accepted(provider_status=str(status))
        case _ if status in REJECTED:
            said = f"HTTP {status} {reason}".strip()[:200]
            return Rejected(str(status), said, account_fault=status in ACCOUNT_FAULT)
        case _:
            return Ambiguous(f"HTTP {status}")


def retry_after(reply: HttpReply, now: datetime) -> float | None:
    """Return the seconds asked for in Retry-After (a number or a date); None when there are none.

    At most a day: a broken header must not park a queue for a year.
    """
    value = reply.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), MAX_WAIT_SECONDS)
    try:
        due = parsedate_to_datetime(value)
    except ValueError:
        return None
    aware = due.replace(tzinfo=UTC) if due.tzinfo is None else due
    return min(max((aware - now).total_seconds(), 0.0), MAX_WAIT_SECONDS)


def unsaid(reply: HttpReply | None) -> CannotSay:
    """Return why a question about a message was not answered."""
    status = reply.status if reply is not None else None
    match status:
        case None:
            error = reply.error if reply is not None else None
            return CannotSay(error or "no answer", again=True)
        case 429 | 503:
            return CannotSay(f"HTTP {status}: asked too often", of_account=True, again=True)
        case 401 | 403 | 404:
            return CannotSay(f"HTTP {status}: the key may not read messages", of_account=True)
        case _:
            return CannotSay(f"HTTP {status}", again=status >= 500)
