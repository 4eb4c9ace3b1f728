"""Mirrors accounts/client_edit.py."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from accounts.audit import AuditEntry
from accounts.client import Client, SubscriptionTier, client, create_client, hold
from accounts.client_edit import bulk_update_clients, change_tier
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.errors import InvalidError, NotFoundError
from tests.conftest import only_postgresql
from tests.waiting import until_waiting


def test_a_tier_changes_once_and_its_history_is_kept(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    def change(tier: str) -> bool:
        with write(sessions) as session:
            return change_tier(
                session, clock, client_id=client_id, tier=SubscriptionTier(tier), actor="user:1",
                reason="grew",
            )  # fmt: skip

    assert [change("premium"), change("premium"), change("basic")] == [True, False, True]

    with read(sessions) as session:
        assert client(session, client_id).subscription_tier is SubscriptionTier.BASIC
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(one.action, one.client_id, one.actor, one.at) for one in entries] == [
        ("client.tier", client_id, "user:1", clock.now())
    ] * 2


def test_many_are_changed_each_with_its_result_or_none_at_all(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        other = create_client(
            session, clock, name="Other", contract_start=clock.now().replace(year=2030)
        ).id

    def change(all_or_nothing: bool) -> list[str]:
        with write(sessions) as session:
            results = bulk_update_clients(
                session, clock, among_ids=None, client_ids=[client_id, other, client_id],
                changes={"contract_end": clock.now()}, all_or_nothing=all_or_nothing,
            )  # fmt: skip
            return [one.status for one in results]

    assert change(True) == ["not_done", "failed"]
    with read(sessions) as session:
        assert client(session, client_id).contract_end is None
    assert change(False) == ["changed", "failed"]
    with read(sessions) as session:
        assert client(session, client_id).contract_end == clock.now()


def test_many_are_locked_in_one_order_and_answered_in_the_askers(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        other = create_client(session, clock, name="Other").id
    locked: list[int] = []
    with write(sessions) as session:

        @event.listens_for(session, "before_flush")
        def note(flushing: Session, context: object, instances: object) -> None:
            locked.extend(one.id for one in flushing.dirty if isinstance(one, Client))

        results = bulk_update_clients(
            session, clock, among_ids=None, client_ids=[other, client_id],
            changes={"industry": "food"},
        )  # fmt: skip

    assert [one.client_id for one in results] == [other, client_id]
    assert list(dict.fromkeys(locked)) == sorted((client_id, other))


def test_many_with_one_not_to_be_seen_are_refused_as_a_whole(
    sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    with write(sessions) as session:
        other = create_client(session, clock, name="Other").id
    for ids, changes, error in (
        ([client_id, other], {"industry": "food"}, NotFoundError),
        ([client_id] * 201, {"industry": "food"}, InvalidError),
        ([client_id], {"name": "All alike"}, InvalidError),
        ([client_id], {"total_revenue": 1}, InvalidError),
        ([client_id], {}, InvalidError),
    ):
        with write(sessions) as session, pytest.raises(error):
            bulk_update_clients(
                session, clock, among_ids=[client_id], client_ids=ids, changes=changes
            )
    with read(sessions) as session:
        assert client(session, client_id).industry is None


@only_postgresql
def test_many_are_changed_by_two_at_once_in_any_order(
    sessions: Sessions, clock: ManualClock
) -> None:
    with write(sessions) as session:
        ids = [create_client(session, clock, name=name).id for name in ("A", "M", "B")]

    def change(client_ids: list[int], industry: str) -> set[str]:
        with write(sessions) as session:
            told = bulk_update_clients(
                session, clock, among_ids=None, client_ids=client_ids,
                changes={"industry": industry},
            )  # fmt: skip
            return {one.status for one in told}

    with ThreadPoolExecutor(2) as pool:
        with write(sessions) as session:
            hold(session, ids[1])
            both = [pool.submit(change, ids, "tea"), pool.submit(change, ids[::-1], "coffee")]
            until_waiting(session, *both)
        assert [one.result() for one in both] == [{"changed"}] * 2
