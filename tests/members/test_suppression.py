"""Mirrors members/suppression.py: two clients that know one address decide each for itself."""

import pytest

from accounts.client import create_client
from core.clock import ManualClock
from core.db import Sessions, read, write
from members.suppression import (
    Scope,
    SuppressionReason,
    is_forgotten,
    is_suppressed,
    lift,
    scopes,
    suppress,
)

HASH = "h" * 32


@pytest.fixture
def there(sessions: Sessions, clock: ManualClock, client_id: int) -> int:
    """Another client, where the address is suppressed for good."""
    del client_id
    with write(sessions) as session:
        other = create_client(session, clock, name="Other").id
        suppress(
            session, clock, client_id=other, channel="email", address_hash=HASH,
            masked="a…", scope=Scope.ALL, reason=SuppressionReason.ERASED,
        )  # fmt: skip
        return other


def test_what_another_client_suppressed_is_neither_seen_nor_lifted(
    sessions: Sessions, client_id: int, there: int
) -> None:
    def seen(whose: int) -> tuple[bool, bool, int]:
        address = {"client_id": whose, "channel": "email", "address_hash": HASH}
        with read(sessions) as session:
            return (
                is_suppressed(session, **address, marketing=True),  # type: ignore[arg-type]
                is_forgotten(session, **address),  # type: ignore[arg-type]
                len(scopes(session, client_id=whose, address_hashes=[HASH])),
            )

    assert seen(client_id) == (False, False, 0)
    with write(sessions) as session:
        assert lift(session, client_id=client_id, channel="email", address_hash=HASH) == 0
    assert seen(there) == (True, True, 1)
