"""Dispatch: claim → render → intend → send → settle, one window of one account's lane at a time.

This is the one place in the product with several commits, and the order of them is the promise:

1. the claim is committed, so that no other worker prepares the same rows;
2. messages are rendered; what cannot be rendered is skipped, and nothing was sent;
3. the intent is committed durably before the first byte leaves (RELIABILITY 3.5, T5);
4. the adapter sends, with no transaction open;
5. outcomes are committed in small sets as they become known.

A crash after 3 leaves rows `sending`; their lease makes them `unknown`, and evidence resolves them.
Nothing here sends a row twice unasked.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from channels.adapter import OutgoingMessage, Ports, Sender
from channels.channel import Channel
from channels.outcome import Ambiguous, Outcome, Rejected
from channels.registry import sender
from channels.template import TemplateRenderError
from communications import effects, ledger
from communications.account import (
    AccountStatus,
    ProviderAccount,
    account_config,
    pause_account,
)
from communications.communication import MessageType, Reason
from communications.content import ContentStore, literal
from communications.ledger import Claimed, Cursor
from communications.reference import References
from communications.settle import Settled, settle
from communications.urls import Urls
from core.clock import Clock, ticking
from core.db import Sessions, read, write
from core.errors import EngineError
from core.log import get
from core.secret import Vault

log = get(__name__)

T = TypeVar("T")

LEASE_SECONDS = 120
MARGIN_SECONDS = 45
"""The last part of a lease in which nothing new is written to the wire (RELIABILITY 3.7)."""
SETTLE_EVERY = 100
SETTLE_SECONDS = 0.5
WRITE_TRIES = 6
"""With pauses of 0.2, 0.4, … s between: what is known must survive a database that restarts."""
UNRENDERABLE = (
    TemplateRenderError, EngineError, LookupError, ValueError, TypeError, AttributeError,
    ArithmeticError,
)  # fmt: skip
"""One message that cannot be made must not hold up its window."""


@dataclass(slots=True)
class Lane:
    """One account as this worker sees it: its adapter, and how far it has claimed."""

    account_id: int
    version: Any
    """Changes when the account does; the adapter is then built anew."""
    adapter_name: str
    token: str
    window: int
    adapter: Sender
    cursors: dict[int, Cursor] = field(default_factory=dict)


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
        self._lanes: dict[int, Lane] = {}
        self._claims = count(1)  # shared by lanes; next() cannot be torn
        self._stopping = False

    def step(self, account_id: int) -> int:
        """Send one window of an account's due rows; return how many rows were taken up.

        Call it from one thread per account. 0 means there is nothing to do now.
        """
        lane = self._lane(account_id)
        if lane is None or self._stopping:
            return 0
        owner = self._claim_name(account_id)
        with write(self._sessions) as session:
            rows = ledger.claim(
                session,
                self._clock,
                account_id=account_id,
                owner=owner,
                limit=lane.window,
                lease_seconds=self._lease_seconds,
                cursors=lane.cursors,
            )
        if not rows:
            return 0
        messages = self._render(lane, rows, owner)
        go = self._intend(list(messages), owner)
        if go:
            self._send(lane, go, messages)
        return len(rows)

    def stop(self) -> None:
        """Take up nothing new; the window in hand is finished by whoever runs `step`."""
        self._stopping = True

    def close(self) -> None:
        """Drop every adapter's connections."""
        for lane in self._lanes.values():
            lane.adapter.close()
        self._lanes.clear()

    def _claim_name(self, account_id: int) -> str:
        """Name this claim: unique, so that the intent proves it is ours by its owner alone."""
        return f"{self._owner}#{account_id}.{next(self._claims)}"

    def _lane(self, account_id: int) -> Lane | None:
        with read(self._sessions) as session:
            account = session.get(ProviderAccount, account_id)
        if account is None or account.status is not AccountStatus.ACTIVE:
            return None
        lane = self._lanes.get(account_id)
        if lane is None or lane.version != account.updated_at:
            if lane is not None:
                lane.adapter.close()
            lane = self._lanes[account_id] = self._open(account)
        return lane

    def _open(self, account: ProviderAccount) -> Lane:
        kind = sender(account.adapter)
        adapter = kind.from_config(account_config(self._vault, account), self._ports)
        return Lane(
            account_id=account.id,
            version=account.updated_at,
            adapter_name=account.adapter,
            token=account.token,
            window=account.window or kind.window,
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
                session, row.template_version_id, row.id, row.merge
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

    def _intend(self, ids: Sequence[int], owner: str) -> set[int]:
        if not ids:
            return set()

        def intend(session: Session) -> set[int]:
            passed = ledger.intend(
                session, self._clock, ids=ids, owner=owner, lease_seconds=self._lease_seconds
            )
            refused = [i for i in ids if i not in passed]
            if refused:
                ledger.turn_away(session, self._clock, ids=refused, owner=owner)
            return passed

        return self._written(intend)

    def _send(
        self,
        lane: Lane,
        go: set[int],
        messages: Mapping[int, tuple[Claimed, OutgoingMessage]],
    ) -> None:
        deadline = ticking() + self._lease_seconds - MARGIN_SECONDS
        rows = {message.reference: row for i, (row, message) in messages.items() if i in go}
        batch = [message for i, (_, message) in messages.items() if i in go]
        pending: list[Settled] = []
        settled_at = time.monotonic()
        for reference, outcome in self._outcomes(lane, batch, lambda: ticking() > deadline):
            row = rows.pop(reference, None)
            if row is not None:
                pending.append(Settled(row, outcome))
            late = time.monotonic() - settled_at > SETTLE_SECONDS
            if len(pending) >= SETTLE_EVERY or (pending and late):
                self._settle(lane, pending)
                pending, settled_at = [], time.monotonic()
        # What an adapter did not report, nobody can tell.
        pending += [Settled(row, Ambiguous("the adapter gave no outcome")) for row in rows.values()]
        if pending:
            self._settle(lane, pending)

    def _outcomes(
        self, lane: Lane, batch: Sequence[OutgoingMessage], expired: Callable[[], bool]
    ) -> Iterator[tuple[str, Outcome]]:
        """Run the adapter; a bug in it ends the batch, and what is left becomes ambiguous."""
        try:
            yield from lane.adapter.send(batch, expired)
        except Exception:  # a bug in an adapter must not become a second send
            log.exception("adapter failed", account=lane.account_id, adapter=lane.adapter_name)

    def _settle(self, lane: Lane, results: Sequence[Settled]) -> None:
        def write_down(session: Session) -> None:
            settle(session, self._clock, account_id=lane.account_id, results=results)
            effects.run(session, self._clock, effects.of_refusals(results))
            fault = next((r.outcome for r in results if _account_fault(r.outcome)), None)
            if isinstance(fault, Rejected):
                reason = f"{fault.code}: {fault.reason}"
                pause_account(session, self._clock, account_id=lane.account_id, reason=reason)

        self._written(write_down)

    def _written(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction of its own, again while the database is away."""
        for attempt in range(WRITE_TRIES - 1):
            with contextlib.suppress(OperationalError), write(self._sessions) as session:
                return work(session)
            time.sleep(0.2 * 2**attempt)
        with write(self._sessions) as session:
            return work(session)


def _account_fault(outcome: Outcome) -> bool:
    return isinstance(outcome, Rejected) and outcome.account_fault
