"""Attempt: one try at one provider account, and the reference we plant there.

The happy first try has no row: its reference is derived from the communication and its token, and
its outcome is on the communication. A row is written when a try ends any other way.
"""

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigId, Id


class AttemptOutcome(enum.StrEnum):
    """How a try ended."""

    ACCEPTED = "accepted"  # a later try than the first
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    AMBIGUOUS = "ambiguous"
    CRASHED = "crashed"
    RESOLVED_SENT = "resolved_sent"
    RESOLVED_ABSENT = "resolved_absent"


class Attempt(Base):
    """One try that was not the happy first one."""

    __tablename__ = "attempts"
    __table_args__ = (UniqueConstraint("communication_id", "token"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    communication_id: Mapped[int] = mapped_column(BigId)
    token: Mapped[int]
    provider_account_id: Mapped[int | None] = mapped_column(BigId)
    outcome: Mapped[AttemptOutcome]
    code: Mapped[str | None] = mapped_column(String(40))
    detail: Mapped[str | None] = mapped_column(String(300))
    provider_id: Mapped[str | None] = mapped_column(String(128))
    retry_after_seconds: Mapped[float | None]
    finished_at: Mapped[datetime]
