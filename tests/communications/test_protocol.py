"""The protocol as a state machine: real statements, a provider that keeps count.

Hypothesis claims, intends, sends, loses answers, kills workers, lets leases run out, reaps, tells
receipts late and often, opts people out, pauses, and lets an operator decide, in any order. After
every step the log must agree with what the provider really took.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from channels.adapter import EventType, ProviderEvent
from channels.channel import Channel
from channels.outcome import Accepted, Ambiguous, NotSent, Outcome, Rejected
from communications import ledger
from communications.account import ProviderAccount
from communications.claim import Claimed, claim
from communications.communication import Communication, MessageType, Reason
from communications.reaper import reap
from communications.receipt import learn_fact
from communications.settle import Settled, settle
from communications.status import ACCEPTED, Status
from communications.unknown import Decision, Which, resolve
from core.clock import ManualClock
from core.db import Sessions, read, write
from tests.conftest import NOON

C = Communication
EXAMPLES = 2_000 if os.environ.get("ECHELONX_TEST_CHAOS") else 40
MESSAGES = 3
LEASE = 120
NUMBERS = count(1)
ANSWERS: dict[str, tuple[bool, Outcome]] = {
    # what happens on the wire: does the provider take it, and what does the worker hear
    "accepted": (True, Accepted("id")),
    "accepted, answer lost": (True, Ambiguous("no answer")),
    "lost": (False, Ambiguous("no answer")),
    "refused": (False, Rejected("400", "no")),
    "not sent": (False, NotSent("no connection")),
}
workers = st.integers(0, 1)
messages = st.integers(0, MESSAGES - 1)


@dataclass
class Worker:
    """What one process remembers; killed, it forgets all of it."""

    owner: str = ""
    rows: list[Claimed] = field(default_factory=list)
    meant: list[Claimed] = field(default_factory=list)
    """Those whose intent is durable."""
    heard: list[Settled] = field(default_factory=list)


class Protocol(RuleBasedStateMachine):
    """One account with three messages and two workers."""

    sessions: Sessions
    client_id: int

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(NOON)
        self.workers = [Worker(), Worker()]
        self.taken: Counter[int] = Counter()
        self.asked: Counter[int] = Counter()
        self.given_up: set[int] = set()
        number = next(NUMBERS)
        stamps = {"created_at": NOON, "updated_at": NOON}
        with write(self.sessions) as session:
            account = ProviderAccount(
                client_id=self.client_id, name=f"a{number}", adapter="smtp", channel=Channel.EMAIL,
                config=b"", token=f"t{number}", **stamps,
            )  # fmt: skip
            session.add(account)
            session.flush()
            rows = [
                C(
                    client_id=self.client_id, channel=Channel.EMAIL, to_address="a@example.com",
                    message_type=MessageType.TRANSACTIONAL, address_hash=f"h{number}-{place}",
                    provider_account_id=account.id, not_before=NOON, run_id=number,
                    member_id=place, **stamps,
                )
                for place in range(MESSAGES)
            ]  # fmt: skip
            session.add_all(rows)
            session.flush()
            self.ids = [row.id for row in rows]
            self.account_id, self.run_id = account.id, number

    def row(self, place: int) -> Any:
        with read(self.sessions) as session:
            return session.execute(select(C).where(C.id == self.ids[place])).scalar_one()

    @rule(number=workers, answer=st.sampled_from(sorted(ANSWERS)))
    def works(self, number: int, answer: str) -> None:
        """Do what this worker comes to next."""
        worker = self.workers[number]
        if worker.meant:
            self.sends_one(worker, answer)
        elif worker.heard:
            self.settles(worker)
        elif worker.rows:
            self.intends(worker)
        else:
            self.claims(number, worker)

    @rule(
        number=workers, answers=st.lists(st.sampled_from(sorted(ANSWERS)), min_size=2, max_size=8)
    )
    def works_on(self, number: int, answers: list[str]) -> None:
        """Do several things in a row, or hardly a story would come to its end."""
        for answer in answers:
            self.works(number, answer)

    def claims(self, number: int, worker: Worker) -> None:
        worker.owner = f"w{number}#{next(NUMBERS)}"
        with write(self.sessions) as session:
            worker.rows = claim(
                session, self.clock,
                account_id=self.account_id, owner=worker.owner, limit=2, lease_seconds=LEASE,
                cursors={},
            )  # fmt: skip

    def intends(self, worker: Worker) -> None:
        ids = [row.id for row in worker.rows]
        with write(self.sessions) as session:
            passed = ledger.intend(
                session, self.clock, ids=ids, owner=worker.owner, lease_seconds=LEASE
            )
            turned = [i for i in ids if i not in passed]
            ledger.turn_away(session, self.clock, ids=turned, owner=worker.owner)
        worker.meant = [row for row in worker.rows if row.id in passed]
        worker.rows = []

    def sends_one(self, worker: Worker, answer: str) -> None:
        row = worker.meant.pop()
        taken, heard = ANSWERS[answer]
        self.taken[row.id] += taken
        worker.heard.append(Settled(row, heard))

    def settles(self, worker: Worker) -> None:
        with write(self.sessions) as session:
            settle(session, self.clock, account_id=self.account_id, results=worker.heard)
        worker.heard = []

    @rule(number=workers)
    def is_killed(self, number: int) -> None:
        self.workers[number] = Worker()

    @rule(seconds=st.sampled_from([1, 40, LEASE + 1, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    @rule()
    def the_reaper_looks(self) -> None:
        with write(self.sessions) as session:
            reap(session, self.clock)

    @rule(place=messages, kind=st.sampled_from(["sent", "delivered", "bounced_hard"]))
    def a_receipt_comes(self, place: int, kind: str) -> None:
        communication_id = self.ids[place]
        if not self.taken[communication_id]:
            return
        event = ProviderEvent(
            type=EventType(kind), dedup_key=f"{communication_id}:{kind}", reference=None,
            occurred_at=self.clock.now(), provider_id=None, provider_status=kind,
        )  # fmt: skip
        with write(self.sessions) as session:
            learn_fact(
                session, self.clock,
                client_id=self.client_id, communication_id=communication_id, event=event,
                source="test",
            )  # fmt: skip

    @rule(place=messages, decision=st.sampled_from([Decision.RESEND, Decision.NOT_SENT]))
    def an_operator_decides(self, place: int, decision: Decision) -> None:
        if self.row(place).status is not Status.UNKNOWN:
            return
        one = self.ids[place]
        with write(self.sessions) as session:
            resolve(
                session, self.clock,
                client_id=self.client_id, which=Which(ids=(one,)), decision=decision, expected=1,
                actor="test",
            )  # fmt: skip
        if decision is Decision.RESEND:
            self.asked[one] += 1
        else:
            self.given_up.add(one)

    @rule(deed=st.sampled_from(["hold", "free"]))
    def the_run_is_paused_or_goes_on(self, deed: str) -> None:
        with write(self.sessions) as session:
            act = ledger.hold_run if deed == "hold" else ledger.free_run
            act(session, self.run_id)

    @rule()
    def the_run_is_cancelled(self) -> None:
        with write(self.sessions) as session:
            ledger.skip_queued(session, self.clock, reason=Reason.CANCELLED, run_id=self.run_id)

    @invariant()
    def nobody_gets_a_copy_nobody_asked_for(self) -> None:
        for one, times in self.taken.items():
            assert times <= 1 + self.asked[one]

    @invariant()
    def what_is_shown_is_what_happened(self) -> None:
        with read(self.sessions) as session:
            rows = session.scalars(select(C).where(C.id.in_(self.ids))).all()
        for row in rows:
            if row.status in ACCEPTED:
                assert self.taken[row.id], f"shown as {row.status}, and nobody took it"
            if row.status is Status.FAILED and row.rank == 0 and row.id not in self.given_up:
                assert not self.taken[row.id], "shown as refused, and the provider has it"
            if row.status is Status.SKIPPED:
                assert not self.taken[row.id], "shown as not sent, and the provider has it"
            if row.status is Status.SENDING:
                assert row.lease_until is not None
            if row.status is Status.QUEUED and not self.asked[row.id]:
                assert not self.taken[row.id], "queued although the provider has it"

    def teardown(self) -> None:
        """Everybody dies, time passes: everything comes to rest, nothing hangs."""
        self.workers = [Worker(), Worker()]
        self.clock.set(self.clock.now() + timedelta(seconds=LEASE + 1))
        self.the_reaper_looks()
        assert all(self.row(place).status is not Status.SENDING for place in range(MESSAGES))


@pytest.mark.timeout(3000)
def test_the_log_agrees_with_the_provider_whatever_happens(
    sessions: Sessions, client_id: int
) -> None:
    class Machine(Protocol):
        pass

    Machine.sessions, Machine.client_id = sessions, client_id
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=40,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
