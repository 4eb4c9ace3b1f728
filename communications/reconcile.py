"""Reconcile: asks providers whether they have what nobody can tell about, and folds what they say.

    take (commit: `checked_at`) → ask, with no transaction open → fold (commit)

Taking first keeps two workers from asking about one message. What is found is evidence, folded like
a receipt; what is not found stays unknown: absence is no proof (docs/why/sending.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from channels.adapter import (
    CannotSay,
    EventType,
    Found,
    HttpClient,
    Ports,
    ProviderEvent,
    Query,
    Searcher,
)
from channels.registry import SEARCHABLE, searcher
from channels.template import TemplateRenderError
from communications.account import ProviderAccount, account_config
from communications.communication import Communication, Reason
from communications.content import ContentStore
from communications.ledger import SENDING
from communications.queries import rendered
from communications.receipt import learn_facts
from communications.reference import References
from communications.unknown import ALL, UNKNOWN, Which, matching
from core.clock import Clock, ticking
from core.db import Sessions, read, write
from core.errors import EngineError
from core.rows import among
from core.secret import Vault

C = Communication

SETTLING = timedelta(minutes=2)
"""A receipt comes within that, mostly; only then is the provider asked."""
ASK_EVERY = timedelta(minutes=30)
ASK_FOR = timedelta(hours=72)
"""How long it is asked unbidden: as long as SendGrid keeps its activity."""
LATE = timedelta(seconds=120)
"""How long after the last moment of a send the provider may date it."""
SKEW = timedelta(seconds=10)
"""How far a provider's clock may be behind ours."""
ANSWERLESS = timedelta(minutes=10)
"""A message without an answer left no longer ago than that when it became unknown."""
LOST_TRIES = 3
"""Attempts a restored message may have had in the time that was lost, beyond those it knows of."""
PATIENCE_SECONDS = 20.0
"""After that an operator who asked is told how far it came."""
STEP_SECONDS = 5.0
"""The same for what is asked unbidden: a worker that is told to stop waits for it."""
SEARCH = "search"
"""The source of what a search found, in a message's story."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of asking."""

    found: int = 0
    """The provider has it: they are sent."""
    not_found: int = 0
    cannot_say: int = 0
    """Their provider cannot be asked, or did not answer."""
    left: int = 0
    """Not asked yet: the time was up, or the provider wants to be asked later."""

    @property
    def rows(self) -> int:
        """Return how many messages it is about."""
        return self.found + self.not_found + self.cannot_say + self.left

    def __add__(self, other: "Checked") -> "Checked":
        return Checked(
            self.found + other.found,
            self.not_found + other.not_found,
            self.cannot_say + other.cannot_say,
            self.left + other.left,
        )


@dataclass(slots=True)
class _Asked:
    """One message, and what its provider says of it; None: it was not asked."""

    row: Communication
    said: tuple[Found, ...] | CannotSay | None = None


