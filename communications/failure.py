"""Failure: messages that were refused or could not be made, grouped by why, with what to do.

Those whose cause can be mended can be sent again under the same unique key; consent, suppression
and expiry are asked again before they leave.

Invariants
    1. Only what certainly was not sent goes again: no provider took it, and no attempt is open.
    2. What will fail again, whatever is done, is refused; so is what nobody can say any more,
       since its content was removed.
    3. The operator says how many are meant; another number changes nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from accounts.audit import record
from channels.channel import Channel
from communications.communication import FAILURE, Communication, Reason
from communications.errors import (
    ContentRemovedError,
    NothingExpectedError,
    PermanentFailureError,
    UnexpectedCountError,
)
from communications.status import STEPS, Rank, Status, Step
from core.clock import Clock
from core.db import UtcDateTime
from core.rows import among

C = Communication
LIVES = timedelta(hours=24)
"""At least so long a message that goes again has left to live."""
SHOWN = 100


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a provider refuses, and what to do about it."""

    why: str
    action: str
    again: bool
    """Whether sending it again can help, once that is done."""


CAUSES: dict[str, Cause] = {
    # Twilio
    "21610": Cause("the number opted out", "nothing: only START, by themselves, allows it", False),
    "21211": Cause("this is no number", "correct the number", False),
    "21614": Cause("the number takes no SMS", "use another channel", False),
    "21408": Cause("the country is not allowed", "allow it with the provider", True),
    "30003": Cause("the handset was off or away", "try again tomorrow", True),
    "30004": Cause("the number blocks messages", "use another channel", False),
    "30005": Cause("the number does not exist", "correct the number", False),
    "30006": Cause("a landline", "use voice or email", False),
    "30007": Cause("the carrier filtered it as spam", "change the text, register the sender", True),
    # SMTP
    "421": Cause("the server was busy", "try again later", True),
    "452": Cause("the mailbox was full, or the quota reached", "try again tomorrow", True),
    "550": Cause("the mailbox does not exist or refuses", "correct the address", False),
    "552": Cause("the mailbox is full", "try again in some days", True),
    "554": Cause("refused by policy", "look at the sender's domain and reputation", True),
    # FCM
    "UNREGISTERED": Cause("the app was removed", "nothing: the token is dead", False),
    "SENDER_ID_MISMATCH": Cause("a token of another app", "collect tokens anew", False),
    "QUOTA_EXCEEDED": Cause("too many at once", "try again later", True),
    # HTTP
    "400": Cause("the request was not understood", "look at the message and the account", True),
    "401": Cause("the key was not accepted", "correct the account's key, and resume it", True),
    "403": Cause("the account may not do this", "allow it with the provider", True),
    "413": Cause("the message was too large", "shorten it; a new version goes to others", False),
}
BY_REASON: dict[str, Cause] = {
    Reason.TRIES_USED_UP: Cause("the provider could not be reached", "try again", True),
    Reason.RENDER_FAILED: Cause(
        "the wording cannot be made with the member's values",
        "what was promised stays as it is: complete the member, and send the next campaign",
        False,
    ),
    Reason.EXPIRED: Cause("it could not leave in time", "resume what was paused", True),
    Reason.UNDELIVERED: Cause("taken, but not delivered", "look at the address", False),
}
OTHER = Cause("the provider refused it", "look at its message", True)
NOT_TAKEN = (Reason.REJECTED, Reason.TRIES_USED_UP)


@dataclass(frozen=True, slots=True)
class Failed:
    """Which failures; what is None is not asked for."""

    campaign_id: int | None = None
    run_id: int | None = None
    channel: Channel | None = None
    provider_account_id: int | None = None
    reason: Reason | None = None
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures that are alike."""

    channel: Channel
    provider_account_id: int | None
    reason: Reason | None
    error_code: str | None
    example: str | None
    """What the provider said of the newest of them."""
    rows: int
    cause: str
    action: str
    retryable: int
    """How many a retry would send again."""
    content_removed: int
    """How many it cannot, as nobody keeps any longer what they said."""


@dataclass(frozen=True, slots=True)
class Retried:
    """What a retry did."""

    rows: int
    run_ids: tuple[int, ...]
    content_removed: int


@dataclass(frozen=True, slots=True)
class Retryable:
    """What a retry would do."""

    rows: Sequence[Any]
    """(id, run_id) of what goes again, in id order."""
    content_removed: Sequence[int]
    """Ids of what would, were it still known what it said."""


def cause_of(reason: Reason | None, error_code: str | None) -> Cause:
    """Return why messages failed, as far as it is known."""
    known = CAUSES.get(error_code or "")
    return known or BY_REASON.get(reason or "") or OTHER


def failures(session: Session, client_id: int, which: Failed) -> list[FailureGroup]:
    """Return a client's failures, the largest group first."""
    query = (
        select(
            C.channel,
            C.provider_account_id,
            C.reason,
            C.error_code,
            func.max(C.id),
            func.count(),
            func.count().filter(_unsent(), C.content_removed_at.is_(None)),
            func.count().filter(_unsent(), C.content_removed_at.is_not(None)),
        )
        .where(*_failed(client_id, which))
        .group_by(C.channel, C.provider_account_id, C.reason, C.error_code)
        .order_by(func.count().desc(), C.channel, C.reason, C.error_code)
    )
    found = session.execute(query).all()
    newest = select(C.id, C.error_message).where(among(session, C.id, [row[4] for row in found]))
    said = {row.id: row.error_message for row in session.execute(newest)}
    groups = []
    for channel, account, reason, code, one, rows, *of_these in found:
        cause = cause_of(reason, code)
        again, emptied = of_these if cause.again else (0, 0)
        told = (channel, account, reason, code, said.get(one), rows)
        groups.append(FailureGroup(*told, cause.why, cause.action, again, emptied))
    return groups


