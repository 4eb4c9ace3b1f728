"""Consent: a member's yes or no for a channel and topic, with its proof.

The ledger `consents` is append-only; `consent_states` is its fold (the latest word per member,
channel and topic), kept in the same transaction so that fan-out can join one row.
"""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigId, Id

MARKETING = "marketing"
"""The topic a campaign needs unless it names another."""


class ConsentState(enum.StrEnum):
    """What a member said last."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


class Consent(Base):
    """One yes or no, never changed afterwards."""

    __tablename__ = "consents"
    __table_args__ = (Index(None, "client_id", "member_id", "id"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    channel: Mapped[str] = mapped_column(String(16))
    topic: Mapped[str] = mapped_column(String(64), default=MARKETING)
    state: Mapped[ConsentState]
    source: Mapped[str] = mapped_column(String(64))
    """Where it came from: `import:12`, `api`, `unsubscribe`, `stop`, `one_click`, …"""
    wording: Mapped[str | None] = mapped_column(Text)
    """The exact text the member agreed to."""
    proof: Mapped[dict[str, Any]] = mapped_column(default=dict)
    occurred_at: Mapped[datetime]
    created_at: Mapped[datetime]


class CurrentConsent(Base):
    """The fold of the ledger for one member, channel and topic."""

    __tablename__ = "consent_states"

    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"), primary_key=True)
    channel: Mapped[str] = mapped_column(String(16), primary_key=True)
    topic: Mapped[str] = mapped_column(String(64), primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    state: Mapped[ConsentState]
    occurred_at: Mapped[datetime]