class Reconciler:
    """Asks about unknown messages, for one process; any number of processes may."""

    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        *,
        references: References,
        vault: Vault,
        http: HttpClient,
        content: ContentStore,
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._references = references
        self._vault = vault
        self._ports = Ports(http=http, clock=clock)
        self._content = content

    def check(
        self,
        client_id: int,
        which: Which = ALL,
        *,
        limit: int = 50,
        since: datetime | None = None,
    ) -> Checked:
        """Ask now about a client's unknown messages, least lately asked first.

        `since` leaves out what was asked at that time or later, so that a caller may come back for
        the rest. Takes 20 seconds and the last answer at most.
        """
        with write(self._sessions) as session:
            conditions = matching(session, self._clock, client_id, which)
            if since is not None:
                conditions.append(or_(C.checked_at.is_(None), C.checked_at < since))
            rows = _take(session, self._clock, conditions, limit)
        return self._reconcile(rows, PATIENCE_SECONDS)

    def step(self, limit: int) -> Checked:
        """Ask about what is due for it, of any client: unknown for 2 minutes, not for 72 hours.

        An account that tells nothing is put off with all its messages, so that it cannot take the
        turn of others: for 30 minutes, or for 2 if it may well tell then.
        """
        now = self._clock.now()
        searchable = select(ProviderAccount.id).where(ProviderAccount.adapter.in_(SEARCHABLE))
        due = [
            UNKNOWN,
            C.updated_at <= now - SETTLING,
            C.updated_at > now - ASK_FOR,
            or_(C.checked_at.is_(None), C.checked_at <= now - ASK_EVERY),
            C.provider_account_id.in_(searchable),
        ]
        with read(self._sessions) as session:
            if session.scalar(select(C.id).where(*due).limit(1)) is None:
                return Checked()
        with write(self._sessions) as session:
            rows = _take(session, self._clock, due, limit)
        return self._reconcile(rows, STEP_SECONDS, due)

    def _reconcile(
        self,
        rows: Sequence[Communication],
        seconds: float,
        put_off: Sequence[ColumnElement[bool]] | None = None,
    ) -> Checked:
        by_account: dict[int | None, list[_Asked]] = {}
        for row in rows:
            by_account.setdefault(row.provider_account_id, []).append(_Asked(row))
        deadline = ticking() + seconds
        total = Checked()
        for account_id, asked in by_account.items():
            with read(self._sessions) as session:
                account = session.get(ProviderAccount, account_id) if account_id else None
            self._ask(account, asked, deadline)
            with write(self._sessions) as session:
                total += _learn(session, self._clock, asked)
                mute = _mute(asked)
                if mute is not None and put_off is not None:
                    its = (*put_off, C.provider_account_id == account_id)
                    _put_off(session, self._clock, mute, its)
        return total

    def _ask(
        self, account: ProviderAccount | None, asked: Sequence[_Asked], deadline: float
    ) -> None:
        """Fill in what the provider says, message by message, until it has had enough of us."""
        adapter = self._adapter(account)
        if isinstance(adapter, CannotSay):
            for one in asked:
                one.said = adapter
            return
        try:
            for number, one in enumerate(asked):
                if ticking() > deadline:
                    return
                query = self._query(one.row)
                one.said = adapter.find(query) if isinstance(query, Query) else query
                if isinstance(one.said, CannotSay) and one.said.again:
                    return
                if isinstance(one.said, CannotSay) and one.said.of_account:
                    for other in asked[number:]:
                        other.said = one.said
                    return
        finally:
            adapter.close()

    def _adapter(self, account: ProviderAccount | None) -> Searcher | CannotSay:
        try:
            kind = searcher(account.adapter) if account is not None else None
            if account is None or kind is None:
                return CannotSay("this provider cannot be asked", of_account=True)
            return kind.from_config(account_config(self._vault, account), self._ports)
        except EngineError:
            return CannotSay("the account's settings cannot be used", of_account=True)

    def _query(self, row: Communication) -> Query | CannotSay:
        try:
            with read(self._sessions) as session:
                faces = rendered(session, self._content, row)
        except (TemplateRenderError, EngineError):
            return CannotSay("the message cannot be rendered any more")
        begun, ended = window(row)
        return Query(
            references=tuple(
                self._references.make(row.id, token) for token in range(newest(row), 0, -1)
            ),
            to=row.to_address or "",
            body=faces.get("body") or faces.get("text", ""),
            begun=begun,
            ended=ended,
        )


def newest(row: Communication) -> int:
    """Return the highest token an attempt may have had; 0: it was never taken up.

    A restored row has the token it had at the backup; the database that was lost went on from it.
    """
    return row.token + (LOST_TRIES if row.reason is Reason.RESTORED else 0)


def window(row: Communication) -> tuple[datetime, datetime]:
    """Return from when to when the provider can have taken an unknown message.

    The intent's own time is not kept. It was not before the message was due, and not after it
    became unknown, which is when `updated_at` was written.
    """
    begun = row.created_at if row.resends else max(row.created_at, row.not_before)
    if not row.resends and row.reason is Reason.NO_ANSWER:
        begun = max(begun, row.updated_at - ANSWERLESS)
    return (begun - SKEW).replace(microsecond=0), row.updated_at + LATE


