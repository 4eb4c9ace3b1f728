"""Journey: its draft and its versions; a version never changes."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from campaigns.errors import JourneyNotFoundError
from core.db import Base, BigId, Id


class JourneyStatus(enum.StrEnum):
    """Where it stands."""

    DRAFT = "draft"  # never published
    ACTIVE = "active"
    DRAINING = "draining"  # takes nobody new; those inside go on
    PAUSED = "paused"  # takes nobody new; those inside stand still
    ARCHIVED = "archived"  # nobody is inside


ADVANCING = (JourneyStatus.ACTIVE, JourneyStatus.DRAINING)
LIVE = (*ADVANCING, JourneyStatus.PAUSED)


class Journey(Base):
    """One journey of one client."""

    __tablename__ = "journeys"
    __table_args__ = (UniqueConstraint("client_id", "name"), Index(None, "status"))

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    name: Mapped[str] = mapped_column(String(200))
    status: Mapped[JourneyStatus] = mapped_column(default=JourneyStatus.DRAFT)
    drains: Mapped[bool | None]
    """Paused while it was draining: when it goes on, it drains."""
    draft: Mapped[str] = mapped_column(Text)
    """The text that is worked on; it need not be right."""
    version_id: Mapped[int | None]
    """The version that members enter."""
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaigns.id"))
    """The triggered campaign its messages belong to; from the first version on."""
    revision: Mapped[int] = mapped_column(default=1)
    """Rises with every change of the draft."""
    triggered_at: Mapped[datetime | None]
    """Its dates and schedules have been looked at up to here; None while it has none."""
    triggered_member: Mapped[int | None] = mapped_column(BigId)
    """Of that instant members have entered up to this one; None is all of them."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class JourneyVersion(Base):
    """One published state of a journey."""

    __tablename__ = "journey_versions"
    __table_args__ = (UniqueConstraint("journey_id", "number"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"))
    number: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    ast: Mapped[dict[str, Any]]
    plan: Mapped[dict[str, Any]]
    """What its sends say: `{"email": {"account": 3, "templates": {"gift": {…}}}}` (wording.py)."""
    created_at: Mapped[datetime]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))


def journey(session: Session, client_id: int, journey_id: int) -> Journey:
    """Return a client's journey. Raises JourneyNotFoundError."""
    found = session.get(Journey, journey_id)
    if found is None or found.client_id != client_id:
        raise JourneyNotFoundError(f"no journey {journey_id}", field="journey_id")
    return found


def journeys(session: Session, client_id: int) -> list[Journey]:
    """Return a client's journeys by name."""
    query = select(Journey).where(Journey.client_id == client_id).order_by(Journey.name)
    return list(session.scalars(query))


def journey_named(session: Session, client_id: int, name: str) -> Journey | None:
    """Return the client's journey of this name, if there is one."""
    return session.scalar(
        select(Journey).where(Journey.client_id == client_id, Journey.name == name)
    )


def versions(session: Session, client_id: int, journey_id: int) -> list[JourneyVersion]:
    """Return a journey's versions, the latest first."""
    query = select(JourneyVersion).where(
        JourneyVersion.client_id == client_id, JourneyVersion.journey_id == journey_id
    )
    return list(session.scalars(query.order_by(JourneyVersion.number.desc())))


def version_numbered(
    session: Session, client_id: int, journey_id: int, number: int
) -> JourneyVersion:
    """Return one version of a journey. Raises JourneyNotFoundError."""
    query = select(JourneyVersion).where(
        JourneyVersion.client_id == client_id,
        JourneyVersion.journey_id == journey_id,
        JourneyVersion.number == number,
    )
    found = session.scalar(query)
    if found is None:
        raise JourneyNotFoundError(f"journey {journey_id} has no version {number}", field="version")
    return found
