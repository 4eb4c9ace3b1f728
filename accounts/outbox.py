"""Outbox: what a client's endpoints are to be told, written in the transaction of the fact.

One row for each fact and endpoint that wants it: it commits with the fact or not at all, and
webhooks/outbound.py posts it. A body holds ids and facts, never an address, a name or a text, so it
is kept in clear, and a member who is erased leaves nothing here. A client without an endpoint pays
one small query for each set of facts.
"""

import enum
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    FromClause,
    Index,
    Select,
    SmallInteger,
    String,
    cast,
    insert,
    literal,
    select,
    text,
    true,
    type_coerce,
)
from sqlalchemy import ForeignKey as Key
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.types import TypeEngine

from accounts.endpoint import Endpoint
from accounts.news import News, means
from core.db import Base, BigId, Id, Json, UtcDateTime, is_sqlite
from core.rows import table

WAITING_ROWS = text("state = 'waiting'")


class DeliveryState(enum.StrEnum):
    """What became of a delivery."""

    WAITING = "waiting"  # for its first try, or another
    DELIVERED = "delivered"
    FAILED = "failed"  # given up; it may be replayed


class EndpointDelivery(Base):
    """One fact on its way to one endpoint, and afterwards the log of it."""

    __tablename__ = "endpoint_deliveries"
    __table_args__ = (
        Index(None, "endpoint_id", "id"),
        Index(None, "created_at"),
        # What is due, and what goes before it about the same object.
        Index(
            "ix_endpoint_deliveries_due",
            "endpoint_id",
            "due_at",
            sqlite_where=WAITING_ROWS,
            postgresql_where=WAITING_ROWS,
        ),
        Index(
            "ix_endpoint_deliveries_order",
            "endpoint_id",
            "object",
            "id",
            sqlite_where=WAITING_ROWS,
            postgresql_where=WAITING_ROWS,
        ),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(BigId)
    """The endpoint's; a foreign key beside that of the endpoint would only cost."""
    endpoint_id: Mapped[int] = mapped_column(Key("endpoints.id"))
    type: Mapped[News]
    object: Mapped[str] = mapped_column(String(48))
    """What it is about, `communication:12`: facts of one object are told in their order."""
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime]
    """When it happened."""
    state: Mapped[DeliveryState] = mapped_column(default=DeliveryState.WAITING)
    due_at: Mapped[datetime]
    """When to try (again)."""
    tries: Mapped[int] = mapped_column(SmallInteger, default=0)
    """Of the plan; a replay begins anew."""
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    """The last ones: `at`, `status`, `ms`, `problem`, `answer`."""
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    @property
    def message_id(self) -> str:
        """The `webhook-id`: the same at every try, and never given again after a restore."""
        return f"msg_{self.id}_{int(self.created_at.timestamp() * 1_000_000):x}"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened."""

    news: News
    object: str
    at: datetime
    data: Mapping[str, Any]


class Wanting:
    """Which endpoints of a client want which news."""

    def __init__(self, endpoints: Sequence[tuple[int, list[str]]]) -> None:
        self._endpoints = endpoints

    def by(self, news: News) -> list[int]:
        """Return the endpoints that want it."""
        return [id for id, types in self._endpoints if means(types, news)]

    def any_of(self, *news: News) -> bool:
        """Say whether anybody wants any of these."""
        return any(self.by(one) for one in news)


def wanting(session: Session, client_id: int) -> Wanting:
    """Return who wants what: one small query."""
    query = select(Endpoint.id, Endpoint.types).where(
        Endpoint.client_id == client_id, Endpoint.enabled
    )
    return Wanting([(id, types) for id, types in session.execute(query)])


def publish(
    session: Session,
    now: datetime,
    *,
    client_id: int,
    facts: Iterable[Fact],
    wanted: Wanting | None = None,
) -> None:
    """Tell facts, in their order; `facts` is not looked at when nobody wants anything."""
    wanted = wanted or wanting(session, client_id)
    if not wanted.any_of(*News):
        return
    rows = [
        (endpoint_id, fact.news.value, fact.object, fact.at, json.dumps(dict(fact.data)))
        for fact in facts
        for endpoint_id in wanted.by(fact.news)
    ]
    if rows:
        told = table(session, COLUMNS, rows)
        data = type_coerce(told.c.data, Json) if is_sqlite(session) else cast(told.c.data, Json)
        found = [told.c[name] for name in COLUMNS if name != "data"]
        _insert(session, now, client_id, select(*found, data).where(true()))


COLUMNS: dict[str, TypeEngine[Any]] = {
    "endpoint_id": BigInteger(),
    "type": String(),
    "object": String(),
    "at": UtcDateTime(),
    "data": String(),
}


def publish_found(
    session: Session,
    now: datetime,
    *,
    client_id: int,
    news: News,
    found: Select[Any],
    wanted: Wanting | None = None,
) -> None:
    """Tell the same of all that a query finds, in the database.

    `found` selects the object, when it happened, and the data as JSON.
    """
    ids = (wanted or wanting(session, client_id)).by(news)
    if not ids:
        return
    to: FromClause = table(session, {"endpoint_id": BigInteger()}, [(id,) for id in ids])
    what = found.subquery("what")
    about, at, data = what.c
    rows = select(to.c.endpoint_id, literal(news.value), about, at, data)
    _insert(session, now, client_id, rows.select_from(what.join(to, true())).order_by(about))


def _insert(session: Session, now: datetime, client_id: int, rows: Select[Any]) -> None:
    at = literal(now, UtcDateTime())
    waiting = literal(DeliveryState.WAITING.value)
    rows = rows.add_columns(literal(client_id), waiting, at, literal(0), literal([], Json), at)
    names = [*COLUMNS, "client_id", "state", "due_at", "tries", "attempts", "created_at"]
    session.execute(insert(EndpointDelivery).from_select(names, rows))
