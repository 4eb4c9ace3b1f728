"""Waiting: steps that let time pass, or look out for something.

Waits count from when the member came to them by the journey's time, not from when a worker looked.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from campaigns.journeys.ast import (
    MEMBER_TIME,
    Digest,
    Happens,
    Replies,
    Wait,
    WaitFor,
    WaitTime,
)
from campaigns.journeys.enrolment import Held, Walker
from campaigns.journeys.enter import JOURNEY
from campaigns.journeys.goals import matching
from campaigns.journeys.happened import Asker, first_events, happened
from campaigns.journeys.machine import Batch, Go, Outcome, Stay
from campaigns.journeys.program import NEXT, TIMEOUT, Node
from campaigns.journeys.sending import zones
from core.condition.ast import Condition, Messaged, Verb, each_leaf
from core.condition.english import phrase
from core.localtime import next_local, zone_of
from members.dependence import ripens

LOOK = timedelta(hours=1)
"""Between two looks at a condition that time alone can fulfil."""
SOON = timedelta(minutes=5)
"""Between two looks at whether something was sent: of that no provider need tell anything."""
MAX_COLLECTED, MAX_BYTES = 100, 32_768
"""Of a digest: events, and the JSON of them all."""


def wait(batch: Batch, node: Node[Wait], people: Sequence[Walker]) -> Mapping[int, Outcome]:
    """Let a duration pass."""
    step = node.step
    return {one.id: _until(batch, one, one.since + step.over) for one in people}


def wait_time(
    batch: Batch, node: Node[WaitTime], people: Sequence[Walker]
) -> Mapping[int, Outcome]:
    """Wait for the next such local time."""
    step = node.step
    own = {}
    if step.zone == MEMBER_TIME:
        ids = sorted({one.member_id for one in people})
        own = zones(batch.session, batch.machine.client_id, ids)
    return {
        one.id: _until(
            batch,
            one,
            next_local(
                one.since, step.at, zone_of(own.get(one.member_id, step.zone)), step.weekday
            ),
        )
        for one in people
    }


def wait_for(batch: Batch, node: Node[WaitFor], people: Sequence[Walker]) -> Mapping[int, Outcome]:
    """Wait until something happens, or for as long as the timeout says."""
    step = node.step
    ends = {one.id: one.since + step.timeout if step.timeout else None for one in people}
    outcomes = _answered(batch, step, people, ends)
    for one in people:
        end = ends[one.id]
        if one.id in outcomes:
            continue
        if end is not None and end <= batch.now:
            outcomes[one.id] = Go(TIMEOUT, {"waited_until": end.isoformat()}, batch.moment(end))
        else:
            outcomes[one.id] = Stay(Held.EVENT, _look(batch, step, end), end)
    return outcomes


def digest(batch: Batch, node: Node[Digest], people: Sequence[Walker]) -> Mapping[int, Outcome]:
    """Collect events for a while; templates list them as `journey.<step>`.

    The event that let them in is not among them: templates know it as `event`.
    """
    step = node.step
    over = [one for one in people if one.since + step.over <= batch.now]
    askers = [Asker(one.id, one.member_id, one.since, one.since + step.over) for one in over]
    found = first_events(
        batch.session, batch.machine.client_id, step.event, askers, most=MAX_COLLECTED
    )
    for one in over:
        kept = one.context.get(JOURNEY, {}) | {node.key: _that_fit(found[one.id])}
        one.context = one.context | {JOURNEY: kept}
    return {one.id: _until(batch, one, one.since + step.over) for one in people}


def _that_fit(collected: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first events that are no more than MAX_BYTES together."""
    sizes = accumulate(len(json.dumps(one)) for one in collected)
    return [one for one, size in zip(collected, sizes, strict=True) if size <= MAX_BYTES]


def _until(batch: Batch, one: Walker, end: datetime) -> Outcome:
    if end <= batch.now:
        return Go(why={"until": end.isoformat()}, at=batch.moment(end))
    return Stay(Held.WAIT, end, end)


def _answered(
    batch: Batch,
    step: WaitFor,
    people: Sequence[Walker],
    ends: Mapping[int, datetime | None],
) -> dict[int, Outcome]:
    """Return who need not wait any longer."""
    if isinstance(step.what, Happens | Replies):
        askers = [
            Asker(one.id, one.member_id, one.since, ends[one.id] or batch.now, one.entry_key)
            for one in people
        ]
        client_id = batch.machine.client_id
        return {
            id: Go(NEXT, {"happened_at": at.isoformat()}, batch.moment(at))
            for id, at in happened(batch.session, client_id, step.what, askers).items()
        }
    # Nobody knows since when it is so: who is late is not asked any more.
    condition: Condition = step.what
    waiting = [one for one in people if (ends[one.id] or batch.now) >= batch.now]
    said = phrase(condition)
    return {
        one.id: Go(NEXT, {"is_so": said}, batch.now) for one in matching(batch, condition, waiting)
    }


def _look(batch: Batch, step: WaitFor, end: datetime | None) -> datetime | None:
    if isinstance(step.what, Happens | Replies):
        return end
    leaves = each_leaf(step.what)
    told = any(isinstance(leaf, Messaged) and leaf.verb is Verb.SENT for leaf in leaves)
    if not told and not ripens(step.what):
        return end
    soon = batch.now + (SOON if told else LOOK)
    return soon if end is None else min(soon, end)
