"""Mirrors communications/closing.py: for a client out of use nothing leaves, wherever it stands."""

import pytest

from accounts.client import ClientStatus, update_client
from channels.outcome import Accepted
from communications.account import active_account_ids
from communications.closing import close_client
from communications.status import Status
from core.db import read, write
from core.errors import NotFoundError
from tests.communications.scripted import Scripted
from tests.communications.test_dispatch import account_id, dispatcher, drain, scripted

__all__ = ["account_id", "dispatcher", "scripted"]


def test_a_deleted_client_is_not_sent_for(
    sessions, clock, client_id, dispatcher, account_id, make_rows, statuses
) -> None:
    make_rows(2, content="Hello", subject="A")
    assert drain(dispatcher, account_id) == 2
    make_rows(3, content="Hello", subject="B")

    with write(sessions) as session:
        assert close_client(session, clock, client_id=client_id) == 3
    make_rows(1, content="Hello", subject="C")  # a worker was about to queue it

    assert drain(dispatcher, account_id) == 0
    assert len(Scripted.sent) == 2
    assert statuses() == [Status.SENT] * 2 + [Status.SKIPPED] * 3 + [Status.QUEUED]
    with write(sessions) as session, pytest.raises(NotFoundError):
        close_client(session, clock, client_id=client_id)


@pytest.mark.parametrize("status", [ClientStatus.SUSPENDED, ClientStatus.INACTIVE])
def test_what_waits_for_a_suspended_client_leaves_when_it_is_back(
    sessions, clock, client_id, dispatcher, account_id, make_rows, statuses, status
) -> None:
    make_rows(2, content="Hello", subject="A")
    with write(sessions) as session:
        update_client(session, clock, client_id=client_id, status=status)

    assert drain(dispatcher, account_id) == 0
    with read(sessions) as session:
        assert active_account_ids(session) == []
    assert statuses() == [Status.QUEUED] * 2

    with write(sessions) as session:
        update_client(session, clock, client_id=client_id, status=ClientStatus.ACTIVE)
    assert drain(dispatcher, account_id) == 2


def test_a_client_that_goes_between_claim_and_intent_is_not_sent_for(
    sessions, clock, client_id, dispatcher, account_id, make_rows, statuses, monkeypatch
) -> None:
    make_rows(2, content="Hello", subject="A")
    rendered = dispatcher._render

    def gone_meanwhile(*args):
        with write(sessions) as session:
            update_client(session, clock, client_id=client_id, status=ClientStatus.SUSPENDED)
        return rendered(*args)

    monkeypatch.setattr(dispatcher, "_render", gone_meanwhile)
    Scripted.script = lambda _: Accepted("id")

    dispatcher.step(account_id)

    assert Scripted.sent == []
    assert statuses() == [Status.QUEUED] * 2