def retryable(session: Session, client_id: int, which: Failed, *, lock: bool = False) -> Retryable:
    """Return what a retry would send again.

    Raises PermanentFailureError where all that is meant would fail again.
    """
    query = select(C.id, C.run_id, C.reason, C.error_code, C.content_removed_at).where(
        *_failed(client_id, which), _unsent()
    )
    rows = session.execute((query.with_for_update() if lock else query).order_by(C.id)).all()
    found = [row for row in rows if cause_of(row.reason, row.error_code).again]
    if rows and not found:
        cause = cause_of(rows[0].reason, rows[0].error_code)
        raise PermanentFailureError(
            f"{len(rows):,} messages match, and would fail again: {cause.why}",
            field="filter",
            remedy=cause.action,
        )
    return Retryable(
        [row for row in found if row.content_removed_at is None],
        [row.id for row in found if row.content_removed_at is not None],
    )


def send_again(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    which: Failed,
    expected: int,
    actor: str,
) -> Retried:
    """Send failures again that are mended, and record it.

    Raises UnexpectedCountError when another number than `expected` is meant, NothingExpectedError
    for 0, PermanentFailureError where it cannot help, ContentRemovedError where nothing is left
    to be sent.
    """
    if expected < 1:
        raise NothingExpectedError(
            "no messages are meant", field="count", remedy="choose failures that can be mended"
        )
    found = retryable(session, client_id, which, lock=True)
    rows = found.rows
    if found.content_removed and not rows:
        raise ContentRemovedError(
            found.content_removed, "write to their members in another campaign"
        )
    if len(rows) != expected:
        raise UnexpectedCountError(len(rows), expected)
    _again(session, clock, [row.id for row in rows])
    told = {name: value for name, value in asdict(which).items() if value is not None}
    record(
        session, clock, client_id=client_id, actor=actor, action="communication.retry",
        rows=len(rows), ids=[row.id for row in rows[:SHOWN]], which=told,
    )  # fmt: skip
    session.flush()
    run_ids = tuple(sorted({row.run_id for row in rows if row.run_id}))
    return Retried(len(rows), run_ids, len(found.content_removed))


def _failed(client_id: int, which: Failed) -> list[ColumnElement[bool]]:
    # In the words of its index.
    found = [C.client_id == client_id, literal_column(f"({FAILURE})", Boolean())]
    asked = {getattr(C, name): value for name, value in asdict(which).items()}
    return found + [column == value for column, value in asked.items() if value is not None]


def _unsent() -> ColumnElement[bool]:
    """Return whether a failure certainly was not sent, and has an address to go to."""
    refused = (C.status == Status.FAILED) & C.reason.in_(NOT_TAKEN)
    expired = (C.status == Status.SKIPPED) & (C.reason == Reason.EXPIRED)
    return (
        or_(refused, expired)
        & (C.rank == Rank.OPEN)
        & (C.open_attempts == 0)
        & C.address_hash.is_not(None)
    )


def _again(session: Session, clock: Clock, ids: Sequence[int]) -> None:
    now = clock.now()
    soonest = literal(now + LIVES, UtcDateTime())
    allowed, target = STEPS[Step.AGAIN]
    session.execute(
        update(C)
        .where(among(session, C.id, ids), C.status.in_(allowed), _unsent())
        .values(
            status=target,
            reason=None,
            error_code=None,
            error_message=None,
            failed_at=None,
            held=None,
            owner=None,
            lease_until=None,
            not_before=now,
            expires_at=case((C.expires_at < soonest, soonest), else_=C.expires_at),
            tries=0,
            crashes=0,
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )
