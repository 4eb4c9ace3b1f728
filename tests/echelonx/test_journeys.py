"""Mirrors echelonx/journeys.py: a running process moves members through journeys by itself."""

import dataclasses
import socket
from collections.abc import Iterator
from email import message_from_bytes
from typing import Any

import pytest
from sqlalchemy import select

from campaigns.journeys.advance import advance as really_advance
from campaigns.journeys.ask import ask
from campaigns.journeys.calling import CALLS, MAX_ANSWER
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, EnrolmentStep, Held
from campaigns.journeys.hear import hear
from campaigns.journeys.publish import create_journey, publish
from campaigns.template import create_template
from channels.channel import Channel
from communications.communication import Communication
from communications.status import Status
from core.clock import ManualClock
from core.db import read, write
from core.errors import InvalidError
from core.http import Egress, Reply
from echelonx import journeys as module
from echelonx.journeys import Calling, Moving
from echelonx.runner import Role, Runner
from echelonx.wiring import Services
from members.tracking import ToldEvent, track
from tests.channels.loopback import HttpServer, SmtpServer, answer, hang_up, running
from tests.echelonx.test_runner import until
from tests.factories import Factory

WELCOME = """
journey "Welcome"
  when event signup
  send email "hello"
"""
CALLING = """
journey "Ask the shop"
  when asked
  webhook "https://shop.example/score" as crm
  exit "asked"
"""


@pytest.fixture
def make(services: Services, clock: ManualClock, client_id: int) -> Factory:
    factory = Factory(services.sessions, clock, client_id)
    factory.vault, factory.hasher = services.vault, services.hasher
    return factory


class Near(Egress):
    """Finds shop.example on this machine."""

    def __init__(self, base: str) -> None:
        super().__init__(allow_private=True)
        self._base = base

    def request(self, method: str, url: str, **rest: Any) -> Reply:
        return super().request(method, url.replace("https://shop.example", self._base), **rest)


@pytest.fixture
def shop() -> Iterator[HttpServer]:
    """Whom webhook steps call."""
    with running(HttpServer()) as server:
        yield server


@pytest.fixture
def near(services: Services, shop: HttpServer) -> Iterator[Services]:
    """The product, to which shop.example is the shop here."""
    egress = Near(shop.url)
    yield dataclasses.replace(services, egress=egress)
    egress.close()


def free() -> bool:
    return False


def published(services: Services, client_id: int, text: str) -> int:
    """Publish a journey; return its id."""
    with write(services.sessions) as session:
        made = create_journey(session, services.clock, client_id=client_id, text=text)
        publish(session, services.clock, client_id=client_id, journey_id=made.id)
        return made.id


def asked(services: Services, make: Factory) -> int:
    """Let a member into a journey that calls the shop; return the enrolment's id."""
    journey_id = published(services, make.client_id, CALLING)
    member_id = make.member(email="ana@example.com")
    with write(services.sessions) as session:
        entered = ask(
            session, services.clock, client_id=make.client_id, journey_id=journey_id,
            member_ids=[member_id],
        )  # fmt: skip
    while Moving(services, held=free).unit():
        pass
    return entered[member_id]


def entry(services: Services, id: int) -> Enrolment:
    with read(services.sessions) as session:
        return session.get_one(Enrolment, id)


def why(services: Services, id: int) -> dict[str, Any]:
    """Why the first step was left."""
    query = select(EnrolmentStep.why).where(
        EnrolmentStep.enrolment_id == id, EnrolmentStep.visit == 0
    )
    with read(services.sessions) as session:
        found: dict[str, Any] = session.scalars(query).one()
    return found


def gone_on(services: Services, id: int) -> dict[str, Any]:
    """Take the steps that are due; say why the webhook step was left."""
    while Moving(services, held=free).unit():
        pass
    assert entry(services, id).status is EnrolmentStatus.EXITED
    return why(services, id)


