"""Mirrors webhooks/retention.py."""

from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from accounts.audit import record
from accounts.audit_chain import seal, verify
from accounts.client import Client
from communications.communication import Communication
from communications.status import Status
from core.db import read, write
from members.event import Event
from tests.factories import Factory
from webhooks.inbox import InboxItem, InboxState
from webhooks.retention import CLASSES, preview, step


@pytest.fixture
def store(sessions, clock, client_id):
    """Keep something of every class, so many days old, of some client."""
    make = Factory(sessions, clock, client_id)
    account = make.account("sendgrid", "email", {})

    def keep(number: int, days: int) -> None:
        at = clock.now() - timedelta(days=days)
        member = make.member()
        make.message(member, to_address=f"m{number}@example.com", content="Hello", created_at=at)
        with write(sessions) as session:
            session.add_all([
                InboxItem(
                    client_id=client_id, provider_account_id=account, digest=str(number),
                    request=b"sealed", state=InboxState.APPLIED, not_before=at, received_at=at,
                ),
                Event(
                    id=number, client_id=client_id, member_id=member, name="purchase",
                    message_id=str(number), amount=1, properties={}, occurred_at=at, received_at=at,
                ),
            ])  # fmt: skip
            record(session, clock, client_id=client_id, actor="cli", action="campaign.launch")

    return keep


def left(sessions) -> dict[str, int]:
    """How many rows still say something."""
    with read(sessions) as session:
        return {
            "raw_webhooks": len(session.scalars(
                select(InboxItem.id).where(InboxItem.request != b"")).all()),
            "message_content": len(session.scalars(
                select(Communication.id).where(Communication.content.is_not(None))).all()),
            "events": len(session.scalars(select(Event.id)).all()),
        }  # fmt: skip


def all_forgotten(sessions, clock, *, limit: int) -> int:
    steps = 0
    more = True
    while more:
        with write(sessions) as session:
            more = step(session, clock, limit=limit)
        steps += 1
    return steps


def test_each_class_is_forgotten_in_its_time_and_counted_before(
    store, sessions, clock, client_id
) -> None:
    for number, days in enumerate((800, 700, 200, 170, 40, 20, 1), start=1):
        store(number, days)
    with read(sessions) as session:
        due = {one.name: (one.days, one.rows) for one in preview(session, clock, client_id)}
    assert due == {
        "raw_webhooks": (30, 5), "message_content": (180, 3), "events": (730, 1), "audit": (730, 0)
    }  # fmt: skip

    assert all_forgotten(sessions, clock, limit=2) > len(CLASSES)  # a slice a transaction
    assert left(sessions) == {"raw_webhooks": 2, "message_content": 4, "events": 6}
    assert all_forgotten(sessions, clock, limit=2) == 1  # until the next night

    clock.advance(days=1)
    with write(sessions) as session:
        session.execute(update(Client).values(settings={"raw_webhook_days_kept": 1}))
    all_forgotten(sessions, clock, limit=100)
    assert left(sessions)["raw_webhooks"] == 0
    with read(sessions) as session:
        assert sum(one.rows for one in preview(session, clock, client_id)) == 0
        assert len(session.scalars(select(Communication.id)).all()) == 7


def test_after_years_nothing_old_is_left_and_the_audit_log_is_still_whole(
    store, sessions, clock, client_id
) -> None:
    for number in range(1, 4):
        store(number, 0)
    with write(sessions) as session:
        seal(session)
        session.execute(
            update(Communication).where(Communication.id == 1).values(status=Status.QUEUED)
        )
    clock.advance(days=800)
    all_forgotten(sessions, clock, limit=2)

    # What is still to be sent keeps what it says.
    assert left(sessions) == {"raw_webhooks": 0, "message_content": 1, "events": 0}
    with write(sessions) as session:
        seal(session)
        verdict = verify(session, client_id)
    assert (verdict.kept_after, verdict.problems) == (3, [])


def test_killed_ten_times_it_goes_on_where_it_was(store, sessions, clock) -> None:
    class KilledError(Exception):
        pass

    for number in range(1, 8):
        store(number, 40)
    emptied = []
    for turn in range(20):
        with suppress(KilledError), write(sessions) as session:
            step(session, clock, limit=1)
            if turn % 2:
                raise KilledError  # before its end
        emptied.append(7 - left(sessions)["raw_webhooks"])
    assert emptied == [min(7, turn // 2 + 1) for turn in range(20)]
    assert left(sessions) == {"raw_webhooks": 0, "message_content": 7, "events": 7}


def test_where_a_clock_was_wrong_nothing_young_is_forgotten(
    store, sessions, clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.bisection.SLACK", 1)
    for number, days in enumerate((10, 10, 300, 10, 10, 10), start=1):
        store(number, days)

    all_forgotten(sessions, clock, limit=100)
    assert left(sessions) == {"raw_webhooks": 6, "message_content": 6, "events": 6}

    clock.advance(days=180)
    all_forgotten(sessions, clock, limit=100)
    assert left(sessions) == {"raw_webhooks": 0, "message_content": 0, "events": 6}


def test_what_one_client_keeps_for_longer_keeps_no_other_clients_rows(
    store, sessions, clock, client_id
) -> None:
    second_client = Factory(sessions, clock, client_id).another_client().client_id
    for number in range(1, 8):
        store(number, 100 - number)
    with write(sessions) as session:
        session.execute(update(Client).values(settings={"message_content_days_kept": 95}))
        second = session.get_one(Client, second_client)
        second.settings = {"message_content_days_kept": 10}
        session.execute(
            update(Communication)
            .where(Communication.id.in_((1, 4, 7)))
            .values(client_id=second_client)
        )
    all_forgotten(sessions, clock, limit=2)
    with read(sessions) as session:
        kept = session.scalars(select(Communication.id).where(Communication.content.is_not(None)))
        assert sorted(kept) == [5, 6]
