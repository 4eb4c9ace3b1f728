"""Mirrors accounts/idempotency.py."""

import pytest
from sqlalchemy import func, select

from accounts import idempotency
from accounts.idempotency import (
    KEPT,
    LEASE,
    Answer,
    Asked,
    IdempotencyKey,
    IdempotencyKeyBusyError,
    Try,
    forget_expired,
    free,
    reserve,
    settle,
)
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.secret import Vault

VAULT = Vault(b"a key of tests that nobody else uses")
MADE = Answer(201, b'{"key": "ex_once_only"}', {"Content-Type": "application/json"})


def test_an_answer_is_kept_sealed(sessions: Sessions, clock: ManualClock, asked: Asked) -> None:
    taken(sessions, clock, asked)

    with read(sessions) as session:
        row = session.execute(select(*IdempotencyKey.__table__.columns)).one()
        assert reserve(session, clock, VAULT, asked) == MADE
    assert b"once_only" not in b"".join(part for part in row if isinstance(part, bytes))
    assert asked.key not in repr(row)
    assert asked.fingerprint not in (row.request, bytes.fromhex(row.key_hash))


def test_a_try_that_died_blocks_for_the_lease_and_commits_nothing_after_it(
    sessions: Sessions, clock: ManualClock, asked: Asked
) -> None:
    dead = attempt(sessions, clock, asked)
    clock.advance(seconds=LEASE.total_seconds() - 1)
    with pytest.raises(IdempotencyKeyBusyError), write(sessions) as session:
        reserve(session, clock, VAULT, asked)

    clock.advance(seconds=1)
    second = attempt(sessions, clock, asked)

    with pytest.raises(IdempotencyKeyBusyError), write(sessions) as session:
        settle(session, VAULT, dead, MADE)
    with write(sessions) as session:
        free(session, dead)
        settle(session, VAULT, second, MADE)
    with write(sessions) as session:
        assert reserve(session, clock, VAULT, asked) == MADE


def test_keys_are_forgotten_in_slices_when_their_day_is_over(
    sessions: Sessions, clock: ManualClock, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "SLICE", 2)
    for number in range(3):
        taken(sessions, clock, Asked(asked.client_id, asked.principal, f"{number}", b"x"))
    clock.advance(seconds=KEPT.total_seconds())
    taken(sessions, clock, asked)

    forgotten = []
    for _ in range(3):
        with write(sessions) as session:
            forgotten.append(forget_expired(session, clock))

    assert forgotten == [2, 1, 0]
    with read(sessions) as session:
        assert session.scalar(select(func.count()).select_from(IdempotencyKey)) == 1


@pytest.fixture
def asked(client_id: int) -> Asked:
    return Asked(client_id, "key:1", "order 17", b"f" * 32)


def attempt(sessions: Sessions, clock: ManualClock, asked: Asked) -> Try:
    with write(sessions) as session:
        found = reserve(session, clock, VAULT, asked)
    assert isinstance(found, Try)
    return found


def taken(sessions: Sessions, clock: ManualClock, asked: Asked) -> None:
    mine = attempt(sessions, clock, asked)
    with write(sessions) as session:
        settle(session, VAULT, mine, MADE)
