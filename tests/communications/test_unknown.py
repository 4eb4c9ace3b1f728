"""Mirrors communications/unknown.py."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import permutations
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from accounts.audit import AuditEntry
from channels.adapter import EventType, ProviderEvent
from channels.outcome import Accepted, Rejected
from communications.account import ProviderAccount
from communications.attempt import Attempt, AttemptOutcome
from communications.communication import Communication, Reason
from communications.doubt import doubt
from communications.errors import ContentRemovedError, NothingExpectedError, UnexpectedCountError
from communications.event import CommunicationEvent
from communications.ledger import intend
from communications.reaper import reap
from communications.receipt import apply_events
from communications.reference import References
from communications.settle import Settled, settle
from communications.status import Status
from communications.unknown import (
    ALL,
    Decision,
    Resolved,
    Which,
    resolve,
    unknown_count,
    unknown_groups,
    unknown_rows,
)
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.token import Signer
from tests.communications.conftest import LEASE
from tests.communications.unknowns import Lose, Row, lost, told

REFERENCES = References(Signer(b"k" * 32))
Decide = Callable[..., Resolved]


@pytest.fixture
def lose(
    sessions: Sessions, clock: ManualClock, account_id: int, sending: Callable[..., Any]
) -> Lose:
    """Bring fresh rows to `unknown` for want of an answer."""
    return lambda count=1, **values: lost(sessions, clock, account_id, sending(count, **values))


@pytest.fixture
def decide(sessions: Sessions, clock: ManualClock, client_id: int) -> Decide:
    """Decide as an operator does."""

    def run(decision: Decision, expected: int = 1, which: Which = ALL, **who: Any) -> Resolved:
        with write(sessions) as session:
            given = {"client_id": client_id, "actor": "user:7"} | who
            return resolve(
                session, clock, which=which, decision=decision, expected=expected, **given
            )

    return run


@pytest.fixture
def receive(sessions: Sessions, clock: ManualClock, account_id: int) -> Callable[..., None]:
    """Apply a receipt of an attempt."""

    def run(communication_id: int, token: int, kind: EventType) -> None:
        event = ProviderEvent(
            type=kind,
            dedup_key=f"{communication_id}:{token}:{kind}",
            occurred_at=None,
            reference=REFERENCES.make(communication_id, token),
            provider_id=None,
            provider_status=kind.value,
        )
        with write(sessions) as session:
            account = session.get_one(ProviderAccount, account_id)
            apply_events(session, clock, REFERENCES, account=account, inbox_id=None, events=[event])

    return run


def outcomes(sessions: Sessions) -> list[AttemptOutcome]:
    with read(sessions) as session:
        return list(session.scalars(select(Attempt.outcome).order_by(Attempt.id)))


# -- what there is ----------------------------------------------------------------------------


def test_groups_say_why_and_since_when(
    sessions: Sessions, clock: ManualClock, client_id: int, lose: Lose, sending: Any
) -> None:
    first = clock.now()
    lose(2, run_id=4)
    clock.advance(minutes=5)
    last = clock.now()
    lose(1, run_id=4, address_hash="late")
    sending(3, run_id=5)
    stopped = clock.now() + LEASE
    clock.set(stopped)
    with write(sessions) as session:
        reap(session, clock)

    with read(sessions) as session:
        found = unknown_groups(session, client_id)

    shown = [(one.run_id, one.reason, one.rows, one.oldest, one.newest) for one in found]
    assert sorted(shown) == [
        (4, Reason.NO_ANSWER, 3, first, last),
        (5, Reason.WORKER_STOPPED, 3, stopped, stopped),
    ]


@pytest.mark.parametrize(
    ("which", "count"),
    [
        (ALL, 4),
        (Which(run_id=4), 1),
        (Which(run_id=9), 0),
        (Which(reason=Reason.NO_ANSWER), 4),
        (Which(reason=Reason.RESTORED), 0),
        (Which(older_than_seconds=60), 1),
        (Which(older_than_seconds=61), 0),
        (Which(ids=(1, 2, 999)), 2),
        (Which(ids=()), 0),
        (Which(ids=(1,), run_id=5), 0),
    ],
)
def test_a_filter_means_what_fits_all_of_it(
    which: Which, count: int, sessions: Sessions, clock: ManualClock, client_id: int, lose: Lose
) -> None:
    lose(1, run_id=4)
    clock.advance(seconds=60)
    lose(3, run_id=5)

    with read(sessions) as session:
        assert unknown_count(session, clock, client_id, which) == count
        assert len(unknown_rows(session, clock, client_id, which)) == count


def test_another_client_sees_and_decides_nothing(
    sessions: Sessions, client_id: int, lose: Lose, decide: Decide, row: Row
) -> None:
    [one] = lose()

    with read(sessions) as session:
        assert unknown_groups(session, client_id + 1) == []
    with pytest.raises(UnexpectedCountError):
        decide(Decision.SENT, 1, Which(ids=(one.id,)), client_id=client_id + 1)
    assert row(one.id).status is Status.UNKNOWN


# -- what an operator says --------------------------------------------------------------------


def test_another_number_than_expected_changes_nothing(lose: Lose, decide: Decide, row: Row) -> None:
    rows = lose(3)

    with pytest.raises(UnexpectedCountError) as caught:
        decide(Decision.RESEND, 2)
    with pytest.raises(NothingExpectedError):
        decide(Decision.RESEND, 0)

    assert "give 3" in str(caught.value.remedy)
    assert caught.value.field == "count"
    assert {row(one.id).status for one in rows} == {Status.UNKNOWN}


def test_sent_is_a_fact_from_the_operator(
    lose: Lose, decide: Decide, row: Row, sessions: Sessions, clock: ManualClock
) -> None:
    [one] = lose()
    left = clock.now()
    clock.advance(hours=3)

    assert decide(Decision.SENT).rows == 1

    found = row(one.id)
    assert (found.status, found.reason, found.sent_at) == (Status.SENT, None, left)
    assert outcomes(sessions) == [AttemptOutcome.RESOLVED_SENT]
    with read(sessions) as session:
        [event] = session.scalars(select(CommunicationEvent))
        assert (event.source, event.type, event.communication_id) == ("operator", "sent", one.id)


def test_not_sent_is_a_failure_that_says_so(
    lose: Lose, decide: Decide, row: Row, sessions: Sessions, clock: ManualClock
) -> None:
    [one] = lose()

    decide(Decision.NOT_SENT)

    found = row(one.id)
    assert (found.status, found.reason) == (Status.FAILED, Reason.GIVEN_UP)
    assert found.failed_at == clock.now()
    assert outcomes(sessions) == [AttemptOutcome.RESOLVED_ABSENT]


def test_resend_puts_it_back_on_the_queue_and_remembers(
    lose: Lose, decide: Decide, row: Row, take: Any, clock: ManualClock
) -> None:
    [one] = lose()
    clock.advance(hours=1)

    decide(Decision.RESEND)

    found = row(one.id)
    assert (found.status, found.reason, found.held) == (Status.QUEUED, None, None)
    assert (found.tries, found.resends, found.open_attempts) == (0, 1, 1)
    assert (found.not_before, found.owner, found.error_message) == (clock.now(), None, None)
    assert [claimed.id for claimed in take()] == [one.id]


def test_what_was_emptied_is_not_sent_again_but_can_be_called_sent(
    lose: Lose, decide: Decide, row: Row, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    full, emptied = lose(2)
    with write(sessions) as session:
        session.get_one(Communication, emptied.id).content_removed_at = clock.now()

    with pytest.raises(ContentRemovedError, match=str(emptied.id)) as error:
        decide(Decision.RESEND, 2)
    assert error.value.remedy
    assert {row(one.id).status for one in (full, emptied)} == {Status.UNKNOWN}
    with read(sessions) as session:
        assert [one.content_removed for one in unknown_groups(session, client_id)] == [1]
    decide(Decision.RESEND, which=Which(ids=(full.id,)))
    decide(Decision.SENT, which=Which(ids=(emptied.id,)))
    assert (row(full.id).status, row(emptied.id).status) == (Status.QUEUED, Status.SENT)


def test_a_message_that_is_sent_again_is_not_held_for_old_crashes(
    lose: Lose, decide: Decide, row: Row, sessions: Sessions
) -> None:
    [one] = lose()
    with write(sessions) as session:
        session.get_one(Communication, one.id).crashes = 2

    decide(Decision.RESEND)

    assert row(one.id).crashes == 0


def test_an_expired_message_that_is_sent_again_lives_a_day(
    lose: Lose, decide: Decide, row: Row, clock: ManualClock
) -> None:
    now = clock.now()
    hours = (1, 3, 24 * 9, None)
    ends = [None if one is None else now + timedelta(hours=one) for one in hours]
    rows = [lose(1, expires_at=end)[0] for end in ends]
    clock.advance(hours=2)

    decide(Decision.RESEND, 4)

    day = clock.now() + timedelta(hours=24)
    assert [row(one.id).expires_at for one in rows] == [day, day, ends[2], None]


def test_a_restored_message_that_was_never_tried_can_be_decided(
    make_rows: Any, decide: Decide, row: Row, sessions: Sessions, clock: ManualClock
) -> None:
    [one] = make_rows()
    with write(sessions) as session:
        doubt(session, clock, until=clock.now())

    decide(Decision.SENT, 1, Which(reason=Reason.RESTORED))

    assert row(one).status is Status.SENT


def test_of_two_operators_at_once_one_decides(lose: Lose, decide: Decide, row: Row) -> None:
    rows = lose(3)
    together = Barrier(2)

    def say(_: int) -> int:
        together.wait(20)
        try:
            return decide(Decision.RESEND, 3).rows
        except UnexpectedCountError:
            return 0

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(say, range(2))) == [0, 3]

    assert {row(one.id).resends for one in rows} == {1}


def test_what_is_not_unknown_is_not_decided(
    make_rows: Any, sending: Any, decide: Decide, row: Row
) -> None:
    ids = [*make_rows(), sending()[0].id]

    for decision in Decision:
        with pytest.raises(UnexpectedCountError):
            decide(decision, 2, Which(ids=tuple(ids)))
    assert Status.UNKNOWN not in {row(i).status for i in ids}


def test_every_decision_is_written_down_without_addresses(
    lose: Lose, decide: Decide, sessions: Sessions
) -> None:
    lose(60, run_id=4)

    decide(Decision.NOT_SENT, 60, Which(run_id=4, reason=Reason.NO_ANSWER))

    with read(sessions) as session:
        [entry] = session.scalars(select(AuditEntry))
    assert (entry.actor, entry.action) == ("user:7", "unknown.resolve")
    assert entry.detail["rows"] == 60
    assert len(entry.detail["ids"]) == 50
    assert entry.detail["decision"] == "not_sent"
    assert entry.detail["which"] == {"run_id": 4, "reason": "no_answer"}
    assert "@" not in str(entry.detail)


# -- evidence wins, whenever it comes ---------------------------------------------------------


@pytest.mark.parametrize("decision", [Decision.SENT, Decision.NOT_SENT, Decision.RESEND])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_decision_and_receipts_end_alike_in_any_order(
    order: tuple[int, ...],
    decision: Decision,
    lose: Lose,
    decide: Decide,
    receive: Callable[..., None],
    row: Row,
    sessions: Sessions,
    clock: ManualClock,
) -> None:
    [one] = lose()

    def say() -> None:
        try:
            decide(decision)
        except UnexpectedCountError:
            assert row(one.id).rank > 0, "only evidence comes before an operator"

    deeds = (
        say,
        lambda: receive(one.id, one.token, EventType.SENT),
        lambda: receive(one.id, one.token, EventType.DELIVERED),
    )
    for number in order:
        deeds[number]()

    assert told(row(one.id)) == (Status.DELIVERED, None, 4, clock.now(), None, None)
    assert outcomes(sessions) == [AttemptOutcome.RESOLVED_SENT]


@pytest.mark.parametrize("kind", [EventType.SENT, EventType.UNDELIVERED, EventType.CLICKED])
def test_what_is_proven_sent_is_not_sent_again(
    kind: EventType,
    lose: Lose,
    decide: Decide,
    receive: Callable[..., None],
    take: Any,
    row: Row,
    sessions: Sessions,
    clock: ManualClock,
) -> None:
    [first, second] = lose(2)
    decide(Decision.RESEND, 2)
    claimed = take(owner="worker#again")
    assert [one.id for one in claimed] == [first.id, second.id]

    receive(first.id, first.token, kind)

    with write(sessions) as session:
        passed = intend(
            session,
            clock,
            ids=[first.id, second.id],
            owner="worker#again",
            lease_seconds=120,
        )
    assert passed == {second.id}
    assert row(first.id).rank > 0
    assert take() == []


def test_what_the_worker_learns_late_is_believed_after_any_decision(
    lose: Lose, decide: Decide, row: Row, sessions: Sessions, clock: ManualClock, account_id: int
) -> None:
    rows = lose(3)
    for one, decision in zip(rows, Decision, strict=True):
        decide(decision, 1, Which(ids=(one.id,)))

    with write(sessions) as session:
        results = [Settled(one, Accepted(f"SM{one.id}")) for one in rows]
        settle(session, clock, account_id=account_id, results=results)

    assert {row(one.id).status for one in rows} == {Status.SENT}


def test_a_refusal_of_the_second_copy_proves_nothing_of_the_first(
    lose: Lose, decide: Decide, take: Any, row: Row, sessions: Sessions, clock: ManualClock
) -> None:
    [one] = lose()
    decide(Decision.RESEND)
    [again] = take(owner="worker#again")
    with write(sessions) as session:
        intend(session, clock, ids=[again.id], owner="worker#again", lease_seconds=120)
    with write(sessions) as session:
        refused = [Settled(again, Rejected("21211", "no such number"))]
        settle(session, clock, account_id=1, results=refused)

    assert row(one.id).status is Status.UNKNOWN
