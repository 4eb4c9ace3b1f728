"""Mirrors communications/ledger.py."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import select

from channels.channel import Channel
from communications import ledger
from communications.attempt import Attempt, AttemptOutcome
from communications.claim import Cursor, claim
from communications.communication import Communication, MessageType, Reason
from communications.expiry import expire
from communications.poison import Verdict, decide
from communications.reaper import reap
from communications.status import Status
from core.db import write
from members.consent import ConsentState, CurrentConsent
from members.member import Member
from members.suppression import Scope, Suppression, SuppressionReason


def test_a_claim_takes_due_rows_most_urgent_first(make_rows, take) -> None:
    (low,) = make_rows(1, priority=3)
    (urgent,) = make_rows(1, priority=0)
    (medium,) = make_rows(1)

    assert [row.id for row in take()] == [urgent, medium, low]


def test_rows_that_are_not_due_or_held_or_leased_stay(make_rows, take, clock) -> None:
    make_rows(1, not_before=clock.now() + timedelta(seconds=1))
    make_rows(1, held="paused")
    make_rows(1, lease_until=clock.now() + timedelta(seconds=1), owner="other")

    assert take() == []


def test_a_claim_moves_on_and_begins_again_at_the_head(
    make_rows, sessions, clock, account_id
) -> None:
    ids = make_rows(5)
    cursors: dict[int, Cursor] = {}

    def claim_two(owner: str) -> list[int]:
        with write(sessions) as session:
            rows = claim(
                session,
                clock,
                account_id=account_id,
                owner=owner,
                limit=2,
                lease_seconds=120,
                cursors=cursors,
            )
        return [row.id for row in rows]

    assert [claim_two("a"), claim_two("b"), claim_two("c")] == [ids[:2], ids[2:4], ids[4:]]
    assert claim_two("d") == []
    with write(sessions) as session:
        ledger.release(session, ids=ids, owner="a")
    assert claim_two("e") == ids[:2]


def test_an_expired_claim_is_free_again_with_a_higher_token(make_rows, take, clock) -> None:
    make_rows(1)
    (first,) = take()
    clock.advance(seconds=121)

    (second,) = take()

    assert (first.token, second.token) == (1, 2)


def test_two_workers_never_claim_the_same_row(sessions, make_rows, clock, account_id) -> None:
    make_rows(400)
    taken: list[int] = []
    start = Barrier(4)

    def work(name: str) -> None:
        start.wait()
        for number in range(10):
            with write(sessions) as session:
                rows = claim(
                    session,
                    clock,
                    account_id=account_id,
                    owner=f"{name}#{number}",
                    limit=20,
                    lease_seconds=120,
                    cursors={},
                )
            taken.extend(row.id for row in rows)

    workers = [Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len(taken) == len(set(taken))
    assert len(taken) == 400


def intend(sessions, clock, ids, owner="worker#0") -> set[int]:
    with write(sessions) as session:
        return ledger.intend(session, clock, ids=ids, owner=owner, lease_seconds=120)


def test_an_intent_needs_a_live_lease_of_this_very_claim(sessions, make_rows, take, clock) -> None:
    ids = make_rows(2)
    take(1, owner="mine#1")
    take(1, owner="other#1")

    assert intend(sessions, clock, ids, owner="mine#1") == {ids[0]}

    clock.advance(seconds=121)
    assert intend(sessions, clock, ids, owner="other#1") == set()


def test_an_intent_happens_once(sessions, make_rows, take, clock) -> None:
    ids = make_rows(1)
    take()

    assert intend(sessions, clock, ids) == set(ids)
    assert intend(sessions, clock, ids) == set()


def test_pausing_stops_rows_that_are_already_claimed(sessions, make_rows, take, clock, row) -> None:
    ids = make_rows(2, run_id=7, address_hash=None)
    take()
    with write(sessions) as session:
        assert ledger.hold_run(session, 7) == 2

    assert intend(sessions, clock, ids) == set()

    with write(sessions) as session:
        ledger.turn_away(session, clock, ids=ids, owner="worker#0")
        assert ledger.free_run(session, 7) == 2
    assert [found.id for found in take()] == ids
    assert row(ids[0]).status is Status.QUEUED


@pytest.fixture
def member_id(sessions, clock, client_id) -> int:
    with write(sessions) as session:
        member = Member(
            client_id=client_id, member_id="ana", created_at=clock.now(), updated_at=clock.now()
        )
        session.add(member)
        session.flush()
        return member.id


def consent(sessions, clock, client_id, member_id, state=ConsentState.GRANTED) -> None:
    with write(sessions) as session:
        session.merge(
            CurrentConsent(
                member_id=member_id,
                channel="email",
                topic="marketing",
                client_id=client_id,
                state=state,
                occurred_at=clock.now(),
            )
        )


def suppress(sessions, clock, client_id, scope) -> None:
    with write(sessions) as session:
        session.add(
            Suppression(
                client_id=client_id,
                channel="email",
                address_hash="hash-0",
                masked="a***",
                scope=scope,
                reason=SuppressionReason.MANUAL,
                since=clock.now(),
            )
        )


@pytest.mark.parametrize(
    ("message_type", "granted", "scope", "passes", "reason"),
    [
        (MessageType.MARKETING, True, None, True, None),
        (MessageType.MARKETING, False, None, False, Reason.NO_CONSENT),
        (MessageType.MARKETING, True, Scope.MARKETING, False, Reason.SUPPRESSED),
        (MessageType.MARKETING, True, Scope.ALL, False, Reason.SUPPRESSED),
        (MessageType.TRANSACTIONAL, False, None, True, None),
        (MessageType.TRANSACTIONAL, False, Scope.MARKETING, True, None),
        (MessageType.TRANSACTIONAL, False, Scope.ALL, False, Reason.SUPPRESSED),
    ],
)
def test_the_gate_checks_opt_outs_in_the_statement_that_writes_the_intent(
    sessions, clock, client_id, member_id, make_rows, take, row,
    message_type, granted, scope, passes, reason,
) -> None:  # fmt: skip
    ids = make_rows(1, message_type=message_type, member_id=member_id)
    take()
    if granted:
        consent(sessions, clock, client_id, member_id)
    if scope is not None:
        suppress(sessions, clock, client_id, scope)

    passed = intend(sessions, clock, ids)
    with write(sessions) as session:
        ledger.turn_away(session, clock, ids=[i for i in ids if i not in passed], owner="worker#0")

    assert (passed == set(ids)) is passes
    assert row(ids[0]).reason == reason


def test_expired_messages_and_deleted_members_are_skipped_with_their_reason(
    sessions, clock, member_id, make_rows, take, row
) -> None:
    (old,) = make_rows(1, expires_at=clock.now() + timedelta(seconds=5))
    (gone,) = make_rows(1, member_id=member_id)
    take()
    clock.advance(seconds=6)
    with write(sessions) as session:
        session.get_one(Member, member_id).deleted_at = clock.now()

    assert intend(sessions, clock, [old, gone]) == set()
    with write(sessions) as session:
        ledger.turn_away(session, clock, ids=[old, gone], owner="worker#0")

    assert row(old).reason is Reason.EXPIRED
    assert row(gone).reason is Reason.MEMBER_DELETED


def test_a_dead_workers_sending_rows_become_unknown_and_never_queued(
    sessions, sending, clock, row, take
) -> None:
    (sent,) = sending()
    with write(sessions) as session:
        assert reap(session, clock) == 0
    clock.advance(seconds=121)

    with write(sessions) as session:
        assert reap(session, clock) == 1
        assert reap(session, clock) == 0

    found = row(sent.id)
    assert (found.status, found.reason) == (Status.UNKNOWN, Reason.WORKER_STOPPED)
    assert (found.open_attempts, found.crashes) == (1, 1)
    assert take() == []
    with sessions() as session:
        attempt = session.scalars(select(Attempt)).one()
        assert (attempt.communication_id, attempt.token) == (sent.id, sent.token)
        assert attempt.outcome is AttemptOutcome.CRASHED


def test_a_process_known_to_be_dead_is_reaped_without_waiting_for_its_lease(
    sessions, sending, make_rows, take, clock, row
) -> None:
    (sent,) = sending()  # by worker#go
    (claimed,) = make_rows(1)
    take(1, owner="worker#9")
    (others,) = make_rows(1)
    take(1, owner="other#1")

    with write(sessions) as session:
        assert reap(session, clock, owners=["worker#"]) == 1

    assert row(sent.id).status is Status.UNKNOWN
    assert row(claimed).lease_until is None
    assert row(others).lease_until is not None


def test_skipping_reaches_queued_rows_only(sessions, make_rows, sending, clock, row) -> None:
    (sent,) = sending(1, run_id=3, address_hash=None)
    (queued,) = make_rows(1, run_id=3, channel=Channel.EMAIL, address_hash="h")
    (other,) = make_rows(1, run_id=4, address_hash="h")

    with write(sessions) as session:
        assert ledger.skip_queued(session, clock, reason=Reason.CANCELLED, run_id=3) == 1

    assert row(queued).reason is Reason.CANCELLED
    assert row(sent.id).status is Status.SENDING
    assert row(other).status is Status.QUEUED


def test_an_opt_out_skips_only_marketing_to_that_address(sessions, make_rows, clock, row) -> None:
    (marketing,) = make_rows(1, message_type=MessageType.MARKETING)
    (receipt,) = make_rows(1)

    with write(sessions) as session:
        client_id = session.get_one(Communication, marketing).client_id
        skipped = ledger.skip_queued(
            session,
            clock,
            reason=Reason.SUPPRESSED,
            client_id=client_id,
            address_hashes=["hash-0"],
            marketing_only=True,
        )

    assert skipped == 1
    assert row(marketing).status is Status.SKIPPED
    assert row(receipt).status is Status.QUEUED


def test_what_may_have_arrived_before_is_unknown_and_not_skipped(
    sessions, make_rows, take, clock, row, client_id
) -> None:
    """An operator had them sent again; the answer to the first copy never came."""
    asked = {"open_attempts": 1, "resends": 1, "address_hash": None}
    soon = clock.now() + timedelta(seconds=5)
    (late,) = make_rows(1, **asked, expires_at=soon)
    (broken,) = make_rows(1, **asked)
    (cancelled,) = make_rows(1, **asked, run_id=3)
    (poison,) = make_rows(1, **asked, held="poison")
    (stale,) = make_rows(1, **asked, held="nobody's", expires_at=soon)
    take()
    clock.advance(seconds=6)

    with write(sessions) as session:
        ledger.turn_away(session, clock, ids=[late], owner="worker#0")
        ledger.skip_claimed(
            session,
            clock,
            ids=[broken],
            owner="worker#0",
            reason=Reason.RENDER_FAILED,
            detail="TypeError",
        )
        ledger.skip_queued(session, clock, reason=Reason.CANCELLED, run_id=3)
        decide(
            session,
            clock,
            client_id=client_id,
            ids=[poison],
            verdict=Verdict.SKIP,
            expected=1,
            actor="cli",
        )
        session.get_one(Communication, stale).held = None
        session.flush()
        assert expire(session, clock, [stale]) == 1

    for one in (late, broken, cancelled, poison, stale):
        found = row(one)
        assert (found.status, found.reason) == (Status.UNKNOWN, Reason.NO_ANSWER)
        assert (found.owner, found.lease_until, found.held) == (None, None, None)
