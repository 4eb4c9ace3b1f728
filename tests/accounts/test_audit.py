"""Mirrors accounts/audit.py."""

from sqlalchemy import select

from accounts.audit import AuditEntry, record
from core.clock import ManualClock
from core.db import Sessions, read, write


def test_an_action_is_written_with_its_transaction(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        record(
            session, clock, client_id=client_id, actor="key:3", action="campaign.launch",
            target="campaign:7", members=12,
        )  # fmt: skip

    with read(sessions) as session:
        entry = session.scalars(select(AuditEntry)).one()
    assert (entry.actor, entry.action, entry.target) == ("key:3", "campaign.launch", "campaign:7")
    assert (entry.detail, entry.at) == ({"members": 12}, clock.now())
