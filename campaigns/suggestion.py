"""Suggestion: what could make the next campaign better, each with its evidence. Nothing is done.

It says nothing where there is too little to go by.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from campaigns.launch import latest_run
from campaigns.queries import campaign as find_campaign
from campaigns.statistics import run_statistics, total
from communications.communication import Reason
from communications.failure import Failed, failures
from communications.report import ENOUGH, By, Chosen, chosen, report
from communications.response import engagement
from core.clock import Clock

SHARE = 0.1
"""Of a run's audience: below it, a reason is no matter."""
ACTORS = 30
"""People who did something, below which an hour is chance."""
ASK = {
    Reason.NO_CONSENT: "ask them for consent before the next campaign, or leave them out",
    Reason.NO_ADDRESS: "collect their addresses, or add a channel that reaches them",
    Reason.INVALID_ADDRESS: "clean their addresses: each costs and harms the sender's reputation",
    Reason.SUPPRESSED: "leave them out: they will not be written to anyway",
    Reason.DUPLICATE_ADDRESS: "look for twins and merge them",
}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One thing to do, and why."""

    code: str
    text: str
    evidence: Mapping[str, Any]


def suggestions(
    session: Session, clock: Clock, *, client_id: int, campaign_id: int
) -> list[Suggestion]:
    """Return what a campaign's numbers advise. Raises CampaignNotFoundError."""
    find_campaign(session, client_id, campaign_id)
    run = latest_run(session, campaign_id)
    if run is None:
        return []
    which = chosen(clock, campaign_id=campaign_id)
    numbers = total(run_statistics(session, client_id, run.id))
    return [
        *_skipped(numbers),
        *_bounced(numbers),
        *_hour(session, client_id, which),
        *_domains(session, client_id, which),
        *_failed(session, client_id, campaign_id),
    ]


def _skipped(numbers: Mapping[str, Any]) -> Iterator[Suggestion]:
    for reason, count in numbers["skipped_reasons"].items():
        if reason in ASK and numbers["audience"] >= ENOUGH and count >= SHARE * numbers["audience"]:
            evidence = {"skipped": count, "audience": numbers["audience"], "reason": reason}
            yield Suggestion(f"skipped_{reason}", ASK[Reason(reason)], evidence)


def _bounced(numbers: Mapping[str, Any]) -> Iterator[Suggestion]:
    settled = numbers["delivered"] + numbers["bounced"]
    if settled >= ENOUGH and numbers["bounced"] >= 0.02 * settled:
        evidence = {"bounced": numbers["bounced"], "settled": settled}
        yield Suggestion("bounced", "drop the addresses that bounced, and ask where they came from",
                         evidence)  # fmt: skip


def _hour(session: Session, client_id: int, which: Chosen) -> Iterator[Suggestion]:
    found = engagement(session, client_id, which)
    if found.sample >= ACTORS:
        best = max(range(24), key=lambda hour: found.hours[hour])
        evidence = {
            "hour": best, "timezone": found.timezone, "people": found.hours[best],
            "of": found.sample,
        }  # fmt: skip
        yield Suggestion(
            "hour", f"most people did something first from {best}:00; try it", evidence
        )


def _domains(session: Session, client_id: int, which: Chosen) -> Iterator[Suggestion]:
    for row in report(session, client_id, which, By.DOMAIN):
        if row.remarkable and row.key is not None:
            evidence = {"domain": row.key, "rate": row.rate, "accepted": row.accepted}
            text = f"far fewer arrive at {row.key}: look at what it says of your sender"
            yield Suggestion("domain", text, evidence)


def _failed(session: Session, client_id: int, campaign_id: int) -> Iterator[Suggestion]:
    for group in failures(session, client_id, Failed(campaign_id=campaign_id)):
        if group.retryable:
            evidence = {"rows": group.retryable, "error_code": group.error_code}
            yield Suggestion(
                "retry", f"{group.cause}: {group.action}, and send them again", evidence
            )
