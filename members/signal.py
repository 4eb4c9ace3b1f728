"""Signal: something happened to a member that somebody listens for, such as a journey.

It is written in the transaction in which it happened and deleted in the one that drew its
consequences, so none is lost and none counts twice. Clients whose journeys listen for nothing pay
one small query.

Names: `event:purchase`, `reply`, `message` (a receipt or click), `member` (a fact about them
changed), `joined:7` and `left:7` (a segment).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    ForeignKey,
    Index,
    Select,
    String,
    delete,
    exists,
    insert,
    literal,
    select,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.client import Client
from core.db import Base, BigId, Id, UtcDateTime
from core.rows import among

EVENT, REPLY, MESSAGE, MEMBER = "event:", "reply", "message", "member"
JOINED, LEFT = "joined:", "left:"
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""Of what has no time of its own: that a fact changed."""


class Listened(Base):
    """A name that one of a client's journeys listens for."""

    __tablename__ = "listened"

    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(120), primary_key=True)


class Signal(Base):
    """One thing that happened to one member."""

    __tablename__ = "signals"
    __table_args__ = (Index(None, "client_id", "id"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    name: Mapped[str] = mapped_column(String(120))
    member_id: Mapped[int] = mapped_column(BigId)
    about: Mapped[int | None] = mapped_column(BigId)
    """The event's or the message's id, where it has one."""
    at: Mapped[datetime]
    """When it happened."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A signal as it is given or taken."""

    name: str
    member_id: int
    at: datetime
    about: int | None = None


def listen(session: Session, *, client_id: int, names: Collection[str]) -> None:
    """Listen for these names from now on, and for no others."""
    held = listened(session, client_id)
    gone = held - set(names)
    if gone:
        session.execute(
            delete(Listened).where(Listened.client_id == client_id, Listened.name.in_(gone))
        )
    session.add_all([Listened(client_id=client_id, name=name) for name in set(names) - held])
    session.flush()


def listened(session: Session, client_id: int) -> set[str]:
    """Return the names that are listened for."""
    return set(session.scalars(select(Listened.name).where(Listened.client_id == client_id)))


def signal(session: Session, *, client_id: int, heard: Iterable[Heard]) -> None:
    """Note what happened, in its transaction; what nobody listens for is left out."""
    names = listened(session, client_id)
    rows = [
        {"client_id": client_id, "name": one.name, "member_id": one.member_id, "about": one.about,
         "at": one.at}
        for one in heard
        if one.name in names
    ]  # fmt: skip
    if rows:
        session.execute(insert(Signal), rows)


def signal_all(
    session: Session, *, client_id: int, name: str, at: datetime, members: Select[int]
) -> None:
    """Note the same for all members that a query finds, in the database."""
    if name in listened(session, client_id):
        columns = ["client_id", "name", "member_id", "at"]
        who = members.subquery().c[0]
        rows = select(literal(client_id), literal(name), who, literal(at, UtcDateTime()))
        session.execute(insert(Signal).from_select(columns, rows.order_by(who)))


def signalled(session: Session) -> list[int]:
    """Return the ids of the clients for whom signals wait: an index look for each client."""
    waiting = exists().where(Signal.client_id == Client.id)
    return list(session.scalars(select(Client.id).where(waiting).order_by(Client.id)))


def take(session: Session, *, client_id: int, limit: int) -> Sequence[Heard]:
    """Take the oldest signals away and return them; another worker takes others."""
    oldest = (
        select(Signal.id)
        .where(Signal.client_id == client_id)
        .order_by(Signal.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(session.scalars(oldest))
    taken = session.execute(
        delete(Signal)
        .where(among(session, Signal.id, ids))
        .returning(Signal.id, Signal.name, Signal.member_id, Signal.at, Signal.about)
        .execution_options(synchronize_session=False)
    )
    rows = sorted(taken.all())
    return [Heard(name, member_id, at, about) for _, name, member_id, at, about in rows]
