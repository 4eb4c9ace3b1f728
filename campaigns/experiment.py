"""Experiment: how the wordings of a campaign's newest run do beside each other, and what to do.

Each channel with several wordings is a test of its own: its people were shared out by lot
(fan_out.py), so what differs beyond chance differs because of the wording (trial.py).

Cost: one statement over the run's rows, whatever the number of arms: 0.2 s at 100,000 messages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.orm import Session

from accounts.client import Client
from campaigns.launch import latest_run
from campaigns.plan import Plan, Share
from campaigns.queries import campaign as find_campaign
from campaigns.run import Run
from campaigns.trial import Counts, Goal, Standing, Trial, judge
from channels.adapter import EventType
from channels.channel import Channel
from communications.communication import Communication
from communications.day import taken
from communications.event import CommunicationEvent, EventState
from core.clock import Clock
from members.consent import Consent, ConsentState
from members.order import Order, OrderKind
from members.spending import ATTRIBUTION_DAYS

C, E = Communication, CommunicationEvent
NONE = Counts(0, 0, 0, 0, 0)
CLICKS = timedelta(days=3)
"""After so long hardly anybody clicks any more."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """The trials of a campaign's newest run, one for each channel."""

    goal: Goal
    run_id: int | None
    """None before the first run."""
    trials: Sequence[Trial]


def experiment(
    session: Session, clock: Clock, client_id: int, campaign_id: int, goal: Goal = Goal.CLICK
) -> Experiment:
    """Compare the wordings of a campaign's newest run. Raises CampaignNotFoundError."""
    find_campaign(session, client_id, campaign_id)
    run = latest_run(session, campaign_id)
    if run is None:
        return Experiment(goal, None, ())
    plan = Plan.from_json(run.plan)
    counted = _counted(session, run, goal)
    standing = Standing(run.finished_at is not None, _over(session, clock, run, goal), plan.tracked)
    trials = []
    for lane in plan.lanes:
        shares = lane.shares or (Share("A", 1, lane.template_version_id),)
        counts = [counted.get((lane.channel, one.template_version_id), NONE) for one in shares]
        trials.append(judge(lane.channel, shares, counts, goal, standing))
    return Experiment(goal, run.id, trials)


def _counted(session: Session, run: Run, goal: Goal) -> dict[tuple[Channel, int | None], Counts]:
    """Count the run's rows by channel and wording, in one statement."""
    left = (
        select(Consent.member_id, Consent.channel, func.max(Consent.occurred_at).label("at"))
        .where(
            Consent.client_id == run.client_id,
            Consent.state == ConsentState.WITHDRAWN,
            Consent.occurred_at >= run.started_at,
        )
        .group_by(Consent.member_id, Consent.channel)
        .subquery("gone")
    )
    spam = (
        select(E.communication_id)
        .where(
            E.client_id == run.client_id,
            E.type == EventType.COMPLAINED,
            E.state == EventState.APPLIED,
        )
        .distinct()
        .subquery("spam")
    )
    tests = [_reached(goal), left.c.at >= C.sent_at, spam.c.communication_id.is_not(None)]
    query = (
        select(
            C.channel,
            C.template_version_id,
            func.count(),
            func.count().filter(taken()),
            *[func.count().filter(and_(taken(), test)) for test in tests],
        )
        .outerjoin(left, and_(left.c.member_id == C.member_id, left.c.channel == C.channel))
        .outerjoin(spam, spam.c.communication_id == C.id)
        .where(C.client_id == run.client_id, C.run_id == run.id)
        .group_by(C.channel, C.template_version_id)
    )
    rows: Sequence[Any] = session.execute(query).all()
    return {(channel, version): Counts(*counts) for channel, version, *counts in rows}


def _reached(goal: Goal) -> ColumnElement[bool]:
    clicked = C.clicked_at.is_not(None)
    if goal is Goal.CLICK:
        return clicked
    # Only of a click an order is credited to a message: so few are looked up.
    credited = exists().where(
        Order.client_id == C.client_id,
        Order.communication_id == C.id,
        Order.kind == OrderKind.ORDER,
    )
    return and_(clicked, credited)


def _over(session: Session, clock: Clock, run: Run, goal: Goal) -> bool:
    """Say whether hardly any goal can still come."""
    if run.finished_at is None:
        return False
    wait = CLICKS
    if goal is Goal.ORDER:
        settings: dict[str, Any] = session.get_one(Client, run.client_id).settings
        wait += timedelta(days=settings.get("attribution_days", ATTRIBUTION_DAYS))
    return clock.now() >= run.finished_at + wait
