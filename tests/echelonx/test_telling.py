"""Mirrors echelonx/health/telling.py."""

from typing import Any

import pytest

from accounts.endpoint import Endpoint, add_endpoint
from core.clock import ManualClock
from core.db import write
from echelonx.health import telling
from echelonx.health.finding import Finding, State
from echelonx.wiring import Services
from webhooks.collected import sealed, store
from webhooks.inbox import InboxState
from webhooks.outbound import BY_HAND, TIRED
from webhooks.write_key import WriteKey

URL = "https://crm.example.com/hook?secret=swordfish"


def made(services: Services, client_id: int, **state: Any) -> int:
    with write(services.sessions) as session:
        one = add_endpoint(
            session, services.clock, services.vault, client_id=client_id, url=URL, types=["*"]
        )
        for name, value in state.items():
            setattr(one, name, value)
        return one.id


def test_endpoints_that_fail_or_were_disabled_are_named_without_their_url(
    services: Services, clock: ManualClock, client_id: int
) -> None:
    [none] = telling.endpoints(services)
    assert none.state is State.SKIP
    made(services, client_id)
    made(services, client_id, enabled=False, disabled_reason=BY_HAND)
    made(services, client_id, failures=TIRED - 1, failing_since=clock.now())
    [calm] = telling.endpoints(services)
    assert (calm.state, calm.fact) == (State.OK, "3 are told of news, none fails")

    failing = made(services, client_id, failures=TIRED, failing_since=clock.now())
    gone = made(services, client_id, enabled=False, disabled_reason="it answered 410 Gone")
    clock.advance(hours=3)
    fails, disabled = telling.endpoints(services)

    assert (fails.state, disabled.state) == (State.WARN, State.WARN)
    assert fails.fact == f"{failing} of client {client_id} took none of 3 posts, for 3 h"
    assert f"echelonx endpoint deliveries {failing}" in str(fails.remedy)
    assert disabled.fact == f"{gone} of client {client_id} is disabled: it answered 410 Gone"
    assert f"echelonx endpoint replay {gone}" in str(disabled.remedy)
    assert "swordfish" not in f"{fails}{disabled}"
    with write(services.sessions) as session:
        session.get_one(Endpoint, failing).deleted_at = clock.now()
        session.get_one(Endpoint, gone).deleted_at = clock.now()
    assert list(telling.endpoints(services)) == [calm]


@pytest.mark.parametrize(
    ("state", "waits", "found", "fact"),
    [
        (None, 0, State.OK, "0 requests waiting, 0 stuck"),
        (InboxState.APPLIED, 600, State.OK, "0 requests waiting, 0 stuck"),
        (InboxState.NEW, 1, State.OK, "1 requests waiting, 0 stuck"),
        (InboxState.NEW, 600, State.WARN, "came 10 min ago"),
        (InboxState.DEAD, 1, State.WARN, "0 requests waiting, 1 stuck"),
    ],
)
def test_events_that_are_stuck_or_wait_too_long_are_told(
    services: Services, clock: ManualClock, client_id: int,
    state: InboxState | None, waits: int, found: State, fact: str,
) -> None:  # fmt: skip
    if state is not None:
        key = WriteKey(1, client_id, None, trusted=True, rate=None)
        row = sealed(clock, services.vault, key=key, body=b"{}", kind="track", events=1)
        with write(services.sessions) as session:
            store(session, [{**row, "state": state}])
    clock.advance(seconds=waits)

    told: list[Finding] = list(telling.events(services))

    assert [(one.state, fact in one.fact) for one in told] == [(found, True)]
    if state is InboxState.DEAD:
        assert f"echelonx event stuck --client {client_id}" in str(told[0].remedy)
