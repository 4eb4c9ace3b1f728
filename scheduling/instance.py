"""Instance: this installation as its own database knows it, so that a copy of it can be told.

One row. Its epoch rises while the engine works and is also kept outside the database; a database
that is behind what is kept outside was restored, and one that is somewhere else was cloned.

Invariants
    1. The epoch only rises, and only while nothing is held.
    2. A hold begins once, in one guarded UPDATE, and every process of the fleet sees it.
"""

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import String, case, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.clock import Clock
from core.db import Base, Id
from core.sql import insert_into

ONLY = 1
NAME_BYTES = 16
LEAP = 1000
"""How far the epoch rises when a hold ends: beyond what any file of the fleet may have noted since
the one that was compared."""


class Instance(Base):
    """The one installation this database belongs to."""

    __tablename__ = "instances"

    id: Mapped[Id]
    """Always 1."""
    name: Mapped[str] = mapped_column(String(40))
    """Random; the file outside names it too."""
    home: Mapped[str] = mapped_column(String(200))
    """Which database this is, in the server's or the file system's own words."""
    epoch: Mapped[int] = mapped_column(default=0)
    beat_at: Mapped[datetime]
    """When the epoch last rose."""
    held_at: Mapped[datetime | None]
    """Since when nothing is sent; None: it is."""
    held_reason: Mapped[str | None] = mapped_column(String(300))


def instance(session: Session) -> Instance | None:
    """Return the row as it is now; None before the first start."""
    query = select(Instance).where(Instance.id == ONLY)
    return session.scalar(query.execution_options(populate_existing=True))


def name_of(session: Session) -> str | None:
    """Return the installation's name; None before the first start."""
    return session.scalar(select(Instance.name).where(Instance.id == ONLY))


def begin(session: Session, clock: Clock, *, home: str) -> Instance:
    """Return the row, locked until the transaction ends; a first start makes it."""
    new = insert_into(session, Instance).values(
        id=ONLY, name=secrets.token_hex(NAME_BYTES), home=home, epoch=0, beat_at=clock.now()
    )
    session.execute(new.on_conflict_do_nothing(index_elements=["id"]))
    query = select(Instance).where(Instance.id == ONLY).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()


def rise(session: Session, clock: Clock) -> int | None:
    """Raise the epoch and return it; None while held."""
    return _changed(
        session, held=False, values={"epoch": Instance.epoch + 1, "beat_at": clock.now()}
    )


def note_epoch(session: Session, epoch: int) -> None:
    """Raise the epoch of a held instance to one that a file outside knows."""
    higher = case((Instance.epoch < epoch, epoch), else_=Instance.epoch)
    _changed(session, held=True, values={"epoch": higher})


def hold(session: Session, clock: Clock, *, reason: str) -> bool:
    """Send nothing from now on; False if that is so already."""
    values = {"held_at": clock.now(), "held_reason": reason[:300]}
    return _changed(session, held=False, values=values) is not None


def lift(session: Session, clock: Clock, *, home: str) -> int | None:
    """Send again, from this home, and return the new epoch; None if nothing was held."""
    values = {
        "home": home,
        "epoch": Instance.epoch + LEAP,
        "beat_at": clock.now(),
        "held_at": None,
        "held_reason": None,
    }
    return _changed(session, held=True, values=values)


def _changed(session: Session, *, held: bool, values: dict[str, Any]) -> int | None:
    """Change the row if it is held, or is not, and return its epoch."""
    state = Instance.held_at.is_not(None) if held else Instance.held_at.is_(None)
    return session.scalar(
        update(Instance)
        .where(Instance.id == ONLY, state)
        .values(**values)
        .returning(Instance.epoch)
        .execution_options(synchronize_session=False)
    )
