"""Trouble: accounts whose provider does not take messages now, and what waits because of it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from communications.account import AccountStatus, ProviderAccount
from communications.attempt import Attempt, AttemptOutcome
from communications.communication import Communication
from communications.ledger import QUEUED
from core.log import redact
from echelonx.backlog import MOST
from echelonx.health.finding import age

C = Communication
REMEDY = (
    "they are tried again by themselves, until they expire; can its host and port be reached from "
    "here, and what does the provider's status page say?"
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is the matter with one account in use."""

    retries: int
    """Messages that wait to be tried again, up to 100,000."""
    error: str
    """What the provider, or the way to it, said last."""
    since: datetime | None
    """When the first of them failed."""
    rests_until: datetime | None

    def told(self, now: datetime) -> str:
        """Return it as a part of a sentence."""
        parts = []
        if self.retries:
            more = " or more" if self.retries == MOST else ""
            verb = "waits" if self.retries == 1 else "wait"
            parts.append(f"{self.retries:,}{more} {verb} to be tried again")
        if self.rests_until:
            parts.append(f"rests until {self.rests_until:%H:%M:%S} UTC")
        parts.append(f"last error: {self.error}")
        if self.since:
            ago = age((now - self.since).total_seconds())
            parts.append(f"since {self.since:%Y-%m-%d %H:%M} UTC, {ago}")
        return "; ".join(parts)


def troubles(session: Session, now: datetime) -> dict[int, Trouble]:
    """Return what is the matter, by account; accounts that are not in use are left out."""
    query = select(ProviderAccount).where(ProviderAccount.status == AccountStatus.ACTIVE)
    found = {one.id: _trouble(session, one, now) for one in session.scalars(query)}
    return {account_id: one for account_id, one in found.items() if one is not None}


def _trouble(session: Session, account: ProviderAccount, now: datetime) -> Trouble | None:
    rests = account.rest_until is not None and account.rest_until > now
    count, since, last = _retries(session, account.id)
    if not count and not rests:
        return None
    error = account.rest_reason if rests else None
    if last is not None:
        error = session.scalar(select(Attempt.detail).where(Attempt.id == last)) or error
    return Trouble(
        retries=count,
        error=redact(error or "not told"),
        since=since,
        rests_until=account.rest_until if rests else None,
    )


def _retries(session: Session, account_id: int) -> tuple[int, datetime | None, int | None]:
    """Return how many messages wait for another try, when the first failed, the last attempt."""
    waiting = (
        select(C.id)
        .where(C.provider_account_id == account_id, QUEUED, C.held.is_(None), C.tries > 0)
        .limit(MOST)
        .subquery()
    )
    count, since, last = session.execute(
        select(
            func.count(Attempt.communication_id.distinct()),
            func.min(Attempt.finished_at),
            func.max(Attempt.id),
        )
        .join(waiting, Attempt.communication_id == waiting.c.id)
        .where(Attempt.outcome == AttemptOutcome.NOT_SENT)
    ).one()
    return count, since, last
