"""Applying: stored requests become facts and their effects, a set at a time.

One transaction takes up to LIMIT items under a lock, each in a savepoint of its own, so that one
that cannot be understood is put aside (inbox.py) while the others go on.

Invariants
    1. An item's events, their effects and its own mark are committed together.
    2. Applying is append-only and idempotent: an item applied twice changes nothing.
"""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from channels.adapter import EventType, ProviderEvent
from communications.account import ProviderAccount
from communications.fold import clean
from communications.receipt import apply_events
from communications.reference import References
from core import log
from core.address import AddressHasher
from core.clock import Clock
from core.db import Sessions, write
from core.errors import EngineError
from core.rows import among
from core.secret import Vault
from webhooks import click, effects, replies
from webhooks.inbox import InboxItem, claim, mark_applied, mark_unreadable, opened
from webhooks.receive import DATABASE_AWAY
from webhooks.receiver import Receivers

LIMIT = 50
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


def step(sessions: Sessions, clock: Clock, applier: Applier, *, limit: int = LIMIT) -> bool:
    """Apply what is waiting: up to `limit` stored requests, and clicks past their moment.

    Returns whether there was any.
    """
    with write(sessions) as session:
        items = claim(session, clock, limit=limit)
        accounts = _accounts(session, {item.provider_account_id for item in items})
        for item in items:
            _apply_or_put_aside(session, clock, applier, accounts[item.provider_account_id], item)
    with write(sessions) as session:
        settled = click.settle(session, clock)
    return bool(items) or settled > 0


def _accounts(session: Session, ids: set[int]) -> dict[int, ProviderAccount]:
    if not ids:
        return {}
    query = select(ProviderAccount).where(among(session, ProviderAccount.id, sorted(ids)))
    return {account.id: account for account in session.scalars(query)}


def _apply_or_put_aside(
    session: Session, clock: Clock, applier: Applier, account: ProviderAccount, item: InboxItem
) -> None:
    item_id, tries = item.id, item.tries
    try:
        with session.begin_nested():
            _apply(session, clock, applier, account, item)
    except DATABASE_AWAY:
        raise
    except UNREADABLE as error:
        why = type(error).__name__
        _log.warning("stored request not understood", inbox_id=item_id, reason=why)
        mark_unreadable(session, clock, item_id=item_id, tries=tries, why=why)


def _apply(
    session: Session, clock: Clock, applier: Applier, account: ProviderAccount, item: InboxItem
) -> None:
    webhook = opened(applier.vault, item)
    events = [storable(event) for event in applier.receivers.of(account).parse(webhook)]
    inbound = [event for event in events if event.type is EventType.REPLIED]
    applied = apply_events(
        session,
        clock,
        applier.references,
        account=account,
        inbox_id=item.id,
        events=[event for event in events if event.type is not EventType.REPLIED],
    )
    effects.run(session, clock, effects.of(applied.changes))
    known = sum(
        not replies.take(session, clock, applier.hasher, account, event, item.received_at)
        for event in inbound
    )
    mark_applied(
        session,
        clock,
        item_id=item.id,
        events=len(events),
        duplicates=applied.duplicates + known,
    )


def storable(event: ProviderEvent) -> ProviderEvent:
    """Return the event without what no database column can hold: NUL and lone surrogates."""
    dirty: dict[str, Any] = {
        name: clean(text, len(text))
        for name in TEXTS
        if (text := getattr(event, name)) and not (text.isascii() and "\x00" not in text)
    }
    return replace(event, **dirty) if dirty else event
