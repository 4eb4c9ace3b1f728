"""An account and rows of the log, made directly: how they come about is tested elsewhere."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from channels.channel import Channel
from communications.account import ProviderAccount
from communications.claim import Claimed, claim
from communications.communication import Communication, MessageType
from communications.ledger import intend
from communications.status import Status
from core.clock import ManualClock
from core.db import Sessions, write

Rows = Callable[..., list[int]]


@pytest.fixture
def account_id(sessions: Sessions, clock: ManualClock, client_id: int) -> int:
    """An account whose adapter is never built."""
    with write(sessions) as session:
        account = ProviderAccount(
            client_id=client_id,
            name="mail",
            adapter="smtp",
            channel=Channel.EMAIL,
            config=b"",
            token="account-token",
            created_at=clock.now(),
            updated_at=clock.now(),
        )
        session.add(account)
        session.flush()
        return account.id


@pytest.fixture
def make_rows(sessions: Sessions, clock: ManualClock, client_id: int, account_id: int) -> Rows:
    """Insert communications; return their ids. Transactional, so that no consent is needed."""

    def make(count: int = 1, **values: Any) -> list[int]:
        with write(sessions) as session:
            rows = [
                Communication(
                    **{
                        "client_id": client_id,
                        "channel": Channel.EMAIL,
                        "message_type": MessageType.TRANSACTIONAL,
                        "to_address": f"m{number}@example.com",
                        "address_hash": f"hash-{number}",
                        "provider_account_id": account_id,
                        "not_before": clock.now(),
                        "created_at": clock.now(),
                        "updated_at": clock.now(),
                    }
                    | values
                )
                for number in range(count)
            ]
            session.add_all(rows)
            session.flush()
            return [row.id for row in rows]

    return make


@pytest.fixture
def take(sessions: Sessions, clock: ManualClock, account_id: int) -> Callable[..., list[Claimed]]:
    """Claim due rows as one worker's next claim."""
    names = iter(f"worker#{number}" for number in range(1000))

    def claim_some(limit: int = 100, owner: str | None = None) -> list[Claimed]:
        with write(sessions) as session:
            return claim(
                session,
                clock,
                account_id=account_id,
                owner=owner or next(names),
                limit=limit,
                lease_seconds=120,
                cursors={},
            )

    return claim_some


@pytest.fixture
def sending(
    sessions: Sessions, clock: ManualClock, make_rows: Rows, take: Callable[..., list[Claimed]]
) -> Callable[..., list[Claimed]]:
    """Bring fresh rows to `sending`."""

    def make(count: int = 1, **values: Any) -> list[Claimed]:
        make_rows(count, **values)
        rows = take(count, owner="worker#go")
        with write(sessions) as session:
            passed = intend(
                session,
                clock,
                ids=[row.id for row in rows],
                owner="worker#go",
                lease_seconds=120,
            )
        assert len(passed) == count
        return rows

    return make


@pytest.fixture
def row(sessions: Sessions) -> Callable[[int], Communication]:
    """Read a row anew."""

    def read(communication_id: int) -> Communication:
        with sessions() as session:
            found = session.get(Communication, communication_id)
            assert found is not None
            return found

    return read


@pytest.fixture
def statuses(sessions: Sessions) -> Callable[[], list[Status]]:
    """Read every row's status, by id."""

    def read() -> list[Status]:
        with sessions() as session:
            rows = session.query(Communication).order_by(Communication.id)
            return [found.status for found in rows]

    return read


LEASE = timedelta(seconds=121)
