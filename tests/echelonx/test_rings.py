"""Mirrors echelonx/rings.py."""

import socket
from threading import Event
from time import monotonic

import pytest
from celery import Celery

from echelonx.rings import CeleryBell, Listener
from scheduling.bell import LocalBell

BROKERS = {
    "redis": ("redis://127.0.0.1:6379/15", 6379),
    "rabbitmq": ("amqp://guest:guest@127.0.0.1:5672//", 5672),
}
PATIENCE = 120.0
NOWHERE = "redis://127.0.0.1:1/0"


def test_a_ring_is_heard_here_at_once_while_the_broker_is_away() -> None:
    local = LocalBell()
    heard = local.subscribe()
    bell = CeleryBell(NOWHERE, [local])

    bell.ring()

    assert heard.is_set()
    bell.close()


def test_nobody_who_rings_waits_for_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, answered = Event(), list[bool]()
    monkeypatch.setattr(
        Celery, "send_task", lambda *_, **__: answered.append(answer.wait(PATIENCE))
    )
    bell = CeleryBell(NOWHERE, [LocalBell()])

    for _ in range(2):
        bell.ring()

    assert answered == []
    answer.set()
    bell.close()


@pytest.mark.e2e
@pytest.mark.parametrize("name", BROKERS)
def test_a_ring_is_heard_in_another_process(name: str) -> None:
    url, port = BROKERS[name]
    needs(port)
    there = LocalBell()
    heard = there.subscribe()
    listener = Listener(url, [there], f"test-{name}")
    bell = CeleryBell(url, [LocalBell()])
    listener.start()

    # The listener needs a moment to be there; rings before that are lost, and may be.
    deadline = monotonic() + PATIENCE
    while not heard.wait(0.2) and monotonic() < deadline:
        bell.ring()

    assert heard.is_set()
    bell.close()
    listener.stop()


def needs(port: int) -> None:
    """Skip a test whose broker is not on this machine."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            pytest.skip(f"nothing listens on port {port}")
