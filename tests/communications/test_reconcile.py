"""Mirrors communications/reconcile.py: on the wire, at the simulators."""

import itertools
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select, update

from channels.adapter import EventType, Ports, ProviderEvent, Query
from channels.channel import Channel
from channels.providers.twilio import Twilio
from communications.account import ProviderAccount, add_account, seal
from communications.attempt import Attempt, AttemptOutcome
from communications.communication import Communication, Reason
from communications.content import ContentStore, VersionContent
from communications.dispatch import Dispatcher
from communications.event import CommunicationEvent
from communications.receipt import learn_fact
from communications.reconcile import ASK_EVERY, ASK_FOR, SETTLING, Checked, Reconciler, window
from communications.reference import References
from communications.status import Status
from communications.unknown import Decision, Which, resolve
from communications.urls import Urls
from core.clock import ManualClock, SystemClock
from core.db import Sessions, read, write
from core.http import Egress
from core.secret import Vault
from core.token import Signer
from tests.channels.simulated import Simulators, simulating
from tests.communications.unknowns import Row

URLS = Urls("https://m.example", Signer(b"s" * 32))
VAULT = Vault(b"v" * 32)
LOST, HEALTHY = {"lost": 1}, {"lost": 0}
REFUSED = {"reset": 1}
"""Cut before it is accepted: the sender cannot tell that from `lost`."""
NUMBERS = itertools.count(15005551000)
"""The simulators remember what the tests before sent; nobody else has this test's number."""
EACH = pytest.mark.parametrize("adapter", ["sendgrid", "twilio"])


def load(session: object, version_id: int) -> VersionContent:
    del session, version_id
    return VersionContent(1, Channel.SMS, None, None, "Hi {{ member.first_name }}!")


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    with simulating(Path(tmp_path_factory.mktemp("sim")) / "log") as found:
        yield found


@pytest.fixture(autouse=True)
def present(clock: ManualClock) -> None:
    """The time of day as the simulators have it."""
    clock.set(SystemClock().now())


@pytest.fixture
def http() -> Iterator[Egress]:
    made = Egress(allow_private=True, read_timeout=60)
    yield made
    made.close()


@pytest.fixture
def accounts(
    sessions: Sessions, clock: ManualClock, client_id: int, sim: Simulators
) -> dict[str, int]:
    """An account at each provider."""
    with write(sessions) as session:
        return {
            name: add_account(
                session,
                clock,
                VAULT,
                client_id=client_id,
                name=name,
                adapter=name,
                config=sim.config[name],
            ).id
            for name in ("sendgrid", "twilio", "smtp")
        }


@pytest.fixture
def references() -> References:
    """This test's own."""
    return References(Signer(secrets.token_bytes(32)))


@pytest.fixture
def reconciler(
    sessions: Sessions, clock: ManualClock, http: Egress, references: References
) -> Reconciler:
    return Reconciler(
        sessions,
        clock,
        references=references,
        vault=VAULT,
        http=http,
        content=ContentStore(load, URLS),
    )


Send = Callable[..., list[int]]


@pytest.fixture
def send(
    sessions: Sessions,
    clock: ManualClock,
    accounts: dict[str, int],
    make_rows: Callable[..., list[int]],
    http: Egress,
    sim: Simulators,
    references: References,
) -> Iterator[Send]:
    """Send messages under a fault, with a real dispatcher; return their ids."""
    number = f"+{next(NUMBERS)}"

    def run(adapter: str, fault: dict[str, float], count: int = 1, **values: Any) -> list[int]:
        sms = adapter == "twilio"
        shape: dict[str, Any] = {
            "channel": Channel.SMS if sms else Channel.EMAIL,
            "subject": "Hello",
            "content": f"Your code is {next(codes)}",
            "provider_account_id": accounts[adapter],
        }
        shape |= {"to_address": number} if sms else {}
        ids = make_rows(count, **shape | values)
        sim.ask("POST", "/_sim/faults", {adapter: fault})
        dispatcher = Dispatcher(
            sessions,
            clock,
            owner="here:1:1",
            references=references,
            urls=URLS,
            vault=VAULT,
            ports=Ports(http=http, clock=clock),
            content=ContentStore(load, URLS),
        )
        while dispatcher.step(accounts[adapter]):
            pass
        dispatcher.close()
        with write(sessions) as session:  # a rest for want of answers is not what is tested here
            session.execute(update(ProviderAccount).values(rest_until=None))
        return ids

    codes = iter(range(1000, 9999))
    yield run
    for adapter in ("sendgrid", "twilio"):
        sim.ask("POST", "/_sim/faults", {adapter: {"lost": 0}})


