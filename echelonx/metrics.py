"""Metrics: what an operator watches, read from the database when it is asked for.

Every query uses an index, so that asking every few seconds costs nothing beside the sending. No
metric names a person, an address or a text; accounts are their ids.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import Session

from accounts.endpoint import Endpoint
from accounts.outbox import EndpointDelivery
from communications.account import AccountStatus, ProviderAccount
from communications.communication import Communication
from communications.event import CommunicationEvent
from communications.unknown import UNKNOWN
from core.clock import Clock
from core.db import read
from echelonx.backlog import MOST, backlog
from echelonx.exposition import Metric, metric
from echelonx.holding import current_hold
from echelonx.runner import TICKED, Role
from echelonx.standstill import standstill
from echelonx.wiring import Services
from scheduling.worker import SILENT_SECONDS, Worker, workers
from webhooks.collected import Collected
from webhooks.inbox import InboxItem

C = Communication
PARKED = CommunicationEvent.state == literal_column("'parked'")
NEW = InboxItem.state == literal_column("'new'")
COLLECTED = Collected.state == literal_column("'new'")
"""Literals, not bound: only then do both databases use the partial indexes."""
ABOUT_SENDS = "Sends by how they ended, since the worker started"
ABOUT_LOST = "Sends whose worker stopped in the middle, by the worker that found them"
ABOUT_AMBIGUOUS = "Share of an account's sends in the last 5 minutes that nobody can tell about"


class Metrics:
    """Reads every metric."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def read(self) -> list[Metric]:
        """Return them all."""
        clock = self._services.clock
        with read(self._services.sessions) as session:
            accounts = _accounts(session)
            return [
                *_unknown(session, clock),
                *_due(session, clock.now()),
                *_waiting(session),
                *_journeys(session, clock.now()),
                *_outbound(session, clock.now()),
                metric("held", "1 while nothing is sent, see `echelonx resume`",
                       int(current_hold(session) is not None)),
                metric("rate_limit_unheard_total",
                       "Requests counted by this process alone: Redis did not answer",
                       self._services.buckets.unheard),
                *_of_accounts(accounts, clock.now()),
                *_of_workers(workers(session), clock.now()),
            ]  # fmt: skip


def _accounts(session: Session) -> Sequence[ProviderAccount]:
    # The whole table: a few dozen rows.
    query = select(ProviderAccount).where(ProviderAccount.status != AccountStatus.ARCHIVED)
    return session.scalars(query.order_by(ProviderAccount.id)).all()


def _active(account: ProviderAccount) -> bool:
    return account.status is AccountStatus.ACTIVE


def _unknown(session: Session, clock: Clock) -> Iterator[Metric]:
    # ix_communications_unknown
    query = select(func.count(), func.min(C.updated_at)).where(UNKNOWN)
    count, oldest = session.execute(query).one()
    yield metric("unknown_open", "Messages nobody can tell about", count)
    age = _seconds(clock.now(), oldest) if count else 0
    yield metric("unknown_oldest_seconds", "How long the oldest of them has been so", age)


def _due(session: Session, now: datetime) -> Iterator[Metric]:
    found = backlog(session, now)
    yield metric("due_backlog", f"Messages due that nobody has taken, up to {MOST}", found.count)
    lag = _seconds(now, found.oldest) if found.oldest else 0.0
    yield metric("pump_lag_seconds", "How long the oldest of them is due", lag)


def _waiting(session: Session) -> Iterator[Metric]:
    # ix_communication_events_parked, ix_inbox_new and ix_collected_new
    parked = session.scalar(select(func.count()).where(PARKED)) or 0
    yield metric("parked_events", "Receipts of messages that are not known yet", parked)
    stored = session.scalar(select(func.count()).where(NEW)) or 0
    yield metric("inbox_backlog", "Webhooks stored and not applied yet", stored)
    told = session.scalar(select(func.count()).where(COLLECTED)) or 0
    yield metric("collected_backlog", "Requests with events stored and not applied yet", told)


def _journeys(session: Session, now: datetime) -> Iterator[Metric]:
    found = standstill(session, now)
    due = _seconds(now, found.due_since) if found.due_since else 0.0
    heard = _seconds(now, found.signals_since) if found.signals_since else 0.0
    yield metric("enrolments_due_oldest_seconds", "How long the first member in a journey is due",
                 due)  # fmt: skip
    yield metric("enrolments_stuck", "Members in journeys whose step failed for good", found.stuck)
    yield metric("signals_waiting", "Happenings that no journey has heard of yet", found.signals)
    yield metric("signals_oldest_seconds", "How long the oldest of them waits", heard)


def _outbound(session: Session, now: datetime) -> Iterator[Metric]:
    # ix_endpoint_deliveries_due, and a table of a few rows for each client
    D, E = EndpointDelivery, Endpoint  # noqa: N806  (table aliases)
    waits = D.state == literal_column("'waiting'")
    count, oldest = session.execute(
        select(func.count(), func.min(D.due_at)).where(waits, D.due_at <= now)
    ).one()
    yield metric("outbound_due", "Facts that clients' endpoints are to be told now", count)
    lag = _seconds(now, oldest) if count else 0.0
    yield metric("outbound_lag_seconds", "How long the oldest of them is due", lag)
    failing = select(func.count()).where(E.enabled, E.failing_since.is_not(None))
    yield metric("endpoints_failing", "Endpoints that took nothing since they first failed",
                 session.scalar(failing))  # fmt: skip


def _of_accounts(accounts: Sequence[ProviderAccount], now: datetime) -> Iterator[Metric]:
    active = Metric("account_active", "1 if the provider account is in use, 0 if it is paused")
    resting = Metric("account_resting", "1 while the account rests after its provider failed")
    for account in accounts:
        active.add(int(_active(account)), account=account.id)
        rests = account.rest_until is not None and account.rest_until > now
        resting.add(int(rests), account=account.id)
    yield from (active, resting)


def _of_workers(found: Sequence[Worker], now: datetime) -> Iterator[Metric]:
    # The whole table: one row for each process of the last week.
    alive = [one for one in found if _seconds(now, one.heartbeat_at) <= SILENT_SECONDS]
    working = [one for one in alive if Role.WORKER in one.roles]
    yield metric("workers_alive", "Workers heard of in the last 45 seconds", len(working))
    ticks = [one.report[TICKED] for one in found if TICKED in one.report]
    last = max(0.0, now.timestamp() - max(ticks)) if ticks else None
    yield metric("scheduler_last_tick_seconds", "Since a scheduler was last known to tick", last)
    sends = Metric("sends_total", ABOUT_SENDS)
    lost = Metric("lease_expired_total", ABOUT_LOST)
    for one in found:
        if "lost" in one.report:
            lost.add(one.report["lost"], worker=one.name)
        for account, outcomes in one.report.get("sends", {}).items():
            for outcome, count in outcomes.items():
                sends.add(count, worker=one.name, account=account, outcome=outcome)
    yield from (sends, lost)
    yield _ambiguous(alive)


def _ambiguous(alive: Sequence[Worker]) -> Metric:
    every: Counter[str] = Counter()
    doubtful: Counter[str] = Counter()
    for one in alive:
        for account, (count, ambiguous) in one.report.get("recent", {}).items():
            every[account] += count
            doubtful[account] += ambiguous
    rate = Metric("ambiguous_rate", ABOUT_AMBIGUOUS)
    for account in sorted(every):
        if every[account]:
            rate.add(doubtful[account] / every[account], account=account)
    return rate


def _seconds(now: datetime, before: datetime) -> float:
    return max(0.0, (now - before).total_seconds())
