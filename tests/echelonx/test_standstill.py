"""Mirrors echelonx/standstill.py, and what metrics and the doctor say of it."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus
from campaigns.journeys.publish import create_journey, pause, publish
from core.clock import ManualClock
from core.db import read, write
from echelonx.health import work
from echelonx.health.finding import Finding, State
from echelonx.journeys import Moving
from echelonx.metrics import Metrics
from echelonx.standstill import Standstill, standstill
from echelonx.wiring import Services
from members.signal import MEMBER, NO_TIME, Heard, listen, signal
from members.tracking import ToldEvent, track
from tests.factories import Factory

TEXT = """
journey "Welcome"
  when event signup
  wait 1h
  wait until event paid or 1d
  exit "done"
"""


@pytest.fixture
def make(services: Services, clock: ManualClock, client_id: int) -> Factory:
    return Factory(services.sessions, clock, client_id)


@pytest.fixture
def journey_id(services: Services, client_id: int) -> int:
    with write(services.sessions) as session:
        made = create_journey(session, services.clock, client_id=client_id, text=TEXT)
        publish(session, services.clock, client_id=client_id, journey_id=made.id)
        return made.id


def sign_up(services: Services, make: Factory, *, at: datetime | None = None) -> None:
    make.member(member_id="ana")
    told = ToldEvent("signup", "one", {"member_id": "ana"}, occurred_at=at)
    with write(services.sessions) as session:
        track(session, services.clock, services.hasher, client_id=make.client_id, events=[told])


def found(services: Services) -> Standstill:
    with read(services.sessions) as session:
        return standstill(session, services.clock.now())


def said(services: Services) -> Finding:
    [finding] = work.journeys(services)
    return finding


def numbers(services: Services) -> dict[str, float]:
    return {
        one.name: one.samples[0][1] for one in Metrics(services).read() if len(one.samples) == 1
    }


def move(services: Services) -> None:
    while Moving(services, held=lambda: False).unit():
        pass


def test_nothing_stands_still_where_all_wait_for_their_time(
    services: Services, make: Factory, journey_id: int
) -> None:
    sign_up(services, make)
    move(services)

    assert found(services) == Standstill(None, 0, 0, None)
    assert said(services).state is State.OK


def test_what_nobody_hears_is_told_by_when_it_came(
    services: Services, make: Factory, journey_id: int, clock: ManualClock
) -> None:
    came = clock.now()
    sign_up(services, make, at=came - timedelta(days=3))
    clock.advance(seconds=50)
    assert said(services).state is State.OK
    clock.advance(seconds=20)

    assert found(services) == Standstill(None, 0, 1, came)
    assert said(services).state is State.WARN
    assert "1 happenings waiting; the oldest happened 70 s ago" in said(services).fact
    told = numbers(services)
    assert (told["signals_waiting"], told["signals_oldest_seconds"]) == (1, 70)
    move(services)
    assert said(services).state is State.OK


def test_a_changed_fact_without_a_time_is_counted_and_never_old(
    services: Services, make: Factory, journey_id: int, client_id: int, clock: ManualClock
) -> None:
    member_id = make.member()
    with write(services.sessions) as session:
        listen(session, client_id=client_id, names=[MEMBER])
        signal(session, client_id=client_id, heard=[Heard(MEMBER, member_id, NO_TIME)])
    clock.advance(hours=1)

    assert found(services) == Standstill(None, 0, 1, None)


def test_who_is_due_and_not_taken_on(
    services: Services, make: Factory, journey_id: int, clock: ManualClock
) -> None:
    start = clock.now()
    sign_up(services, make)
    move(services)
    clock.advance(minutes=61)
    assert said(services).state is State.OK
    clock.advance(minutes=2)

    assert found(services).due_since == start + timedelta(hours=1)
    assert numbers(services)["enrolments_due_oldest_seconds"] == 180
    assert said(services).state is State.WARN
    assert said(services).remedy == work.START
    with write(services.sessions) as session:
        pause(session, clock, client_id=make.client_id, journey_id=journey_id)
    assert found(services).due_since is None


def test_who_is_stuck_is_named_with_what_to_do(
    services: Services, make: Factory, journey_id: int
) -> None:
    sign_up(services, make)
    move(services)
    with write(services.sessions) as session:
        session.execute(update(Enrolment).values(status=EnrolmentStatus.STUCK, due_at=None))
        assert session.scalar(select(Enrolment.status)) is EnrolmentStatus.STUCK

    assert found(services).stuck == 1
    assert numbers(services)["enrolments_stuck"] == 1
    assert said(services).state is State.WARN
    assert "--status stuck" in str(said(services).remedy)