# -- what the provider has --------------------------------------------------------------------


@EACH
def test_what_it_has_is_sent(
    adapter: str,
    send: Send,
    reconciler: Reconciler,
    row: Row,
    sim: Simulators,
    sessions: Sessions,
    client_id: int,
) -> None:
    sim.mark()
    [one] = send(adapter, LOST)
    assert row(one).status is Status.UNKNOWN

    assert reconciler.check(client_id) == Checked(found=1)

    [accepted] = sim.accepts(adapter)
    found = row(one)
    assert (found.status, found.reason) == (Status.SENT, None)
    assert found.provider_id == accepted["provider_id"]
    with read(sessions) as session:
        [event] = session.scalars(select(CommunicationEvent))
        assert (event.source, event.type) == ("search", "sent")
        [attempt] = session.scalars(select(Attempt))
        assert attempt.outcome is AttemptOutcome.RESOLVED_SENT


@EACH
def test_what_it_does_not_have_stays_unknown(
    adapter: str,
    send: Send,
    reconciler: Reconciler,
    row: Row,
    client_id: int,
    clock: ManualClock,
) -> None:
    [one] = send(adapter, REFUSED)

    assert reconciler.check(client_id) == Checked(not_found=1)

    assert (row(one).status, row(one).reason) == (Status.UNKNOWN, Reason.NO_ANSWER)
    assert row(one).checked_at == clock.now()


def test_a_templates_text_is_rendered_again(
    send: Send, reconciler: Reconciler, row: Row, client_id: int
) -> None:
    values = {"template_version_id": 3, "merge": {"first_name": "Ana"}, "content": None}
    [one] = send("twilio", LOST, **values)

    assert reconciler.check(client_id) == Checked(found=1)
    assert row(one).status is Status.SENT


def test_of_two_alike_nothing_is_guessed(
    send: Send, reconciler: Reconciler, client_id: int, statuses: Callable[[], list[Status]]
) -> None:
    """One arrived and one did not; nobody can say which."""
    send("twilio", LOST, content="The same")
    send("twilio", REFUSED, content="The same", address_hash="other")

    assert reconciler.check(client_id) == Checked(not_found=2)
    assert statuses() == [Status.UNKNOWN] * 2


def test_what_another_message_has_is_not_taken_for_ours(
    send: Send, reconciler: Reconciler, client_id: int, row: Row
) -> None:
    [sent] = send("twilio", HEALTHY, content="The same")
    [one] = send("twilio", REFUSED, content="The same", address_hash="other")

    assert row(sent).provider_id is not None
    assert reconciler.check(client_id) == Checked(not_found=1)
    assert row(one).status is Status.UNKNOWN


def test_a_twin_whose_id_we_were_never_told_makes_it_uncertain(
    send: Send, reconciler: Reconciler, client_id: int, row: Row
) -> None:
    [sent] = send("twilio", {"empty": 1}, content="The same")
    [one] = send("twilio", REFUSED, content="The same", address_hash="other")

    assert (row(sent).status, row(sent).provider_id) == (Status.SENT, None)
    assert reconciler.check(client_id) == Checked(not_found=1)
    assert row(one).status is Status.UNKNOWN


