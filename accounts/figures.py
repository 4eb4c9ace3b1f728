"""Figures: what counting takes a second for large clients, counted by workers beforehand.

A client of few is counted when somebody asks. Of many, the figures are those that a worker counted
some minutes ago, and say when; where no worker did, they are counted after all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Select, String, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.audit import plain
from core.clock import Clock
from core.db import Base
from core.sql import insert_into

FEW = 20_000
"""Up to so many are counted when somebody asks."""
FRESH = timedelta(minutes=10)
"""So old figures are counted anew."""
OLD = timedelta(hours=1)
"""So old figures are not shown: no worker is at work."""
EVERYBODY = -1
"""Stands for all clients."""

Count = Callable[[Session, Clock, int | None], Any]
"""Returns a dataclass of figures of a client; None is of all of them."""


class Figures(Base):
    """What was counted of one client."""

    __tablename__ = "figures"

    client_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """-1 for all clients together."""
    name: Mapped[str] = mapped_column(String(24), primary_key=True)
    told: Mapped[dict[str, Any]]
    counted_at: Mapped[datetime]


F = Figures


def figures(
    session: Session, clock: Clock, name: str, count: Count, client_id: int | None
) -> Mapping[str, Any]:
    """Return figures with `counted_at`: those a worker counted lately, or else as they are now."""
    kept = session.get(F, (EVERYBODY if client_id is None else client_id, name))
    if kept is not None and kept.counted_at > clock.now() - OLD:
        return kept.told | {"counted_at": kept.counted_at}
    return asdict(count(session, clock, client_id)) | {"counted_at": clock.now()}


def count_figures(
    session: Session, clock: Clock, name: str, count: Count, sizes: Select[Any]
) -> bool:
    """Count the figures of one large client whose are not fresh; say whether there was one.

    `sizes` gives (client id, how many there are); those that are no longer large are counted when
    somebody asks again.
    """
    large = [client_id for client_id, many in session.execute(sizes) if many > FEW]
    session.execute(delete(F).where(F.name == name, F.client_id.not_in(large)))
    fresh = select(F.client_id).where(F.name == name, F.counted_at > clock.now() - FRESH)
    due: Sequence[int] = sorted(set(large) - set(session.scalars(fresh)))
    if not due:
        return False
    told = plain(asdict(count(session, clock, None if due[0] == EVERYBODY else due[0])))
    made = insert_into(session, F).values(
        client_id=due[0], name=name, told=told, counted_at=clock.now()
    )
    session.execute(
        made.on_conflict_do_update(
            index_elements=["client_id", "name"],
            set_={"told": made.excluded.told, "counted_at": made.excluded.counted_at},
        )
    )
    return True


def how_many(column: Any, *conditions: Any) -> Select[Any]:
    """Return how many rows each client has, by the column that says whose they are."""
    return select(column, func.count()).where(*conditions).group_by(column)