def test_an_event_becomes_a_message_that_a_provider_has(services: Services, make: Factory) -> None:
    with running(SmtpServer()) as smtp:
        make.account(
            "smtp", Channel.EMAIL,
            {"host": "127.0.0.1", "port": smtp.port, "tls": "none",
             "from_email": "hello@shop.example", "from_name": "Shop"},
        )  # fmt: skip
        with write(services.sessions) as session:
            create_template(
                session, services.clock, client_id=make.client_id, name="hello",
                channel=Channel.EMAIL, subject="Hello {{ first_name }}", html="<p>Hi</p>",
            )  # fmt: skip
        published(services, make.client_id, WELCOME)
        make.address(make.member(member_id="ana", email="ana@example.com"), "email")
        runner = Runner(services, {Role.WORKER})
        runner.start()

        told = ToldEvent("signup", "one", {"member_id": "ana"})
        with write(services.sessions) as session:
            track(session, services.clock, services.hasher, client_id=make.client_id, events=[told])
        until(lambda: len(smtp.messages) == 1)

        assert message_from_bytes(smtp.messages[0])["Subject"] == "Hello Ana"
        until(lambda: [row.status for row in log(services)] == [Status.SENT])
        assert runner.stop()
    with read(services.sessions) as session:
        [one] = session.scalars(select(Enrolment))
    assert one.status is EnrolmentStatus.COMPLETED


def log(services: Services) -> list[Communication]:
    with read(services.sessions) as session:
        return list(session.scalars(select(Communication)))


def test_a_running_process_calls_and_goes_on_with_the_answer(
    near: Services, make: Factory, shop: HttpServer
) -> None:
    shop.script = [answer(200, b'{"set": {"attributes.score": 7}}')]
    runner = Runner(near, {Role.WORKER})
    runner.start()
    id = asked(near, make)
    until(lambda: entry(near, id).status is EnrolmentStatus.EXITED)
    assert runner.stop()

    [request] = shop.requests
    assert (request.method, request.path) == ("POST", "/score")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == f"{id}-0"
    assert request.json()["member"]["email"] == "ana@example.com"
    assert why(near, id) == {"status": 200, "problem": None, "set": ["attributes.score"],
                                 "problems": []}  # fmt: skip


def test_what_failed_is_called_again_with_the_same_key(
    near: Services, make: Factory, clock: ManualClock, shop: HttpServer
) -> None:
    shop.script = [answer(500), hang_up, answer(429), answer(200, b'{"score": 7}')]
    id = asked(near, make)
    calling = Calling(near, held=free)

    for _ in range(4):
        assert calling.unit()
        assert not calling.unit()
        clock.advance(seconds=300)

    assert gone_on(near, id) == {"status": 200, "problem": None}
    assert [one.headers["idempotency-key"] for one in shop.requests] == [f"{id}-0"] * 4
    assert len({one.body for one in shop.requests}) == 1


def test_after_enough_failures_it_goes_on_without_an_answer(
    near: Services, make: Factory, clock: ManualClock, shop: HttpServer
) -> None:
    shop.script = [answer(503)]
    id = asked(near, make)
    calling = Calling(near, held=free)

    while entry(near, id).held is Held.WEBHOOK:
        calling.unit()
        clock.advance(hours=1)

    assert gone_on(near, id) == {"status": 503, "problem": "answered with 503"}
    assert len(shop.requests) == CALLS


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (answer(404), "answered with 404"),
        (answer(302, Location="http://127.0.0.1:1/"), "answered with 302"),
        (answer(200, b"thank you"), "the answer is not JSON"),
        (answer(200, b'{"name": "\\u0000"}'), "the answer is not JSON"),
        (answer(200, b'{"name": "\\ud800"}'), "the answer is not JSON"),
        (answer(200, b'{"score": 1e999}'), "the answer is not JSON"),
        (answer(200, b"[" * 5000), "the answer is not JSON"),
        (answer(200, b"1" * (MAX_ANSWER + 1)), f"the answer is longer than {MAX_ANSWER} bytes"),
        (answer(204), None),
    ],
)
def test_an_answer_of_no_use_is_final(
    near: Services, make: Factory, shop: HttpServer, reply: Any, problem: str | None
) -> None:
    shop.script = [reply]
    id = asked(near, make)

    assert Calling(near, held=free).unit()

    assert gone_on(near, id)["problem"] == problem
    assert len(shop.requests) == 1


