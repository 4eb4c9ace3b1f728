"""Statistics: what became of a run, counted from its rows whenever asked."""

from typing import Any

from sqlalchemy.orm import Session

from campaigns.plan import Plan
from campaigns.queries import run as find_run
from channels.channel import Channel
from communications.queries import COLUMNS
from communications.queries import run_statistics as recount

Numbers = dict[str, Any]


def run_statistics(session: Session, client_id: int, run_id: int) -> dict[Channel, Numbers]:
    """Return the run's numbers for each channel of its plan, zeros included.

    audience = sent + skipped + failed + unknown + queued, and sent = delivered + bounced + pending;
    `skipped_reasons` adds up to skipped. Until the fan-out has ended, `audience` counts the members
    fanned out so far. Raises RunNotFoundError.
    """
    run = find_run(session, client_id, run_id)
    counted = recount(session, run_id)
    empty: Numbers = dict.fromkeys(COLUMNS, 0)
    return {
        lane.channel: counted.get(lane.channel, {**empty, "skipped_reasons": {}})
        for lane in Plan.from_json(run.plan).lanes
    }


def total(channels: dict[Channel, Numbers]) -> Numbers:
    """Return the sum over channels; `audience` then counts messages, not members."""
    numbers: Numbers = dict.fromkeys(COLUMNS, 0)
    reasons: dict[str, int] = {}
    for one in channels.values():
        for name in COLUMNS:
            numbers[name] += one[name]
        for reason, count in one["skipped_reasons"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    return {**numbers, "skipped_reasons": reasons}
