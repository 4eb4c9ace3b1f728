"""Replay: stored requests looked at, and put back to be applied again.

A provider posts once; what our own fault kept from being understood is applied after the fix, from
the bytes that were kept.

Invariants
    1. What was applied may be applied again: its events are known, so nothing changes twice.
    2. Nothing here acts on another client's requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from accounts.audit import record
from channels.adapter import ProviderEvent, RawWebhook
from communications.account import ProviderAccount
from core.clock import Clock
from core.errors import EngineError, NotFoundError
from core.rows import among
from core.secret import Vault
from webhooks.inbox import InboxItem, InboxState, opened
from webhooks.receiver import Receivers

REPLAYABLE = (InboxState.DEAD, InboxState.APPLIED)
MAX_AUDITED = 100
"""Ids named in the audit entry; its count is of all."""


class StoredRequestNotFoundError(NotFoundError):
    """The client has no stored request with this id."""

    code = "stored_request_not_found"
    usual = "list the stored requests, and use an id from there"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which stored requests are meant; what is not given does not matter."""

    states: Sequence[InboxState] = REPLAYABLE
    account_id: int | None = None
    since: datetime | None = None
    """Received at this instant or later."""
    until: datetime | None = None
    """Received before this instant."""
    ids: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Stock:
    """How many stored requests an account has in one state."""

    account_id: int
    account: str
    state: InboxState
    requests: int
    events: int
    newest: datetime


@dataclass(frozen=True, slots=True)
class Contents:
    """A stored request as it came, and the events our adapter reads in it."""

    webhook: RawWebhook
    events: Sequence[ProviderEvent]
    trouble: str | None
    """Why the adapter cannot read it."""


def stocks(session: Session, client_id: int) -> list[Stock]:
    """Return what is stored, by account and state."""
    found = session.execute(
        select(
            ProviderAccount.id,
            ProviderAccount.name,
            InboxItem.state,
            func.count(),
            func.sum(InboxItem.events),
            func.max(InboxItem.received_at),
        )
        .join(InboxItem, InboxItem.provider_account_id == ProviderAccount.id)
        .where(InboxItem.client_id == client_id)
        .group_by(ProviderAccount.id, ProviderAccount.name, InboxItem.state)
        .order_by(ProviderAccount.id, InboxItem.state)
    )
    return [Stock(*row) for row in found]


def troubles(session: Session, client_id: int, *, limit: int) -> Sequence[InboxItem]:
    """Return the newest requests that were not understood, at once or at last."""
    return session.scalars(
        select(InboxItem)
        .where(InboxItem.client_id == client_id, InboxItem.error.is_not(None))
        .order_by(InboxItem.id.desc())
        .limit(limit)
    ).all()


def stored(session: Session, client_id: int, item_id: int) -> InboxItem:
    """Return one stored request. Raises StoredRequestNotFoundError."""
    found = session.scalar(
        select(InboxItem).where(InboxItem.id == item_id, InboxItem.client_id == client_id)
    )
    if found is None:
        raise StoredRequestNotFoundError(
            f"there is no stored request {item_id}", field="id", remedy="echelonx webhook list"
        )
    return found


def contents(session: Session, vault: Vault, receivers: Receivers, item: InboxItem) -> Contents:
    """Open a stored request and read it as applying would. Raises SealedError."""
    webhook = opened(vault, item)
    account = session.get_one(ProviderAccount, item.provider_account_id)
    try:
        return Contents(webhook, receivers.of(account).parse(webhook), None)
    except (EngineError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as no:
        return Contents(webhook, (), type(no).__name__)


def matching(session: Session, client_id: int, choice: Choice) -> int:
    """Return how many requests a replay would put back."""
    counted = select(func.count()).select_from(InboxItem).where(*_terms(session, client_id, choice))
    return session.scalar(counted) or 0


def replay(
    session: Session, clock: Clock, *, client_id: int, actor: str, choice: Choice
) -> Sequence[int]:
    """Put requests back to be applied again from the start; return their ids."""
    back = (
        update(InboxItem)
        .where(*_terms(session, client_id, choice))
        .values(state=InboxState.NEW, tries=0, error=None, not_before=clock.now(), applied_at=None)
        .returning(InboxItem.id)
        .execution_options(synchronize_session=False)
    )
    ids = sorted(session.scalars(back))
    record(
        session,
        clock,
        client_id=client_id,
        actor=actor,
        action="webhook.replay",
        requests=len(ids),
        ids=ids[:MAX_AUDITED],
        states=[state.value for state in choice.states],
    )
    return ids


def _terms(session: Session, client_id: int, choice: Choice) -> list[ColumnElement[bool]]:
    # Never what waits already: its tries and its turn are the applier's.
    states = [state.value for state in choice.states if state in REPLAYABLE]
    kept = func.length(InboxItem.request) > 0  # an emptied one has nothing left to apply
    terms = [InboxItem.client_id == client_id, InboxItem.state.in_(states), kept]
    if choice.account_id is not None:
        terms.append(InboxItem.provider_account_id == choice.account_id)
    if choice.since is not None:
        terms.append(InboxItem.received_at >= choice.since)
    if choice.until is not None:
        terms.append(InboxItem.received_at < choice.until)
    if choice.ids:
        terms.append(among(session, InboxItem.id, choice.ids))
    return terms
