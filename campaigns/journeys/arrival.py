"""Arrival: how long a member was held at a journey's step before a message was decided on."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns.journeys.enrolment import EnrolmentStep, Held, Walker
from campaigns.journeys.machine import Stay
from communications.timeline import NOT_RECORDED, Wait
from core.localtime import zone_of

HELD = "held"
"""In the context of who stands at a send, and then in the `why` of its step: what held them."""
SHORT = timedelta(seconds=1)


def hold(one: Walker, why: Held, now: datetime, until: datetime, zone: str = "UTC") -> Stay:
    """Let somebody stay at a send until then, and note it beside them."""
    held = one.context.get(HELD, ())
    if not held or held[-1]["until"] != until.isoformat():
        told = {"by": why.value, "since": now.isoformat(), "until": until.isoformat()}
        one.context = {**one.context, HELD: [*held, told | {"zone": zone}]}
    return Stay(why, until)


def was_held(one: Walker) -> dict[str, Any]:
    """Return what is told of it in the `why` of the step they leave, and forget it."""
    held = one.context.get(HELD)
    if held is None:
        return {}
    one.context = {name: value for name, value in one.context.items() if name != HELD}
    return {HELD: held}


def arrival(session: Session, client_id: int, communication_id: int) -> Sequence[Wait]:
    """Return what a message's member waited for at its step, from when they came there."""
    step = session.scalar(
        select(EnrolmentStep).where(
            EnrolmentStep.client_id == client_id,
            EnrolmentStep.communication_id == communication_id,
        )
    )
    if step is None or step.left_at - step.came_at < SHORT:
        return ()
    waits = [_wait(held) for held in step.why.get(HELD, ())]
    return [Wait(step.came_at, step.came_at, NOT_RECORDED), *waits]


def _wait(held: dict[str, str]) -> Wait:
    since, until = (datetime.fromisoformat(held[name]) for name in ("since", "until"))
    local = until.astimezone(zone_of(held["zone"]))
    return Wait(since, until, f"{held['by']} until {local:%Y-%m-%d %H:%M} {held['zone']}")