def test_nothing_is_called_inside_our_network(
    services: Services, make: Factory, shop: HttpServer
) -> None:
    def inside(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", shop.port))]

    strict = dataclasses.replace(services, egress=Egress(allow_private=False, resolve=inside))
    id = asked(strict, make)

    assert Calling(strict, held=free).unit()

    assert gone_on(strict, id) == {"status": 0, "problem": "the host has a private address"}
    assert shop.connections == 0


def test_a_worker_that_died_while_calling_is_followed_by_another(
    near: Services, make: Factory, clock: ManualClock, shop: HttpServer
) -> None:
    id = asked(near, make)
    calling = Calling(near, held=free)
    broken = dataclasses.replace(near, egress=Dying())
    with pytest.raises(KeyboardInterrupt):
        Calling(broken, held=free).unit()

    assert not calling.unit()
    clock.advance(seconds=121)
    assert calling.unit()

    assert gone_on(near, id)["status"] == 200
    assert shop.requests[0].headers["idempotency-key"] == f"{id}-0"


class Dying(Egress):
    def __init__(self) -> None:
        super().__init__(allow_private=True)

    def request(self, *_: Any, **__: Any) -> Reply:
        raise KeyboardInterrupt


def test_whose_time_has_come_goes_in_and_through(
    services: Services, make: Factory, clock: ManualClock
) -> None:
    text = 'journey "Daily"\n  when every day at 13:00 UTC for everyone\n  exit "done"\n'
    published(services, make.client_id, text)
    make.member()
    moving = Moving(services, held=free)
    assert not moving.unit()
    clock.advance(hours=1)

    while moving.unit():
        pass

    with read(services.sessions) as session:
        [one] = session.scalars(select(Enrolment))
    assert (one.entry_key, one.status) == ("2026-11-21", EnrolmentStatus.EXITED)


def test_nothing_moves_while_sending_is_held(
    near: Services, make: Factory, shop: HttpServer
) -> None:
    id = asked(near, make)

    def held() -> bool:
        return True

    assert not Calling(near, held=held).unit()
    assert not Moving(near, held=held).unit()
    assert shop.requests == []
    assert entry(near, id).held is Held.WEBHOOK


def test_a_journey_that_cannot_be_read_does_not_hold_up_the_others(
    services: Services, make: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = 'journey "{name}"\n  when event signup\n  exit "done"\n'
    broken, well = (
        published(services, make.client_id, text.format(name=name)) for name in ("A", "B")
    )
    make.member(member_id="ana")
    told = ToldEvent("signup", "one", {"member_id": "ana"})
    with write(services.sessions) as session:
        track(session, services.clock, services.hasher, client_id=make.client_id, events=[told])
    with write(services.sessions) as session:
        hear(session, services.clock, client_id=make.client_id)

    def advance(session: Any, *args: Any, journey_id: int, **rest: Any) -> int:
        if journey_id == broken:
            raise InvalidError("a version from another time", field="ast")
        return really_advance(session, *args, journey_id=journey_id, **rest)

    monkeypatch.setattr(module, "advance", advance)
    for _ in range(3):
        Moving(services, held=free).unit()

    with read(services.sessions) as session:
        states = dict(session.execute(select(Enrolment.journey_id, Enrolment.status)).all())
    assert states == {broken: EnrolmentStatus.ACTIVE, well: EnrolmentStatus.EXITED}
