"""Mirrors communications/expiry.py."""

from datetime import timedelta

from accounts.client import Client, ClientStatus
from communications.account import pause_account
from communications.communication import Communication, Reason
from communications.expiry import expire, unused_expired
from communications.status import Status
from core.db import read, write


def test_only_what_expired_on_an_account_out_of_use_is_skipped(
    sessions, clock, account_id, make_rows, row
) -> None:
    soon, later = (clock.now() + timedelta(hours=hours) for hours in (1, 9))
    (old,) = make_rows(1, expires_at=soon)
    (young,) = make_rows(1, expires_at=later)
    (ageless,) = make_rows(1)
    (waiting,) = make_rows(1, expires_at=soon, held="paused")
    clock.advance(hours=2)

    def run() -> int:
        with read(sessions) as session:
            ids = unused_expired(session, clock)
        with write(sessions) as session:
            return expire(session, clock, ids)

    assert run() == 0, "a lane looks after an account in use"
    with write(sessions) as session:
        pause_account(session, clock, account_id=account_id, reason="test")
    assert run() == 1
    assert run() == 0

    assert (row(old).status, row(old).reason) == (Status.SKIPPED, Reason.EXPIRED)
    assert {row(one).status for one in (young, ageless, waiting)} == {Status.QUEUED}


def test_what_waits_for_a_suspended_client_expires_too(
    sessions, clock, client_id, make_rows, row
) -> None:
    (old,) = make_rows(1, expires_at=clock.now() + timedelta(hours=1))
    clock.advance(hours=2)
    with write(sessions) as session:
        session.get_one(Client, client_id).status = ClientStatus.SUSPENDED
    with read(sessions) as session:
        ids = unused_expired(session, clock)
    with write(sessions) as session:
        assert expire(session, clock, ids) == 1
    assert row(old).reason is Reason.EXPIRED


def test_what_was_taken_or_sent_again_meanwhile_stays(
    sessions, clock, account_id, make_rows, row
) -> None:
    soon = clock.now() + timedelta(hours=1)
    taken, longer = make_rows(2, expires_at=soon)
    clock.advance(hours=2)
    with write(sessions) as session:
        pause_account(session, clock, account_id=account_id, reason="test")
    with read(sessions) as session:
        ids = unused_expired(session, clock)
        assert ids == [taken, longer]
    with write(sessions) as session:
        session.get_one(Communication, taken).lease_until = clock.now() + timedelta(seconds=9)
        session.get_one(Communication, longer).expires_at = clock.now() + timedelta(seconds=9)

    with write(sessions) as session:
        assert expire(session, clock, ids) == 0
    assert {row(one).status for one in (taken, longer)} == {Status.QUEUED}
