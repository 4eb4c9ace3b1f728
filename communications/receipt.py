"""Receipts: what evidence says about communications, folded in sets.

Each event is stored once (its `dedup_key` is unique), then the rows it speaks of learn the highest
rank and the earliest stage times. Any order, any repeats, one result (status.py, law 5).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from sqlalchemy import BigInteger, Boolean, String, select, true, update
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from channels.adapter import EventType, ProviderEvent
from channels.channel import Channel
from communications.account import ProviderAccount
from communications.communication import Communication
from communications.event import CommunicationEvent, EventState
from communications.fold import Evidence, clean, fold, locked
from communications.reference import References
from core.clock import Clock
from core.db import UtcDateTime
from core.rows import among, table
from core.sql import insert_into

C = Communication
PARKED_FOR = timedelta(hours=24)
"""How long an event waits for its communication."""
FUTURE = timedelta(minutes=5)
"""A provider's time further ahead than this is not believed."""
MAX_KEY = 200
STORED: dict[str, TypeEngine[Any]] = {
    **dict.fromkeys(
        ("client_id", "communication_id", "provider_account_id", "inbox_id"), BigInteger()
    ),
    **dict.fromkeys(("source", "dedup_key", "type", "state", "reference", "provider_id"), String()),
    **dict.fromkeys(("provider_status", "code", "detail"), String()),
    "machine": Boolean(),
    **dict.fromkeys(("occurred_at", "received_at"), UtcDateTime()),
}
"""An event's columns."""


@dataclass(frozen=True, slots=True)
class Change:
    """One new event of one known communication, for those who draw consequences."""

    communication_id: int
    client_id: int
    member_id: int | None
    run_id: int | None
    channel: Channel
    to_address: str | None
    address_hash: str | None
    event: ProviderEvent


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a set of events."""

    events: int
    duplicates: int
    parked: int
    changes: list[Change]
    new: Mapping[int | None, int]
    """New events by the stored request they came with."""


def apply_events(
    session: Session,
    clock: Clock,
    references: References,
    *,
    account: ProviderAccount,
    inbox_id: int | Sequence[int] | None,
    events: Sequence[ProviderEvent],
) -> Applied:
    """Store and fold what one account's provider reported.

    An event names its communication by our signed reference, or else by the provider's id. What
    belongs to another client is stored as unmatched and has no effect. `inbox_id` is the
    stored request all events came with, or one for each of them.
    """
    known = _by_provider_id(session, account, events)
    evidence: dict[str, Evidence] = {}
    origins: dict[str, int | None] = {}
    inbox_ids = inbox_id if isinstance(inbox_id, Sequence) else [inbox_id] * len(events)
    for event, origin in zip(events, inbox_ids, strict=True):
        key = dedup_key(str(account.id), event.dedup_key)
        named = references.read(event.reference) if event.reference else None
        found = named[0] if named else known.get(event.provider_id or "")
        when = believable(event.occurred_at, clock.now())
        evidence.setdefault(key, Evidence(event, key, when, found))
        origins.setdefault(key, origin)
    rows = locked(session, account.client_id, [e.communication_id for e in evidence.values()])
    fresh = _store(session, clock, account, origins, list(evidence.values()), rows)
    changes = [_change(rows[e.communication_id], e) for e in fresh if e.communication_id in rows]
    fold(session, clock, rows, [e for e in fresh if e.communication_id in rows])
    return Applied(
        events=len(events),
        duplicates=len(events) - len(fresh),
        parked=len(fresh) - len(changes),
        changes=changes,
        new=Counter(origins[e.dedup_key] for e in fresh),
    )


def learn_fact(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    communication_id: int,
    event: ProviderEvent,
    source: str,
) -> Change | None:
    """Store and fold one fact of our own tracking or of an operator.

    None: it was known already, or the client has no such communication.
    """
    told = {communication_id: event}
    changes = learn_facts(session, clock, client_id=client_id, told=told, source=source)
    return changes[0] if changes else None


def learn_facts(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    told: Mapping[int, ProviderEvent],
    source: str,
    account_id: int | None = None,
) -> list[Change]:
    """Store and fold one fact each of several communications; return what was new.

    `account_id` is the provider account that told it, where one did.
    """
    rows = locked(session, client_id, told)
    evidence = []
    for found in rows:
        event = told[found]
        key = dedup_key(source, event.dedup_key)
        when = believable(event.occurred_at, clock.now())
        evidence.append(Evidence(event, key, when, found))
    values = [_row(clock, client_id, account_id, None, source, one, known=True) for one in evidence]
    new = _insert_new(session, values)
    fresh = [one for one in evidence if one.dedup_key in new]
    fold(session, clock, rows, fresh)
    return [_change(rows[e.communication_id], e) for e in fresh if e.communication_id in rows]


def retry_parked(session: Session, clock: Clock, *, limit: int = 500) -> list[Change]:
    """Match parked events again, give up on those older than 24 h; return what was matched.

    A receipt may overtake the commit that records the provider's id.
    """
    E = CommunicationEvent  # noqa: N806  (a table alias, like C)
    waiting = session.execute(
        select(E, C.id.label("found"))
        .join(
            C,
            (C.client_id == E.client_id)
            & (C.provider_account_id == E.provider_account_id)
            & (C.provider_id == E.provider_id),
        )
        .where(E.state == EventState.PARKED)
        .order_by(E.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=E)
    ).all()
    evidence: dict[int, list[Evidence]] = {}
    for event, found in waiting:
        event.state, event.communication_id = EventState.APPLIED, found
        told = Evidence(_told(event), event.dedup_key, event.occurred_at, found)
        evidence.setdefault(event.client_id, []).append(told)
    changes: list[Change] = []
    for client_id, told_of in evidence.items():
        rows = locked(session, client_id, [e.communication_id for e in told_of])
        fold(session, clock, rows, told_of)
        changes += [
            _change(rows[e.communication_id], e) for e in told_of if e.communication_id in rows
        ]
    session.execute(
        update(E)
        .where(E.state == EventState.PARKED, E.received_at < clock.now() - PARKED_FOR)
        .values(state=EventState.UNMATCHED)
    )
    session.flush()
    return changes


def dedup_key(source: str, key: str) -> str:
    """Return `source:key`, the tail replaced by its hash where it would be too long."""
    full = f"{source}:{key}"
    if len(full) <= MAX_KEY:
        return full
    return f"{source}:{blake2b(key.encode('utf-8', 'replace'), digest_size=24).hexdigest()}"


def believable(told: datetime | None, now: datetime) -> datetime:
    """Return the provider's time, or ours where it gives none or one that cannot be."""
    if told is None or told > now + FUTURE or told < now - timedelta(days=30):
        return now
    return told


