"""Applying: stored requests become facts and their effects, a set at a time.

One transaction takes up to LIMIT items under a lock and folds those of one account together, in a
savepoint. What cannot be understood is put aside (inbox.py) while the others go on.

Invariants
    1. An item's events, their effects and its own mark are committed together.
    2. Applying is append-only and idempotent: an item applied twice changes nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from sqlalchemy import select
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from channels.adapter import EventType, ProviderEvent
from channels.sale import Sale, Shop
from communications import effects
from communications.account import ProviderAccount
from communications.fold import clean
from communications.receipt import apply_events
from communications.reference import References
from core import log
from core.address import AddressHasher
from core.clock import Clock
from core.db import DATABASE_AWAY, Sessions, write
from core.errors import EngineError
from core.failpoint import reach
from core.rows import among
from core.secret import Vault
from webhooks import click, purchases, replies
from webhooks.context import Services
from webhooks.inbox import InboxItem, claim, empty, mark_applied, mark_unreadable, opened
from webhooks.receiver import Receivers

LIMIT = 200
"""Items a step; their events may be 100 times as many."""
UNREADABLE = (
    EngineError,
    StatementError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What content can make our code raise. DATABASE_AWAY is told apart before."""
TEXTS = ("dedup_key", "reference", "provider_id", "provider_status", "address", "code", "text")

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Applier:
    """What applying needs beside a session and the clock."""

    vault: Vault
    hasher: AddressHasher
    references: References
    receivers: Receivers

    @classmethod
    def of(cls, services: Services) -> Self:
        """Take it from the running product; keep it, for it holds built receivers."""
        return cls(
            vault=services.vault,
            hasher=services.hasher,
            references=services.references,
            receivers=Receivers(services.vault, services.egress),
        )


def step(sessions: Sessions, clock: Clock, applier: Applier, *, limit: int = LIMIT) -> bool:
    """Apply what is waiting: up to `limit` stored requests, and clicks past their moment.

    Returns whether there was any.
    """
    with write(sessions) as session:
        items = claim(session, clock, limit=limit)
        if items:
            reach("C11")
        for account, its_items in _by_account(session, items):
            understood = [
                request
                for item in its_items
                if (request := _understood(session, clock, applier, account, item)) is not None
            ]
            _apply(session, clock, applier, account, understood)
    with write(sessions) as session:
        settled = click.settle(session, clock)
    return bool(items) or settled > 0


@dataclass(frozen=True, slots=True)
class _Request:
    """A stored request and what is in it."""

    item_id: int
    tries: int
    received_at: datetime
    events: list[ProviderEvent]
    sales: list[Sale]


def _by_account(
    session: Session, items: Sequence[InboxItem]
) -> list[tuple[ProviderAccount, list[InboxItem]]]:
    groups: dict[int, list[InboxItem]] = {}
    for item in items:
        groups.setdefault(item.provider_account_id, []).append(item)
    if not groups:
        return []
    # By id: two workers that touch the same people's rows take their locks in one order.
    query = select(ProviderAccount).where(among(session, ProviderAccount.id, sorted(groups)))
    query = query.order_by(ProviderAccount.id)
    return [(account, groups[account.id]) for account in session.scalars(query)]


def _understood(
    session: Session, clock: Clock, applier: Applier, account: ProviderAccount, item: InboxItem
) -> _Request | None:
    """Read a stored request, or put it aside."""
    try:
        webhook = opened(applier.vault, item)
        receiver = applier.receivers.of(account)
        events = [storable(event) for event in receiver.parse(webhook)]
        sales = receiver.sales(webhook) if isinstance(receiver, Shop) else []
    except UNREADABLE as error:
        _put_aside(session, clock, item.id, item.tries, error)
        return None
    return _Request(item.id, item.tries, item.received_at, events, sales)


def _apply(
    session: Session,
    clock: Clock,
    applier: Applier,
    account: ProviderAccount,
    requests: Sequence[_Request],
) -> None:
    """Apply requests as one set; should that fail, one by one, so that one cannot harm others."""
    if not requests:
        return
    try:
        with session.begin_nested():
            _apply_set(session, clock, applier, account, requests)
    except DATABASE_AWAY:
        raise
    except UNREADABLE as error:
        if len(requests) == 1:
            _put_aside(session, clock, requests[0].item_id, requests[0].tries, error)
            return
        for request in requests:
            _apply(session, clock, applier, account, [request])


def _apply_set(
    session: Session,
    clock: Clock,
    applier: Applier,
    account: ProviderAccount,
    requests: Sequence[_Request],
) -> None:
    told = [
        (request.item_id, event)
        for request in requests
        for event in request.events
        if event.type is not EventType.REPLIED
    ]
    applied = apply_events(
        session,
        clock,
        applier.references,
        account=account,
        inbox_id=[item_id for item_id, _ in told],
        events=[event for _, event in told],
    )
    effects.run(session, clock, effects.of(applied.changes))
    new = Counter(applied.new)
    forgotten = set()
    for request in requests:
        for event in request.events:
            if event.type is EventType.REPLIED:
                sender = replies.Sender(session, applier.hasher, account, event.address or "")
                if sender.forgotten:
                    forgotten.add(request.item_id)
                new[request.item_id] += replies.take(
                    session, clock, account, event, sender, request.received_at
                )
        for sale in request.sales:
            new[request.item_id] += purchases.take(
                session, clock, applier.hasher, account=account, sale=sale
            )
    held = {r.item_id: len(r.events) + len(r.sales) for r in requests}
    counts = {item_id: (count, count - new[item_id]) for item_id, count in held.items()}
    mark_applied(session, clock, counts=counts)
    empty(session, item_ids=forgotten)


def _put_aside(session: Session, clock: Clock, item_id: int, tries: int, error: Exception) -> None:
    why = type(error).__name__
    _log.warning("stored request not understood", inbox_id=item_id, reason=why)
    mark_unreadable(session, clock, item_id=item_id, tries=tries, why=why)


def storable(event: ProviderEvent) -> ProviderEvent:
    """Return the event without what no database column can hold: NUL and lone surrogates."""
    dirty: dict[str, Any] = {
        name: clean(text, len(text))
        for name in TEXTS
        if (text := getattr(event, name)) and not (text.isascii() and "\x00" not in text)
    }
    return replace(event, **dirty) if dirty else event
