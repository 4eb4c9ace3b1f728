"""Click: a follow of a tracked link that waits a moment for its verdict, person or machine.

Mail scanners follow all links of a message at once, often under a browser's name. The first of
them looks like a person's click until the second comes, and a fact once folded is never taken
back. So a click is written down, the visitor is sent on, and it becomes a fact two quiet seconds
later.

Invariants
    1. Different links of one message within BURST of each other are a machine's, all of them.
    2. A click becomes at most one human fact per message and link.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, Table, UniqueConstraint, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from channels.adapter import EventType, ProviderEvent
from communications.receipt import learn_fact
from core.clock import Clock
from core.db import Base, BigId, Id, is_sqlite
from core.rows import among

SOURCE = "tracking"
BURST = timedelta(seconds=2)


class Click(Base):
    """One follow of one link, until it is judged."""

    __tablename__ = "clicks"
    __table_args__ = (
        # One row however often a link is followed in these seconds: nobody can fill the table.
        UniqueConstraint("communication_id", "position", "machine"),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    communication_id: Mapped[int] = mapped_column(BigId)
    position: Mapped[int]
    """Which link of the template version."""
    machine: Mapped[bool] = mapped_column(default=False)
    """Known at once: a HEAD request or a scanner's own name."""
    at: Mapped[datetime]


TABLE: Table = Click.__table__  # type: ignore[assignment]  # a mapped class's table is one


def note(session: Session, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write clicks down, unless the same ones are waiting already.

    Each row has the columns of Click but its id.
    """
    make = sqlite.insert if is_sqlite(session) else postgresql.insert
    names = ("communication_id", "position", "machine")
    # In one order everywhere: two processes with the same clicks must not deadlock.
    ordered = sorted(rows, key=lambda row: [row[name] for name in names])
    session.connection().execute(make(TABLE).on_conflict_do_nothing(index_elements=names), ordered)


def settle(session: Session, clock: Clock, *, limit: int = 200) -> int:
    """Turn the clicks of up to `limit` messages that have been quiet into facts; return how many.

    A second worker waits for the first, then finds those clicks gone.
    """
    now = clock.now()
    quiet = (
        select(Click.communication_id)
        .group_by(Click.communication_id)
        .having(func.max(Click.at) <= now - BURST)
        .order_by(func.min(Click.id))
        .limit(limit)
    )
    waiting = session.scalars(
        select(Click)
        .where(Click.communication_id.in_(quiet.scalar_subquery()))
        .order_by(Click.id)
        .with_for_update()
    ).all()
    if not waiting:
        return 0
    for click, machine in judged(waiting):
        _learn(session, clock, click, machine=machine)
    session.execute(
        delete(Click)
        .where(among(session, Click.id, [click.id for click in waiting]))
        .execution_options(synchronize_session=False)
    )
    return len(waiting)


def judged(clicks: Iterable[Click]) -> list[tuple[Click, bool]]:
    """Say of each click whether a machine made it."""
    messages: dict[int, list[Click]] = {}
    for click in clicks:
        messages.setdefault(click.communication_id, []).append(click)
    return [
        (click, click.machine or _in_burst(click, others))
        for others in messages.values()
        for click in others
    ]


def _in_burst(click: Click, others: Sequence[Click]) -> bool:
    return any(
        other.position != click.position and abs(other.at - click.at) < BURST for other in others
    )


def _learn(session: Session, clock: Clock, click: Click, *, machine: bool) -> None:
    # A machine's visit must not take the place of the person's that may follow.
    key = f"click:{click.communication_id}:{click.position}" + (":machine" if machine else "")
    event = ProviderEvent(
        type=EventType.CLICKED,
        dedup_key=key,
        occurred_at=click.at,
        reference=None,
        provider_id=None,
        provider_status="link",
        machine=machine,
        code=str(click.position),
    )
    learn_fact(
        session,
        clock,
        client_id=click.client_id,
        communication_id=click.communication_id,
        event=event,
        source=SOURCE,
    )
