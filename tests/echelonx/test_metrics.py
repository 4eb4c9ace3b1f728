"""Mirrors echelonx/metrics.py and exposition.py."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from channels.channel import Channel
from communications.account import AccountStatus, ProviderAccount
from communications.event import CommunicationEvent, EventState
from communications.status import Status
from core.clock import ManualClock
from core.db import write
from echelonx.exposition import Metric, text_of
from echelonx.guard import Guard
from echelonx.metrics import Metrics
from echelonx.wiring import Services
from scheduling import instance
from scheduling.worker import beat, leave
from tests.factories import Factory


@pytest.fixture
def factory(services: Services, clock: ManualClock, client_id: int) -> Factory:
    return Factory(services.sessions, clock, client_id)


def values(services: Services) -> dict[str, float]:
    """Every sample by its name and labels, as the page shows them."""
    return parsed(text_of(Metrics(services).read()))


def parsed(page: str) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in page.splitlines() if not line.startswith("#")]
    return {name.removeprefix("echelonx_"): float(value) for name, _, value in lines}


def queued(factory: Factory, account: int, **more: Any) -> None:
    row = {"status": Status.QUEUED, "rank": 0, "sent_at": None, "provider_account_id": account}
    factory.message(**row | more)


def test_an_empty_installation_has_zeros(services: Services) -> None:
    assert values(services) == {
        "unknown_open": 0,
        "unknown_oldest_seconds": 0,
        "due_backlog": 0,
        "pump_lag_seconds": 0,
        "parked_events": 0,
        "inbox_backlog": 0,
        "collected_backlog": 0,
        "enrolments_due_oldest_seconds": 0,
        "enrolments_stuck": 0,
        "signals_waiting": 0,
        "signals_oldest_seconds": 0,
        "outbound_due": 0,
        "outbound_lag_seconds": 0,
        "endpoints_failing": 0,
        "held": 0,
        "rate_limit_unheard_total": 0,
        "workers_alive": 0,
    }


def test_the_backlog_is_what_is_due_free_and_has_an_active_account(
    services: Services, factory: Factory, clock: ManualClock
) -> None:
    active = factory.account("smtp", Channel.EMAIL, {})
    paused = factory.account("smtp", Channel.EMAIL, {}, status=AccountStatus.PAUSED)
    now = clock.now()
    queued(factory, active, not_before=now - timedelta(seconds=30), priority=3)
    queued(factory, active, not_before=now - timedelta(seconds=10), priority=0)
    queued(factory, active, not_before=now + timedelta(seconds=10))
    queued(factory, active, not_before=now - timedelta(hours=1), held="paused")
    taken = {"lease_until": now + timedelta(seconds=60), "owner": "w#1"}
    queued(factory, active, not_before=now - timedelta(hours=1), **taken)
    queued(factory, paused, not_before=now - timedelta(hours=1))

    got = values(services)

    assert (got["due_backlog"], got["pump_lag_seconds"]) == (2, 30)
    assert got[f'account_active{{account="{active}"}}'] == 1
    assert got[f'account_active{{account="{paused}"}}'] == 0


def test_what_nobody_can_tell_ages(
    services: Services, factory: Factory, clock: ManualClock
) -> None:
    for _ in range(2):
        factory.message(status=Status.UNKNOWN, rank=0, sent_at=None)
    clock.advance(minutes=3)

    got = values(services)

    assert (got["unknown_open"], got["unknown_oldest_seconds"]) == (2, 180)


def test_an_account_rests_until_its_time(
    services: Services, factory: Factory, clock: ManualClock
) -> None:
    account = factory.account("smtp", Channel.EMAIL, {})
    name = f'account_resting{{account="{account}"}}'
    with write(services.sessions) as session:
        until = clock.now() + timedelta(seconds=60)
        session.execute(sa.update(ProviderAccount).values(rest_until=until))

    assert values(services)[name] == 1
    clock.advance(seconds=61)
    assert values(services)[name] == 0


def test_receipts_without_a_message_are_counted(
    services: Services, client_id: int, clock: ManualClock
) -> None:
    with write(services.sessions) as session:
        session.add(
            CommunicationEvent(
                client_id=client_id, source="smtp", dedup_key="1:x", type="delivered",
                state=EventState.PARKED, occurred_at=clock.now(), received_at=clock.now(),
            )
        )  # fmt: skip

    assert values(services)["parked_events"] == 1


def test_workers_report_what_they_sent_and_how_much_of_it_is_doubtful(
    services: Services, clock: ManualClock
) -> None:
    def says(name: str, roles: list[str], report: dict[str, Any]) -> None:
        with write(services.sessions) as session:
            beat(
                session, clock, name=name, roles=roles, started_at=clock.now(), report=report
            )  # fmt: skip

    says("gone:1:1", ["worker"], {"sends": {"3": {"accepted": 5}}, "recent": {"3": [5, 5]}})
    clock.advance(minutes=2)
    says("a:1:1", ["worker"], {"sends": {"3": {"accepted": 7, "ambiguous": 1}},
                               "recent": {"3": [8, 1]}})  # fmt: skip
    says("b:1:1", ["worker"], {"sends": {}, "recent": {"3": [2, 1], "4": [0, 0]}, "lost": 2})
    clock.advance(seconds=7)

    got = values(services)

    assert got["workers_alive"] == 2
    assert "scheduler_last_tick_seconds" not in got
    assert got['lease_expired_total{worker="b:1:1"}'] == 2
    assert got['sends_total{worker="gone:1:1",account="3",outcome="accepted"}'] == 5
    assert got['sends_total{worker="a:1:1",account="3",outcome="ambiguous"}'] == 1
    assert got['ambiguous_rate{account="3"}'] == 0.2
    assert 'ambiguous_rate{account="4"}' not in got


def test_a_scheduler_that_hangs_or_died_grows_silent(
    services: Services, clock: ManualClock
) -> None:
    """It loses its role when it hangs, and its heartbeat when it dies; its last tick stays."""
    ticked = {"ticked": clock.now().timestamp()}
    for roles in (["scheduler"], []):
        with write(services.sessions) as session:
            given = {"name": "s:1:1", "roles": roles, "started_at": clock.now()}
            beat(session, clock, report=ticked, **given)
        clock.advance(seconds=50)

    assert values(services)["scheduler_last_tick_seconds"] == 100
    with write(services.sessions) as session:
        leave(session, name="s:1:1")
    assert "scheduler_last_tick_seconds" not in values(services)


def test_a_hold_is_shown(services: Services, clock: ManualClock) -> None:
    Guard(services).start()
    with write(services.sessions) as session:
        instance.hold(session, clock, reason="restored")

    assert values(services)["held"] == 1


def test_the_page_is_prometheus_text() -> None:
    counter = Metric("sends_total", "Sends")
    counter.add(3, worker='a"b\\c\nd')
    gauge = Metric("rate", "Share")
    gauge.add(0.25)

    assert text_of([counter, gauge]) == (
        "# HELP echelonx_sends_total Sends\n"
        "# TYPE echelonx_sends_total counter\n"
        'echelonx_sends_total{worker="a\\"b\\\\c\\nd"} 3\n'
        "# HELP echelonx_rate Share\n"
        "# TYPE echelonx_rate gauge\n"
        "echelonx_rate 0.250\n"
    )