def _take(
    session: Session, clock: Clock, conditions: Sequence[ColumnElement[bool]], limit: int
) -> list[Communication]:
    """Mark messages as asked about now, and return them."""
    query = (
        select(C)
        .where(*conditions)
        .order_by(C.checked_at.asc().nulls_first(), C.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = list(session.scalars(query))
    _mark(session, rows, clock.now())
    return rows


def _mark(session: Session, rows: Sequence[Communication], when: datetime | None) -> None:
    if rows:
        session.execute(
            update(C)
            .where(among(session, C.id, [row.id for row in rows]), UNKNOWN)
            .values(checked_at=when)
            .execution_options(synchronize_session=False)
        )


def _mute(asked: Sequence[_Asked]) -> CannotSay | None:
    """Return what an account said that would tell nothing about any other message now."""
    said = (one.said for one in asked if isinstance(one.said, CannotSay))
    return next((one for one in said if one.of_account or one.again), None)


def _put_off(
    session: Session, clock: Clock, said: CannotSay, its: Sequence[ColumnElement[bool]]
) -> None:
    """Let all of an account's messages that are due to be asked about wait."""
    when = clock.now() - (ASK_EVERY - SETTLING if said.again else timedelta())
    session.execute(
        update(C).where(*its).values(checked_at=when).execution_options(synchronize_session=False)
    )


def _learn(session: Session, clock: Clock, asked: Sequence[_Asked]) -> Checked:
    """Fold what was found for messages of one account; what was not asked is due again at once."""
    left = [one.row for one in asked if one.said is None]
    _mark(session, left, None)
    found = cannot_say = 0
    for one in asked:
        if isinstance(one.said, CannotSay):
            cannot_say += 1
        elif one.said:
            its = _its(session, one.row, one.said)
            found += its is not None and _bind(session, clock, one.row, its)
    return Checked(found, len(asked) - len(left) - cannot_say - found, cannot_say, len(left))


def _its(session: Session, row: Communication, found: Sequence[Found]) -> Found | None:
    """Return what certainly is this message: it proves so, or is the only one nobody else has."""
    proven = next((one for one in found if one.proven), None)
    if proven is not None:
        return proven
    ids = [one.provider_id for one in found]
    taken = set(
        session.scalars(
            select(C.provider_id).where(
                C.provider_account_id == row.provider_account_id,
                C.provider_id.is_not(None),
                among(session, C.provider_id, ids),
            )
        )
    )
    free = [one for one in found if one.provider_id not in taken]
    return free[0] if len(free) == 1 and not _has_twin(session, row) else None


def _has_twin(session: Session, row: Communication) -> bool:
    """Say whether another message to this address may be what the provider has.

    Such as one whose answer was lost as well, is on its way, or whose id we were not told.
    """
    begun, ended = window(row)
    same = (
        C.updated_at >= begun - LATE,
        C.created_at <= ended,
        C.provider_account_id == row.provider_account_id,
        C.to_address == row.to_address,
        C.provider_id.is_(None),
        C.id != row.id,
    )
    of_client = C.client_id == row.client_id
    # Three questions, because each has an index of its own.
    places = (
        (of_client, UNKNOWN),
        (SENDING,),
        (of_client, C.member_id == row.member_id, C.sent_at.is_not(None)),
    )
    return any(
        session.scalar(select(C.id).where(*same, *place).limit(1)) is not None for place in places
    )


def _bind(session: Session, clock: Clock, row: Communication, found: Found) -> bool:
    """Fold that a message was sent, and note by which id its provider knows it."""
    event = ProviderEvent(
        type=EventType.SENT,
        # One provider's message is evidence once: a second row it might fit stays unknown.
        dedup_key=f"{row.provider_account_id}:{found.provider_id}",
        occurred_at=found.at or row.updated_at,
        reference=None,
        provider_id=found.provider_id,
        provider_status=found.provider_status,
    )
    new = learn_facts(
        session,
        clock,
        client_id=row.client_id,
        told={row.id: event},
        source=SEARCH,
        account_id=row.provider_account_id,
    )
    if new:
        session.execute(
            update(C)
            .where(C.id == row.id, C.provider_id.is_(None))
            .values(provider_id=found.provider_id)
            .execution_options(synchronize_session=False)
        )
    return bool(new)