def test_both_copies_of_an_email_are_asked_for(
    send: Send,
    reconciler: Reconciler,
    client_id: int,
    row: Row,
    sessions: Sessions,
    clock: ManualClock,
) -> None:
    [one] = send("sendgrid", LOST)
    with write(sessions) as session:
        resolve(
            session,
            clock,
            client_id=client_id,
            which=Which(),
            decision=Decision.RESEND,
            expected=1,
            actor="cli",
        )
    send("sendgrid", REFUSED, count=0)
    assert (row(one).status, row(one).token) == (Status.UNKNOWN, 2)

    assert reconciler.check(client_id) == Checked(found=1)


def test_what_was_sent_in_the_lost_time_is_found(
    send: Send,
    reconciler: Reconciler,
    client_id: int,
    row: Row,
    sessions: Sessions,
) -> None:
    """The restored row is as old as the backup: taken up by nobody yet."""
    [one] = send("sendgrid", HEALTHY)
    with write(sessions) as session:
        back = {"status": Status.UNKNOWN, "reason": Reason.RESTORED, "rank": 0, "token": 0}
        changed = update(Communication).where(Communication.id == one)
        session.execute(changed.values(**back, provider_id=None, sent_at=None))

    assert reconciler.check(client_id) == Checked(found=1)
    assert row(one).status is Status.SENT


# -- what it cannot say -----------------------------------------------------------------------


def test_who_cannot_be_asked_cannot_say(
    make_rows: Callable[..., list[int]],
    accounts: dict[str, int],
    reconciler: Reconciler,
    client_id: int,
    sessions: Sessions,
    clock: ManualClock,
    row: Row,
) -> None:
    with write(sessions) as session:
        broken = session.get_one(ProviderAccount, accounts["twilio"])
        broken.config = seal(VAULT, broken.token, {"account_sid": "AC1"})
    unknown = {"status": Status.UNKNOWN, "reason": Reason.RESTORED, "token": 1}
    places = (accounts["smtp"], accounts["twilio"], None)
    ids = [
        make_rows(1, provider_account_id=place, address_hash=str(place), **unknown)[0]
        for place in places
    ]

    assert reconciler.check(client_id) == Checked(cannot_say=3)
    assert {row(i).checked_at for i in ids} == {clock.now()}


def test_a_key_that_may_not_read_is_not_tried_for_every_message(
    send: Send,
    reconciler: Reconciler,
    client_id: int,
    sessions: Sessions,
    accounts: dict[str, int],
    sim: Simulators,
) -> None:
    send("sendgrid", LOST, 3)
    with write(sessions) as session:
        account = session.get_one(ProviderAccount, accounts["sendgrid"])
        account.config = seal(VAULT, account.token, sim.config["sendgrid"] | {"api_key": "SG.x"})

    assert reconciler.check(client_id) == Checked(cannot_say=3)


def test_a_provider_that_is_away_is_left_alone_until_later(
    send: Send,
    reconciler: Reconciler,
    client_id: int,
    sessions: Sessions,
    accounts: dict[str, int],
    sim: Simulators,
    row: Row,
    clock: ManualClock,
) -> None:
    ids = send("sendgrid", LOST, 3)
    with write(sessions) as session:
        account = session.get_one(ProviderAccount, accounts["sendgrid"])
        away = sim.config["sendgrid"] | {"base_url": "http://127.0.0.1:9"}
        account.config = seal(VAULT, account.token, away)

    assert reconciler.check(client_id) == Checked(cannot_say=1, left=2)
    assert [row(i).checked_at for i in ids] == [clock.now(), None, None]


def test_a_message_that_cannot_be_rendered_any_more_cannot_be_looked_for(
    send: Send, reconciler: Reconciler, client_id: int, sessions: Sessions
) -> None:
    [one] = send("twilio", LOST)
    with write(sessions) as session:
        changed = update(Communication).where(Communication.id == one)
        session.execute(changed.values(template_version_id=3, merge={"member": 3}))

    assert reconciler.check(client_id).found == 0


# -- who is asked when ------------------------------------------------------------------------


