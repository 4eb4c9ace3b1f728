"""Dispatch: claim → render → intend → send → settle, one window of one account's lane at a time.

This is the one place in the product with several commits, and the order of them is the promise:

1. the claim is committed, so that no other worker prepares the same rows;
2. messages are rendered; what cannot be rendered is skipped, and nothing was sent;
3. the intent is committed durably before the first byte leaves (docs/why/sending.md);
4. the adapter sends, with no transaction open;
5. outcomes are committed in small sets as they become known.

A crash after 3 leaves rows `sending`; their lease makes them `unknown`, and evidence resolves them.
Nothing here sends a row twice unasked.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, count, repeat
from time import sleep
from typing import TypeVar

from sqlalchemy.orm import Session

from channels.adapter import OutgoingMessage, Ports
from channels.channel import Channel
from channels.outcome import DEADLINE_PASSED, Accepted, Ambiguous, NotSent, Outcome, Rejected
from channels.registry import sender
from channels.template import TemplateRenderError
from communications import effects, ledger
from communications.account import (
    ProviderAccount,
    account_config,
    pause_account,
    sending_account,
)
from communications.attempt import AttemptOutcome
from communications.breaker import Breaker
from communications.claim import Claimed, claim
from communications.communication import MessageType, Reason
from communications.content import ContentStore, literal
from communications.flight import Flight
from communications.lane import Lane
from communications.reference import References
from communications.rest import rest_account, rested, rests
from communications.settle import Settled, settle
from communications.tally import Tally
from communications.urls import Urls
from core.clock import Clock, ticking
from core.db import DATABASE_AWAY, Sessions, read, write
from core.errors import EngineError
from core.failpoint import reach
from core.log import get
from core.secret import Vault

log = get(__name__)

T = TypeVar("T")

LEASE_SECONDS = 120
MARGIN = 3 / 8
"""The last part of a lease in which nothing new is written to the wire: 45 of 120 seconds
(docs/why/sending.md)."""
WRITE_PAUSES = (0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between tries to write: what is known must survive a database that restarts. Answers are
tried to be written until the lease ends; then they are unknown anyway."""
INTENT_SECONDS = 6.0
"""So long an intent is tried; then the rows are given back."""
TALLIED: dict[type[Outcome], str] = {
    Accepted: AttemptOutcome.ACCEPTED.value,
    Rejected: AttemptOutcome.REJECTED.value,
    NotSent: AttemptOutcome.NOT_SENT.value,
    Ambiguous: AttemptOutcome.AMBIGUOUS.value,
}
UNRENDERABLE = (
    TemplateRenderError, EngineError, LookupError, ValueError, TypeError, AttributeError,
    ArithmeticError,
)  # fmt: skip
"""One message that cannot be made must not hold up its window."""


