"""Run: one execution of a campaign."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from communications.ledger import untrack_campaign
from core.db import Base, BigId, Id


class RunStatus(enum.StrEnum):
    """Where a run stands. Every change is one guarded UPDATE (RUN_STEPS)."""

    RUNNING = "running"  # fanning out, or sending what was fanned out
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


class RunStep(enum.StrEnum):
    """What can be done to a run."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    FINISH = "finish"


RUN_STEPS: dict[RunStep, tuple[frozenset[RunStatus], RunStatus]] = {
    RunStep.PAUSE: (frozenset({RunStatus.RUNNING}), RunStatus.PAUSED),
    RunStep.RESUME: (frozenset({RunStatus.PAUSED}), RunStatus.RUNNING),
    RunStep.CANCEL: (frozenset({RunStatus.RUNNING, RunStatus.PAUSED}), RunStatus.CANCELLED),
    RunStep.FINISH: (frozenset({RunStatus.RUNNING}), RunStatus.DONE),
}


class Run(Base):
    """One execution: audience rule, template versions and accounts as they were at its start."""

    __tablename__ = "runs"
    __table_args__ = (
        # A double click, two schedulers or a restart make one run.
        UniqueConstraint("campaign_id", "occurrence_key"),
        Index(None, "client_id", "id"),
        Index(None, "status"),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"))
    occurrence_key: Mapped[str] = mapped_column(String(80))
    """`once` for a campaign that runs once, else the occurrence's local time and zone."""
    status: Mapped[RunStatus] = mapped_column(default=RunStatus.RUNNING)
    audience: Mapped[dict[str, Any]]
    """The frozen rule: `{"rule": <condition JSON>}`."""
    plan: Mapped[dict[str, Any]]
    """Frozen per channel: template version, provider account, fields; message type, priority."""
    audience_size: Mapped[int] = mapped_column(default=0)
    """Members matched: counted at launch, exact once expanded."""
    last_member_id: Mapped[int] = mapped_column(BigId)
    """The newest member at launch: later ones do not slip in."""
    cursor: Mapped[int] = mapped_column(BigId, default=0)
    """The last member fanned out; moves in the transaction that inserts the rows."""
    expanded: Mapped[int] = mapped_column(default=0)
    """Members fanned out so far."""
    expanded_at: Mapped[datetime | None]
    """When the fan-out reached its end."""
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


def untrack(session: Session, campaign_id: int) -> None:
    """Let nothing of a campaign that is not sent yet tell of opens and clicks.

    A run that is being fanned out is waited for: what its chunk queues is seen then, and later
    chunks follow the new plan.
    """
    mine = (Run.campaign_id == campaign_id, Run.status.in_((RunStatus.RUNNING, RunStatus.PAUSED)))
    for run in session.scalars(select(Run).where(*mine).order_by(Run.id).with_for_update()):
        run.plan = {**run.plan, "tracked": False}
    session.flush()
    untrack_campaign(session, campaign_id)
