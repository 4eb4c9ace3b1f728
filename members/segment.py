"""Segment: a named rule over members."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigId, Id


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
