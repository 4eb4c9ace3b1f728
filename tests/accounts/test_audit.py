"""Mirrors accounts/audit.py."""

from sqlalchemy import select

from accounts.audit import AuditEntry, about, record
from accounts.client import create_client
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


def test_what_another_client_did_is_not_told_of_a_target(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        there = create_client(session, clock, name="Other").id
        for at in (client_id, there):
            record(session, clock, client_id=at, actor="cli", action="x.y", target="member:7")

    with read(sessions) as session:
        assert [one.client_id for one in about(session, client_id, ["member:7"])] == [client_id]
