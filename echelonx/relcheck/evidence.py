"""Evidence: what the database holds, read once and kept small, for the oracles to look at."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from campaigns.run import Run, RunStatus
from communications.account import ProviderAccount
from communications.claim import POISON
from communications.communication import Communication, Direction, MessageType
from communications.event import CommunicationEvent, EventState
from communications.status import OPEN, Rank, Status
from communications.unknown import OPERATOR
from echelonx.relcheck.providerlog import ProviderLog
from members.suppression import Scope, Suppression

C = Communication
AT_A_TIME = 20_000


@dataclass(frozen=True, slots=True)
class Row:
    """One outbound communication."""

    id: int
    client_id: int
    run_id: int | None
    member_id: int | None
    channel: str
    status: Status
    rank: Rank
    resends: int
    open_attempts: int
    lease_until: datetime | None
    kind: str
    """Of address: what a suppression names."""
    address_hash: str | None
    marketing: bool
    poison: bool
    """Held for an operator, because workers died with it."""
    adapter: str | None
    """Of the account it was sent through: the provider, as the log names it."""
    sent_at: float | None
    """Unix time in seconds."""

    @property
    def is_open(self) -> bool:
        """Whether it is still to be sent; what is held as poison waits for an operator."""
        return self.status in OPEN and not self.poison


@dataclass(frozen=True, slots=True)
class RunCount:
    """A run's audience, as it was counted while fanning out."""

    id: int
    audience: int
    expanded: int
    complete: bool
    channels: int
    status: str

    @property
    def over(self) -> bool:
        """Done or cancelled."""
        return self.status in (RunStatus.DONE, RunStatus.CANCELLED)


@dataclass(slots=True)
class Evidence:
    """All of it."""

    now: datetime
    log: ProviderLog
    expected: dict[str, Any]
    """What the caller knows: see docs/reference/relcheck.md."""
    rows: dict[int, Row] = field(default_factory=dict)
    events: dict[int, list[tuple[str, bool, str | None]]] = field(default_factory=dict)
    """By communication: (type, machine, the provider's word)."""
    vouched: set[int] = field(default_factory=set)
    """Communications an operator said were sent: his word, not the provider's."""
    runs: list[RunCount] = field(default_factory=list)
    suppressed: dict[tuple[int, str, str], tuple[bool, float]] = field(default_factory=dict)
    """(client, kind, address hash) → (only marketing, unix time)."""
    parked: int = 0
    inbox: dict[str, int] = field(default_factory=dict)
    """Stored requests by state."""
    accepts: dict[int, list[float]] = field(default_factory=dict)
    """By communication: when a provider took it."""

    @property
    def at_rest(self) -> bool:
        """Whether all that was to be sent has been; what the caller says of it goes first."""
        return bool(self.expected.get("at_rest", not self.early))

    @property
    def early(self) -> dict[int, int]:
        """Runs that still have something to do, and how many of their messages are open.

        None where the caller said whether it is at rest.
        """
        if "at_rest" in self.expected:
            return {}
        open_rows = Counter(row.run_id for row in self.rows.values() if row.is_open)
        going = [run for run in self.runs if not run.over]
        return {run.id: open_rows[run.id] for run in going if open_rows[run.id] or not run.complete}


def gather(session: Session, now: datetime, log: ProviderLog, expected: dict[str, Any]) -> Evidence:
    """Read it: three passes, about 1 KB of memory a message."""
    found = Evidence(now, log, expected)
    found.rows = {row.id: row for row in _rows(session)}
    found.events = _events(session)
    found.vouched = set(
        session.scalars(
            select(CommunicationEvent.communication_id).where(CommunicationEvent.source == OPERATOR)
        )
    )
    found.runs = _runs(session)
    found.suppressed = _suppressed(session)
    found.parked = (
        session.scalar(select(func.count()).where(CommunicationEvent.state == EventState.PARKED))
        or 0
    )
    accepts: dict[int, list[float]] = defaultdict(list)
    for taken in log.taken:
        if taken.communication_id is not None:
            accepts[taken.communication_id].append(taken.at)
    found.accepts = dict(accepts)
    return found


def _rows(session: Session) -> list[Row]:
    query = (
        select(
            C.id, C.client_id, C.run_id, C.member_id, C.channel, C.status, C.rank, C.resends,
            C.open_attempts,
            C.held, C.lease_until, C.address_hash, C.message_type, C.sent_at,
            ProviderAccount.adapter,
        )
        .outerjoin(ProviderAccount, ProviderAccount.id == C.provider_account_id)
        .where(C.direction == Direction.OUTBOUND)
        .execution_options(yield_per=AT_A_TIME)
    )  # fmt: skip
    return [
        Row(
            id=row.id,
            client_id=row.client_id,
            run_id=row.run_id,
            member_id=row.member_id,
            channel=row.channel.value,
            status=row.status,
            rank=Rank(row.rank),
            resends=row.resends,
            open_attempts=row.open_attempts,
            lease_until=row.lease_until,
            kind=row.channel.address_kind,
            address_hash=row.address_hash,
            marketing=row.message_type is MessageType.MARKETING,
            poison=row.held == POISON,
            adapter=row.adapter,
            sent_at=row.sent_at.timestamp() if row.sent_at else None,
        )
        for row in session.execute(query)
    ]


def _events(session: Session) -> dict[int, list[tuple[str, bool, str | None]]]:
    E = CommunicationEvent  # noqa: N806  (a table alias, like C)
    query = (
        select(E.communication_id, E.type, E.machine, E.provider_status)
        .where(E.communication_id.is_not(None), E.state == EventState.APPLIED)
        .execution_options(yield_per=AT_A_TIME)
    )
    found: dict[int, list[tuple[str, bool, str | None]]] = defaultdict(list)
    for communication_id, kind, machine, word in session.execute(query):
        found[communication_id or 0].append((kind, machine, word))
    return dict(found)


def _runs(session: Session) -> list[RunCount]:
    return [
        RunCount(
            id=run.id,
            audience=run.audience_size,
            expanded=run.expanded,
            complete=run.expanded_at is not None,
            channels=len(run.plan["channels"]),
            status=run.status.value,
        )
        for run in session.scalars(select(Run).order_by(Run.id))
    ]


def _suppressed(session: Session) -> dict[tuple[int, str, str], tuple[bool, float]]:
    return {
        (one.client_id, one.channel, one.address_hash): (
            one.scope is Scope.MARKETING,
            one.since.timestamp(),
        )
        # The wider scope is read last and stays.
        for one in session.scalars(select(Suppression).order_by(Suppression.scope.desc()))
    }