def _by_provider_id(
    session: Session, account: ProviderAccount, events: Iterable[ProviderEvent]
) -> dict[str, int]:
    """Find communications by the provider's id, where it names exactly one."""
    ids = {e.provider_id for e in events if e.provider_id and not e.reference}
    if not ids:
        return {}
    query = select(C.provider_id, C.id).where(
        C.provider_account_id == account.id,
        C.provider_id.is_not(None),
        among(session, C.provider_id, sorted(ids)),
    )
    found: dict[str, list[int]] = {}
    for provider_id, communication_id in session.execute(query):
        found.setdefault(provider_id or "", []).append(communication_id)
    return {provider_id: ids[0] for provider_id, ids in found.items() if len(ids) == 1}


def _store(
    session: Session,
    clock: Clock,
    account: ProviderAccount,
    origins: Mapping[str, int | None],
    evidence: Sequence[Evidence],
    rows: dict[int, Any],
) -> list[Evidence]:
    """Insert events that are new; return those."""
    values = [
        _row(
            clock,
            account.client_id,
            account.id,
            origins[e.dedup_key],
            account.adapter,
            e,
            known=e.communication_id in rows,
        )
        for e in evidence
    ]
    new = _insert_new(session, values)
    return [e for e in evidence if e.dedup_key in new]


def _row(
    clock: Clock,
    client_id: int,
    account_id: int | None,
    inbox_id: int | None,
    source: str,
    evidence: Evidence,
    *,
    known: bool,
) -> dict[str, Any]:
    event = evidence.event
    return {
        "client_id": client_id,
        "communication_id": evidence.communication_id if known else None,
        "provider_account_id": account_id,
        "inbox_id": inbox_id,
        "source": source,
        "dedup_key": evidence.dedup_key,
        "type": event.type.value,
        "machine": event.machine,
        "state": (EventState.APPLIED if known else EventState.PARKED).value,
        "reference": clean(event.reference, 80),
        "provider_id": clean(event.provider_id, 128),
        "provider_status": clean(event.provider_status, 40),
        "code": clean(event.code, 40),
        "detail": clean(event.text, 500) if event.type is not EventType.REPLIED else None,
        "occurred_at": evidence.occurred_at,
        "received_at": clock.now(),
    }


def _insert_new(session: Session, values: Sequence[dict[str, Any]]) -> set[str]:
    """Insert events whose key is new; return the keys inserted."""
    if not values:
        return set()
    # In key order: two transactions with the same events then wait for each other, not in a ring.
    ordered = sorted(values, key=lambda value: str(value["dedup_key"]))
    told = table(session, STORED, [[value[name] for name in STORED] for value in ordered])
    statement = (
        insert_into(session, CommunicationEvent)
        # SQLite reads ON CONFLICT after a SELECT without WHERE as part of a join.
        .from_select(list(STORED), select(told).where(true()))
        .on_conflict_do_nothing(index_elements=["client_id", "dedup_key"])
        .returning(CommunicationEvent.dedup_key)
    )
    return set(session.scalars(statement))


def _change(row: Any, evidence: Evidence) -> Change:
    return Change(
        communication_id=row.id,
        client_id=row.client_id,
        member_id=row.member_id,
        run_id=row.run_id,
        channel=row.channel,
        to_address=row.to_address,
        address_hash=row.address_hash,
        event=evidence.event,
    )


def _told(event: CommunicationEvent) -> ProviderEvent:
    """Read a stored event back."""
    return ProviderEvent(
        type=EventType(event.type),
        dedup_key=event.dedup_key,
        occurred_at=event.occurred_at,
        reference=event.reference,
        provider_id=event.provider_id,
        provider_status=event.provider_status or "",
        machine=event.machine,
        code=event.code,
        text=event.detail,
    )