class Dispatcher:
    """Sends what is due, for one worker process."""

    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        *,
        owner: str,
        references: References,
        urls: Urls,
        vault: Vault,
        ports: Ports,
        content: ContentStore,
        lease_seconds: int = LEASE_SECONDS,
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._owner = owner
        self._references = references
        self._urls = urls
        self._vault = vault
        self._ports = ports
        self._content = content
        self._lease_seconds = lease_seconds
        self.tally = Tally()
        """How sends ended, for this worker's heartbeat."""
        self._lanes: dict[int, Lane] = {}
        self._claims = count(1)  # shared by lanes; next() cannot be torn
        self._stopping = False

    def step(self, account_id: int) -> int:
        """Send one window of an account's due rows; return how many rows were taken up.

        Call it from one thread per account. 0 means there is nothing to do now.
        """
        lane, limit = self._lane(account_id)
        if lane is None or self._stopping:
            return 0
        owner = self._claim_name(account_id)
        with write(self._sessions) as session:
            rows = claim(
                session,
                self._clock,
                account_id=account_id,
                owner=owner,
                limit=limit,
                lease_seconds=self._lease_seconds,
                cursors=lane.cursors,
            )
        if not rows:
            return 0
        reach("C4")
        until = ticking() + self._lease_seconds
        try:
            messages = self._render(lane, rows, owner)
            go = self._intend(account_id, list(messages), owner)
        except DATABASE_AWAY:
            # Unless they are given back, this counts as a crash, and three make them poison.
            self._written(lambda s: ledger.release(s, ids=[r.id for r in rows], owner=owner), until)
            raise
        if go:
            reach("C6")
            self._send(lane, go, messages)
        return len(rows)

    def stop(self) -> None:
        """Take up nothing new; the window in hand is finished by whoever runs `step`."""
        self._stopping = True

    def landed(self, timeout: float) -> bool:
        """Wait for slow answers that were left to themselves; False if they outlast `timeout` s."""
        until = ticking() + timeout
        lanes = tuple(self._lanes.values())
        return all(lane.landed(max(0.0, until - ticking())) for lane in lanes)

    def close(self) -> None:
        """Drop every adapter's connections."""
        for lane in self._lanes.values():
            lane.adapter.close()
        self._lanes.clear()

    def _claim_name(self, account_id: int) -> str:
        """Name this claim: unique, so that the intent proves it is ours by its owner alone."""
        return f"{self._owner}#{account_id}.{next(self._claims)}"

    def _lane(self, account_id: int) -> tuple[Lane | None, int]:
        """Return the account's lane and how many messages it may take up; none while it rests."""
        with read(self._sessions) as session:
            account = sending_account(session, account_id)
        if account is None:
            return None, 0
        lane = self._lanes.get(account_id)
        if account.rest_until is not None and account.rest_until > self._clock.now():
            if lane is not None:
                lane.resting = True
            return None, 0
        if lane is None or lane.version != account.updated_at:
            lane = self._renewed(account, lane)
            if lane is None:
                return None, 0
        # Another worker may have noted already that it is over.
        rested = lane.resting or account.rest_until is not None
        lane.resting = False
        return lane, lane.breaker.begin(account.strikes, rested=rested)

    def _renewed(self, account: ProviderAccount, old: Lane | None) -> Lane | None:
        """Open the account's lane, anew when it has changed; what the old one left still lands."""
        if old is not None:
            old.adapter.close()
        lane = self._opened(account)
        if lane is not None:
            lane.trails = old.trails if old is not None else []
            self._lanes[account.id] = lane
        return lane

    def _opened(self, account: ProviderAccount) -> Lane | None:
        """Build the account's lane; settings that cannot be used pause it, as a refusal would."""
        try:
            return self._open(account)
        except EngineError as error:
            reason = f"its settings cannot be used: {error}"
            with write(self._sessions) as session:
                pause_account(
                    session,
                    self._clock,
                    account_id=account.id,
                    reason=reason,
                    seen=account.updated_at,
                )
            return None

    def _open(self, account: ProviderAccount) -> Lane:
        kind = sender(account.adapter)
        adapter = kind.from_config(account_config(self._vault, account), self._ports)
        return Lane(
            account_id=account.id,
            version=account.updated_at,
            adapter_name=account.adapter,
            token=account.token,
            breaker=Breaker(account.window or kind.window),
            adapter=adapter,
        )

    def _render(
        self, lane: Lane, rows: Sequence[Claimed], owner: str
    ) -> dict[int, tuple[Claimed, OutgoingMessage]]:
        """Make the messages; rows that do not render are skipped and left out."""
        ready: dict[int, tuple[Claimed, OutgoingMessage]] = {}
        broken: list[tuple[Claimed, str]] = []
        with read(self._sessions) as session:
            for row in rows:
                reach("C5")
                try:
                    ready[row.id] = (row, self._message(session, lane, row))
                except UNRENDERABLE as error:
                    known = isinstance(error, EngineError)
                    broken.append((row, str(error) if known else type(error).__name__))
        if broken:
            with write(self._sessions) as session:
                for row, detail in broken:
                    ledger.skip_claimed(
                        session,
                        self._clock,
                        ids=[row.id],
                        owner=owner,
                        reason=Reason.RENDER_FAILED,
                        detail=detail,
                    )
        return ready

    def _message(self, session: Session, lane: Lane, row: Claimed) -> OutgoingMessage:
        if row.template_version_id is None:
            skeleton, values = literal(row.channel, row.subject or "", row.content or "")
        else:
            skeleton, values = self._content.values(
                session, row.template_version_id, row.id, row.merge, tracked=row.tracked
            )
        reference = self._references.make(row.id, row.token)
        return OutgoingMessage(
            reference=reference,
            to=row.to_address,
            skeleton=skeleton,
            values=values,
            headers=self._headers(row),
            status_url=self._urls.status(lane.adapter_name, lane.token, reference),
            collapse_key=str(row.id),
        )

    def _headers(self, row: Claimed) -> tuple[tuple[str, str], ...]:
        """Return the one-click unsubscribe headers of marketing email (RFC 2369, RFC 8058)."""
        if row.channel is not Channel.EMAIL or row.message_type is not MessageType.MARKETING:
            return ()
        return (
            ("List-Unsubscribe", f"<{self._urls.unsubscribe(row.id)}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        )

    def _intend(self, account_id: int, ids: Sequence[int], owner: str) -> set[int]:
        if not ids:
            return set()

        def intend(session: Session) -> set[int]:
            if rests(session, self._clock, account_id=account_id):
                # It was asked for while these were prepared.
                ledger.release(session, ids=ids, owner=owner)
                return set()
            passed = ledger.intend(
                session, self._clock, ids=ids, owner=owner, lease_seconds=self._lease_seconds
            )
            refused = [i for i in ids if i not in passed]
            if refused:
                ledger.turn_away(session, self._clock, ids=refused, owner=owner)
            return passed

        return self._written(intend, ticking() + INTENT_SECONDS)

    def _send(
        self,
        lane: Lane,
        go: set[int],
        messages: Mapping[int, tuple[Claimed, OutgoingMessage]],
    ) -> None:
        now = ticking()
        deadline, until = now + self._lease_seconds * (1 - MARGIN), now + self._lease_seconds
        batch = [message for i, (_, message) in messages.items() if i in go]

        def expired() -> bool:
            return lane.resting or ticking() > deadline

        flight = Flight(
            {message.reference: row for i, (row, message) in messages.items() if i in go},
            self._outcomes(lane, batch, expired),
            settle=lambda results: self._settle(lane, results, until),
            note=lambda outcome: self._note(lane, outcome, until),
        )
        if not flight.land(lane.may_leave):
            lane.leave(flight)
        if lane.breaker.end(answered=flight.answered):
            self._written(lambda s: rested(s, self._clock, account_id=lane.account_id), until)

    def _note(self, lane: Lane, outcome: Outcome, until: float) -> None:
        """Count an outcome, and let the account rest where it calls for it."""
        if _account_fault(outcome):
            lane.resting = True
        rest = lane.breaker.note(outcome, ticking())
        if rest is None or lane.knows(outcome, ticking() + rest.seconds):
            return
        lane.resting = True
        log.warning("account rests", account=lane.account_id, why=rest.reason, s=rest.seconds)
        self._written(
            lambda session: rest_account(
                session,
                self._clock,
                account_id=lane.account_id,
                seconds=rest.seconds,
                reason=rest.reason,
                strike=rest.strike,
            ),
            until,
        )

    def _outcomes(
        self, lane: Lane, batch: Sequence[OutgoingMessage], expired: Callable[[], bool]
    ) -> Iterator[tuple[str, Outcome]]:
        """Run the adapter; a bug in it ends the batch, and what is left becomes ambiguous."""
        try:
            yield from lane.adapter.send(batch, expired)
        except Exception:  # a bug in an adapter must not become a second send
            log.exception("adapter failed", account=lane.account_id, adapter=lane.adapter_name)

    def _settle(self, lane: Lane, results: Sequence[Settled], until: float) -> None:
        reach("C8")
        told = [result.outcome for result in results if result.outcome != DEADLINE_PASSED]
        for name, n in Counter(TALLIED[type(outcome)] for outcome in told).items():
            self.tally.count(lane.account_id, name, n)

        def write_down(session: Session) -> None:
            settle(session, self._clock, account_id=lane.account_id, results=results)
            effects.run(session, self._clock, effects.of_refusals(results))
            fault = next((r.outcome for r in results if _account_fault(r.outcome)), None)
            if isinstance(fault, Rejected):
                reason = f"{fault.code}: {fault.reason}"
                pause_account(
                    session,
                    self._clock,
                    account_id=lane.account_id,
                    reason=reason,
                    seen=lane.version,
                )
            # Another worker may have been asked for patience: the rest of this batch stays, too.
            lane.resting |= rests(session, self._clock, account_id=lane.account_id)
            reach("C9")

        self._written(write_down, until)
        reach("C10")

    def _written(self, work: Callable[[Session], T], until: float) -> T:
        """Run `work` in a transaction of its own; while the database is away, again until then.

        `until` is on core.clock.ticking(); raises one of DATABASE_AWAY after it.
        """
        for pause in chain(WRITE_PAUSES, repeat(WRITE_PAUSES[-1])):
            try:
                with write(self._sessions) as session:
                    return work(session)
            except DATABASE_AWAY:
                if ticking() + pause > until:
                    raise
            sleep(pause)
        raise AssertionError("the pauses never end")


def _account_fault(outcome: Outcome) -> bool:
    return isinstance(outcome, Rejected) and outcome.account_fault
