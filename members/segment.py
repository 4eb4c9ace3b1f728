"""Segment: a named rule over members."""

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.clock import Clock
from core.condition.ast import Condition
from core.condition.check import ConditionError
from core.condition.json import from_json, to_json
from core.condition.text import parse
from core.db import Base, BigId, Id
from members.errors import SegmentNameTakenError


class SegmentKind(enum.StrEnum):
    """When the rule is evaluated."""

    DYNAMIC = "dynamic"
    STATIC = "static"


class Segment(Base):
    """One named rule of one client."""

    __tablename__ = "segments"
    __table_args__ = (UniqueConstraint("client_id", "name"), Index(None, "client_id", "id"))

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[SegmentKind] = mapped_column(default=SegmentKind.DYNAMIC)
    rule: Mapped[dict[str, Any]]
    """The condition as JSON (core.condition); the text face is made from it."""
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class SegmentMember(Base):
    """One member of one static segment."""

    __tablename__ = "segment_members"

    segment_id: Mapped[int] = mapped_column(ForeignKey("segments.id"), primary_key=True)
    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"), primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))


def create_segment(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    name: str,
    rule: Mapping[str, Any] | str,
    description: str | None = None,
) -> Segment:
    """Create a dynamic segment; `rule` is a condition as JSON or as text.

    Raises ConditionError for a rule that cannot be understood, SegmentNameTakenError.
    """
    name = _free_name(session, client_id, name, None)
    segment = Segment(
        client_id=client_id,
        name=name,
        description=description,
        rule=to_json(condition_of(rule)),
        created_at=clock.now(),
        updated_at=clock.now(),
    )
    session.add(segment)
    session.flush()
    return segment


def update_segment(
    session: Session,
    clock: Clock,
    segment: Segment,
    *,
    name: str | None = None,
    rule: Mapping[str, Any] | str | None = None,
    description: str | None = None,
) -> Segment:
    """Change what is given. Runs that are under way keep the rule they froze."""
    if name is not None:
        segment.name = _free_name(session, segment.client_id, name, segment.id)
    if rule is not None:
        segment.rule = to_json(condition_of(rule))
    if description is not None:
        segment.description = description
    segment.version += 1
    segment.updated_at = clock.now()
    session.flush()
    return segment


def delete_segment(session: Session, clock: Clock, segment: Segment) -> None:
    """Delete softly; its name is free again. Runs that are under way keep the rule they froze."""
    segment.deleted_at = clock.now()
    segment.name = f"{segment.name[:150]}#deleted-{segment.id}"
    session.flush()


def condition_of(rule: Mapping[str, Any] | str) -> Condition:
    """Read a rule given as text or as JSON."""
    return parse(rule) if isinstance(rule, str) else from_json(rule)


def _free_name(session: Session, client_id: int, name: str, own_id: int | None) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 200:
        raise ConditionError("a segment's name has 1 to 200 characters", field="name")
    query = select(Segment.id).where(Segment.client_id == client_id, Segment.name == name)
    found = session.scalar(query)
    if found is not None and found != own_id:
        raise SegmentNameTakenError(
            f"a segment named “{name}” exists", field="name", remedy="choose another name"
        )
    return name
