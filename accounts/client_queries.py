"""Reads of clients: those that somebody may see, by what they are and by their contracts.

`among_ids` are the clients the asker has a role at; None is every client, for super admins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select
from sqlalchemy.orm import Session

from accounts.audit import AuditEntry
from accounts.client import Client, ClientStatus, SubscriptionTier
from accounts.user import ClientRole, UserStatus
from core.clock import Clock
from core.errors import InvalidError, NotFoundError
from core.rows import among

SOON = timedelta(days=30)
MAX_DAYS = 3_650
MAX_WORDS = 4

Ids = Sequence[int] | None


@dataclass(frozen=True, slots=True)
class ClientStatistics:
    """Clients, counted."""

    total: int
    by_status: dict[str, int]
    by_tier: dict[str, int]
    created_lately: int
    """Within 30 days."""
    contracts_expiring: int
    """Within 30 days."""
    contracts_overdue: int


@dataclass(frozen=True, slots=True)
class Expiring:
    """A client whose contract ends soon, or has ended."""

    client: Client
    days_left: int
    """Whole days; negative for one that has ended."""

    @property
    def overdue(self) -> bool:
        """Whether it has ended."""
        return self.days_left < 0


def clients_of(session: Session, user_id: int) -> list[int]:
    """Return the clients a user may work at."""
    query = select(ClientRole.client_id).where(
        ClientRole.user_id == user_id, ClientRole.status == UserStatus.ACTIVE
    )
    return list(session.scalars(query.order_by(ClientRole.client_id)))


def clients_page(
    session: Session,
    among_ids: Ids,
    *,
    status: ClientStatus | None = None,
    tier: SubscriptionTier | None = None,
    industry: str | None = None,
    words: str | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[Client]:
    """Return up to `limit` clients, oldest first, after id `after`; each of `words` must be met."""
    query = _alive(session, among_ids).where(Client.id > after)
    filters = {
        Client.status: status,
        Client.subscription_tier: tier,
        Client.industry: industry,
    }
    query = query.where(*[column == value for column, value in filters.items() if value])
    query = query.where(*_met(words or "")).order_by(Client.id).limit(limit)
    return list(session.scalars(query))


def search_clients(
    session: Session, among_ids: Ids, words: str, *, limit: int = 20
) -> list[Client]:
    """Return up to `limit` clients whose name or email holds each of the words, the best first."""
    plain = " ".join(words.lower().split())
    if not plain:
        return []
    name = func.lower(Client.name)
    order = case(
        (name == plain, 0), (name.startswith(plain, autoescape=True), 1),
        (Client.email.startswith(plain, autoescape=True), 2), else_=3,
    )  # fmt: skip
    query = _alive(session, among_ids).where(*_met(plain)).order_by(order, Client.id)
    return list(session.scalars(query.limit(limit)))


def seen_client(session: Session, among_ids: Ids, client_id: int) -> Client:
    """Return a client that the asker may see. Raises NotFoundError."""
    query = _alive(session, among_ids).where(Client.id == client_id)
    found: Client | None = session.scalar(query)
    if found is None:
        raise NotFoundError(f"there is no client {client_id}")
    return found


def require_seen(session: Session, among_ids: Ids, client_ids: Sequence[int]) -> None:
    """Raise NotFoundError unless the asker may see every one of these clients."""
    found = set(
        session.scalars(
            _alive(session, among_ids)
            .where(among(session, Client.id, client_ids))
            .with_only_columns(Client.id)
        )
    )
    for client_id in client_ids:
        if client_id not in found:
            raise NotFoundError(f"there is no client {client_id}", field="ids")


def client_statistics(session: Session, clock: Clock, among_ids: Ids) -> ClientStatistics:
    """Count the clients: one scan."""
    now = clock.now()
    marks: dict[str, Any] = {
        "total": func.count(),
        "created_lately": func.count().filter(Client.created_at >= now - SOON),
        "contracts_expiring": func.count().filter(Client.contract_end.between(now, now + SOON)),
        "contracts_overdue": func.count().filter(Client.contract_end < now),
    }
    marks |= {one.name: func.count().filter(Client.status == one) for one in ClientStatus}
    marks |= {
        one.name: func.count().filter(Client.subscription_tier == one) for one in SubscriptionTier
    }
    counted = session.execute(_alive(session, among_ids).with_only_columns(*marks.values())).one()
    told: dict[str, Any] = dict(zip(marks, counted, strict=True))
    by_status = {one.value: told.pop(one.name) for one in ClientStatus}
    by_tier = {one.value: told.pop(one.name) for one in SubscriptionTier}
    return ClientStatistics(**told, by_status=by_status, by_tier=by_tier)


def expiring_contracts(
    session: Session,
    clock: Clock,
    among_ids: Ids,
    *,
    days: int = 30,
    after: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> list[Expiring]:
    """Return clients whose contract ends within so many days or has ended, the earliest first."""
    if not 0 <= days <= MAX_DAYS:
        raise InvalidError(f"ask for 0 to {MAX_DAYS:,} days", field="days")
    now = clock.now()
    query = _alive(session, among_ids).where(Client.contract_end <= now + timedelta(days=days))
    if after is not None:
        same = and_(Client.contract_end == after[0], Client.id > after[1])
        query = query.where(or_(Client.contract_end > after[0], same))
    found = session.scalars(query.order_by(Client.contract_end, Client.id).limit(limit))
    return [
        Expiring(one, (one.contract_end - now).days)
        for one in found
        if one.contract_end is not None
    ]


def client_activity(
    session: Session, client_id: int, *, before: int | None, limit: int = 50
) -> list[AuditEntry]:
    """Return what was done at a client, by whomever, newest first."""
    query = select(AuditEntry).where(AuditEntry.client_id == client_id)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return list(session.scalars(query.order_by(AuditEntry.id.desc()).limit(limit)))


def _alive(session: Session, among_ids: Ids) -> Select[Any]:
    query = select(Client).where(Client.deleted_at.is_(None))
    return query if among_ids is None else query.where(among(session, Client.id, among_ids))


def _met(words: str) -> list[ColumnElement[bool]]:
    """Return, for each word, whether the name or the email holds it."""
    return [
        or_(
            func.lower(Client.name).contains(word, autoescape=True),
            Client.email.contains(word, autoescape=True),
        )
        for word in words.lower().split()[:MAX_WORDS]
    ]