def test_a_caller_comes_back_for_the_rest(
    send: Send, reconciler: Reconciler, client_id: int, clock: ManualClock
) -> None:
    send("sendgrid", LOST, 3)
    since = clock.now()

    taken = [reconciler.check(client_id, limit=2, since=since) for _ in range(3)]

    assert [one.found for one in taken] == [2, 1, 0]
    assert sum(taken, Checked()).rows == 3


def test_two_workers_do_not_ask_about_one_message(
    send: Send, reconciler: Reconciler, clock: ManualClock
) -> None:
    send("sendgrid", REFUSED, 6)
    clock.set(clock.now() + SETTLING)
    together = Barrier(2)

    def ask(_: int) -> int:
        together.wait(20)
        return reconciler.step(50).rows

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(ask, range(2))) == 6


def test_a_receipt_that_comes_while_it_is_asked_is_no_harm(
    send: Send,
    reconciler: Reconciler,
    client_id: int,
    sessions: Sessions,
    clock: ManualClock,
    row: Row,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [one] = send("twilio", LOST)
    ask = Twilio.find

    def find(adapter: Twilio, query: Query) -> Any:
        event = ProviderEvent(EventType.DELIVERED, "d", None, None, None, "delivered")
        with write(sessions) as session:
            given = {"client_id": client_id, "communication_id": one, "event": event}
            learn_fact(session, clock, source="test", **given)
        return ask(adapter, query)

    monkeypatch.setattr(Twilio, "find", find)
    reconciler.check(client_id)

    assert row(one).status is Status.DELIVERED
    assert row(one).provider_id is not None


def test_another_client_asks_about_nothing(
    send: Send, reconciler: Reconciler, client_id: int
) -> None:
    send("sendgrid", LOST)
    assert reconciler.check(client_id + 1) == Checked()


def test_unbidden_it_asks_after_two_minutes_and_again_after_thirty(
    send: Send, reconciler: Reconciler, clock: ManualClock
) -> None:
    send("twilio", REFUSED)
    asked = []
    for passing in (SETTLING - timedelta(seconds=1), timedelta(seconds=1), timedelta(minutes=29)):
        clock.set(clock.now() + passing)
        asked.append(reconciler.step(50).rows)
    clock.advance(minutes=1)
    asked.append(reconciler.step(50).rows)
    clock.set(clock.now() + ASK_FOR)
    asked.append(reconciler.step(50).rows)

    assert asked == [0, 1, 0, 1, 0]
    assert timedelta(minutes=30) == ASK_EVERY


def test_unbidden_it_asks_a_few_at_a_time_and_only_who_can_answer(
    send: Send,
    reconciler: Reconciler,
    clock: ManualClock,
    make_rows: Callable[..., list[int]],
    accounts: dict[str, int],
) -> None:
    send("sendgrid", LOST, 5)
    unknown = {"status": Status.UNKNOWN, "reason": Reason.RESTORED, "address_hash": "x"}
    make_rows(1, provider_account_id=accounts["smtp"], **unknown)
    clock.set(clock.now() + SETTLING)

    assert [reconciler.step(2).rows for _ in range(4)] == [2, 2, 1, 0]


def test_a_message_is_looked_for_from_when_it_was_due(
    make_rows: Callable[..., list[int]], row: Row, clock: ManualClock
) -> None:
    now = clock.now().replace(microsecond=0)
    hours = {n: now + timedelta(hours=n) for n in (-3, -2)}
    base = {"created_at": hours[-3], "not_before": hours[-2], "updated_at": now}

    def begun(**values: Any) -> Any:
        [one] = make_rows(1, **base | {"address_hash": None} | values)
        return window(row(one))[0] + timedelta(seconds=10)

    assert begun(reason=Reason.WORKER_STOPPED) == hours[-2]
    assert begun(reason=Reason.NO_ANSWER) == now - timedelta(minutes=10)
    assert begun(reason=Reason.NO_ANSWER, resends=1) == hours[-3]
