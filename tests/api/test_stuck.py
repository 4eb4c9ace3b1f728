"""Mirrors api/stuck.py and webhooks/stuck.py: events that could not be applied, and can be now."""

import json

import pytest
from sqlalchemy import select

from accounts.key import issue_key
from core.clock import ManualClock
from core.db import read, write
from echelonx.wiring import Services
from members.event import Event
from tests.api.caller import Caller, refused
from webhooks import collecting as collectings
from webhooks.collected import Collected, sealed, store
from webhooks.collecting import collecting
from webhooks.inbox import MAX_TRIES
from webhooks.write_key import WriteKey

SAID = {"type": "track", "event": "Signed up", "userId": "u1", "messageId": "m1"}


@pytest.fixture
def stuck_id(
    product: Services, clock: ManualClock, client_id: int, monkeypatch: pytest.MonkeyPatch
) -> int:
    """A request that our own fault kept from being applied; the fault is mended."""
    with write(product.sessions) as session:
        key_id = issue_key(session, clock, client_id=client_id, name="site")[0].id
        key = WriteKey(key_id, client_id, None, trusted=True, rate=None)
        body = json.dumps(SAID).encode()
        row = sealed(clock, product.vault, key=key, body=body, kind="track", events=1)
        store(session, [row])

    def faulty(*_: object, **__: object) -> None:
        raise ValueError

    with monkeypatch.context() as fault:
        fault.setattr(collectings, "track", faulty)
        for _ in range(MAX_TRIES):
            collecting(product).step()
            clock.advance(days=1)
    with read(product.sessions) as session:
        return session.scalars(select(Collected.id)).one()


def known(product: Services) -> list[str]:
    with read(product.sessions) as session:
        return list(session.scalars(select(Event.message_id)))


def test_what_was_given_up_is_looked_at_and_applied_again(
    api: Caller, stranger: Caller, product: Services, stuck_id: int
) -> None:
    assert known(product) == []
    (row,) = api.get("/stuck-events")["data"]
    assert (row["id"], row["events"], row["tries"]) == (stuck_id, 1, MAX_TRIES)
    assert json.loads(api.get(f"/stuck-events/{stuck_id}")["body"]) == SAID
    assert stranger.get("/stuck-events")["data"] == []
    refused(stranger.ask("GET", f"/stuck-events/{stuck_id}"), 404)
    refused(stranger.ask("POST", "/stuck-events/replay", {"ids": [stuck_id]}), 404)
    assert stranger.post("/stuck-events/replay") == {"replayed": 0, "more": False}
    assert api.get("/stuck-events")["data"]

    assert api.post("/stuck-events/replay", {"ids": [stuck_id]}) == {"replayed": 1, "more": False}
    refused(api.ask("POST", "/stuck-events/replay", {"ids": [stuck_id]}), 404)
    refused(api.ask("GET", f"/stuck-events/{stuck_id}"), 404)
    while collecting(product).step():
        pass
    assert known(product) == ["m1"]
    assert api.get("/stuck-events")["data"] == []
    told = {one["action"] for one in api.get("/audit")["data"]}
    assert "stuck_event.replay" in told


def test_all_of_them_go_slice_by_slice(
    api: Caller, product: Services, stuck_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhooks.stuck.REPLAYED_AT_ONCE", 1)
    monkeypatch.setattr("api.stuck.REPLAYED_AT_ONCE", 1)
    assert api.post("/stuck-events/replay", {}) == {"replayed": 1, "more": True}
    assert api.post("/stuck-events/replay", {}) == {"replayed": 0, "more": False}
