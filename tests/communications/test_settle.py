"""Mirrors communications/settle.py."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, update

from channels.outcome import DEADLINE_PASSED, Accepted, Ambiguous, NotSent, Outcome, Rejected
from communications.attempt import Attempt
from communications.communication import Communication, Reason
from communications.ledger import free_run, hold_run, skip_queued
from communications.reaper import reap
from communications.settle import MAX_TRIES, Settled, backoff, settle
from communications.status import Rank, Status
from core.db import write


@pytest.fixture
def settled(sessions, clock, account_id):
    """Settle rows with one outcome."""

    def run(rows, outcome: Outcome) -> None:
        with write(sessions) as session:
            results = [Settled(row, outcome) for row in rows]
            settle(session, clock, account_id=account_id, results=results)

    return run


@pytest.fixture
def attempts(sessions):
    """Every attempt row: (token, outcome)."""

    def read() -> list[tuple[int, str]]:
        with sessions() as session:
            found = session.scalars(select(Attempt).order_by(Attempt.id))
            return [(attempt.token, attempt.outcome.value) for attempt in found]

    return read


def change(sessions, communication_id: int, **values) -> None:
    with write(sessions) as session:
        session.execute(
            update(Communication).where(Communication.id == communication_id).values(**values)
        )


def test_an_accepted_message_is_sent_and_the_happy_first_try_keeps_no_attempt(
    sending, settled, row, attempts, clock
) -> None:
    (sent,) = sending()

    settled([sent], Accepted("SM1", "queued", segments=2, cost=Decimal("0.0079"), currency="USD"))

    found = row(sent.id)
    assert (found.status, found.rank) == (Status.SENT, Rank.SENT)
    assert (found.provider_id, found.provider_status, found.segments) == ("SM1", "queued", 2)
    assert (found.cost, found.currency) == (Decimal("0.0079"), "USD")
    assert found.sent_at == clock.now()
    assert found.lease_until is None
    assert attempts() == []


def test_acceptance_keeps_what_a_faster_receipt_already_knew(
    sessions, sending, settled, row, clock
) -> None:
    (sent,) = sending()
    change(sessions, sent.id, status=Status.DELIVERED, rank=Rank.DELIVERED, lease_until=None)

    settled([sent], Accepted("SM1"))

    found = row(sent.id)
    assert (found.status, found.provider_id) == (Status.DELIVERED, "SM1")
    assert found.sent_at == clock.now()


def test_acceptance_counts_although_the_lease_was_lost(sessions, sending, settled, row) -> None:
    (sent,) = sending()
    change(sessions, sent.id, status=Status.UNKNOWN, lease_until=None, reason=Reason.WORKER_STOPPED)

    settled([sent], Accepted("SM1"))

    assert (row(sent.id).status, row(sent.id).reason) == (Status.SENT, None)


def test_a_refusal_closes_the_message(sending, settled, row, attempts) -> None:
    (sent,) = sending()

    settled([sent], Rejected("21211", "not a phone number"))

    found = row(sent.id)
    assert (found.status, found.reason) == (Status.FAILED, Reason.REJECTED)
    assert (found.error_code, found.error_message) == ("21211", "not a phone number")
    assert attempts() == [(1, "rejected")]


def test_a_refusal_proves_nothing_while_an_earlier_attempt_is_open(
    sessions, sending, settled, row
) -> None:
    (sent,) = sending()
    change(sessions, sent.id, open_attempts=1)

    settled([sent], Rejected("400", "no"))

    assert row(sent.id).status is Status.UNKNOWN


def test_no_answer_is_unknown_and_is_never_claimed_again(
    sending, settled, row, take, clock, attempts
) -> None:
    (sent,) = sending()

    settled([sent], Ambiguous("read timeout"))

    found = row(sent.id)
    assert (found.status, found.reason) == (Status.UNKNOWN, Reason.NO_ANSWER)
    assert found.open_attempts == 1
    assert attempts() == [(1, "ambiguous")]
    clock.advance(days=30)
    assert take() == []


def test_what_was_certainly_not_sent_waits_and_goes_again(
    sending, settled, row, take, clock, attempts
) -> None:
    (sent,) = sending()

    settled([sent], NotSent("connection refused"))

    found = row(sent.id)
    assert found.status is Status.QUEUED
    assert timedelta(seconds=30) <= found.not_before - clock.now() <= timedelta(seconds=36)
    assert take() == []
    clock.advance(seconds=37)
    (again,) = take()
    assert (again.token, again.tries) == (2, 2)
    assert attempts() == [(1, "not_sent")]


def test_retry_after_is_honoured(sending, settled, row, clock) -> None:
    (sent,) = sending()

    settled([sent], NotSent("429", retry_after=900.0))

    assert row(sent.id).not_before - clock.now() >= timedelta(seconds=900)


@pytest.mark.parametrize(
    "outcome", [DEADLINE_PASSED, Rejected("401", "bad key", account_fault=True)]
)
def test_what_is_not_the_messages_fault_costs_it_no_try(
    outcome, sending, settled, row, clock
) -> None:
    (sent,) = sending()

    settled([sent], outcome)

    found = row(sent.id)
    assert (found.status, found.tries, found.not_before) == (Status.QUEUED, 0, clock.now())


def test_tries_are_used_up(sessions, sending, settled, row, account_id, clock) -> None:
    (sent,) = sending(1, tries=MAX_TRIES - 1)

    settled([sent], NotSent("connection refused"))

    assert (row(sent.id).status, row(sent.id).reason) == (Status.FAILED, Reason.TRIES_USED_UP)


@pytest.mark.parametrize("outcome", [Rejected("400", "no"), NotSent("refused"), Ambiguous("cut")])
def test_an_old_token_changes_nothing(outcome, sessions, sending, settled, row) -> None:
    (sent,) = sending()
    change(sessions, sent.id, token=2)

    settled([sent], outcome)

    assert (row(sent.id).status, row(sent.id).token) == (Status.SENDING, 2)


def test_a_second_try_that_is_accepted_leaves_an_attempt(
    sending, settled, attempts, clock, take, sessions
) -> None:
    (first,) = sending()
    settled([first], NotSent("refused"))
    clock.advance(seconds=60)
    (second,) = take()
    change(sessions, second.id, status=Status.SENDING)

    settled([second], Accepted("SM1"))

    assert attempts() == [(1, "not_sent"), (2, "accepted")]


def test_the_wait_doubles_up_to_half_an_hour_and_spreads() -> None:
    assert 30 <= backoff(1, None) <= 36
    assert 60 <= backoff(2, None) <= 72
    assert 1800 <= backoff(12, None) <= 2160
    assert backoff(1, 100.0) >= 100


@pytest.mark.parametrize("outcome", [NotSent("refused"), DEADLINE_PASSED])
def test_what_comes_back_unsent_after_a_cancel_is_skipped(
    outcome, sessions, sending, settled, row, clock
) -> None:
    (sent,) = sending(1, run_id=5, address_hash=None)
    with write(sessions) as session:
        skip_queued(session, clock, reason=Reason.CANCELLED, run_id=5)

    settled([sent], outcome)

    assert (row(sent.id).status, row(sent.id).reason) == (Status.SKIPPED, Reason.CANCELLED)


def test_a_second_copy_that_is_cancelled_proves_nothing_of_the_first(
    sessions, sending, settled, row, clock
) -> None:
    (sent,) = sending(1, run_id=5, address_hash=None)
    change(sessions, sent.id, open_attempts=1)
    with write(sessions) as session:
        skip_queued(session, clock, reason=Reason.CANCELLED, run_id=5)

    settled([sent], NotSent("refused"))

    assert (row(sent.id).status, row(sent.id).reason) == (Status.UNKNOWN, Reason.NO_ANSWER)


def test_what_comes_back_unsent_during_a_pause_waits_for_the_resume(
    sessions, sending, settled, take, clock
) -> None:
    (sent,) = sending(1, run_id=5, address_hash=None)
    with write(sessions) as session:
        hold_run(session, 5)

    settled([sent], NotSent("refused"))
    clock.advance(minutes=1)

    assert take() == []
    with write(sessions) as session:
        free_run(session, 5)
    assert [again.id for again in take()] == [sent.id]


def test_what_is_accepted_after_a_cancel_is_sent(sessions, sending, settled, row, clock) -> None:
    (sent,) = sending(1, run_id=5, address_hash=None)
    with write(sessions) as session:
        skip_queued(session, clock, reason=Reason.CANCELLED, run_id=5)

    settled([sent], Accepted("SM1"))

    assert (row(sent.id).status, row(sent.id).held) == (Status.SENT, None)


def test_outcomes_that_come_after_the_reaper_are_all_written(
    sessions, sending, row, clock, attempts, account_id
) -> None:
    taken, refused = sending(2)
    clock.advance(seconds=121)
    with write(sessions) as session:
        assert reap(session, clock) == 2

    with write(sessions) as session:
        results = [Settled(taken, Accepted("SM1")), Settled(refused, Rejected("400", "no"))]
        settle(session, clock, account_id=account_id, results=results)

    assert row(taken.id).status is Status.SENT
    assert row(refused.id).status is Status.UNKNOWN
    assert (1, "rejected") in attempts()
