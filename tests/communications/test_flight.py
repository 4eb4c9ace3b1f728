"""Mirrors communications/flight.py and lane.py: slow answers hold nobody up; none is forgotten."""

from collections.abc import Iterator
from threading import Event

import pytest

from channels.adapter import PULSE, OutgoingMessage, Ports
from channels.outcome import Accepted, Ambiguous
from channels.registry import PROVIDERS
from communications.account import ProviderAccount, add_account
from communications.content import ContentStore
from communications.dispatch import Dispatcher
from communications.flight import Flight
from communications.reference import References
from communications.settle import Settled
from communications.status import Status
from core.db import write
from core.secret import Vault
from core.token import Signer
from tests.communications.scripted import Scripted

OK = Accepted("id")
VAULT, SIGNER = Vault(b"v" * 32), Signer(b"s" * 32)


class Rows(dict[str, str]):
    """References that are their own rows."""

    def __init__(self, *names: str) -> None:
        super().__init__({name: name for name in names})


def flight(rows: Rows, outcomes: Iterator[tuple[str, object]]) -> tuple[Flight, list[Settled]]:
    settled: list[Settled] = []
    made = Flight(rows, outcomes, settle=settled.extend, note=lambda _: None)  # type: ignore[arg-type]
    return made, settled


def test_a_flight_lands_with_every_row_settled_once() -> None:
    made, settled = flight(Rows("a", "b", "c"), iter([("a", OK), PULSE, ("c", OK), ("c", OK)]))

    assert made.land(lambda _: False)

    assert [(one.row, type(one.outcome)) for one in settled] == [
        ("a", Accepted), ("c", Accepted), ("b", Ambiguous),
    ]  # fmt: skip


def test_slow_ones_are_left_and_land_later() -> None:
    outcomes = iter([("a", OK), PULSE, ("b", OK)])
    made, settled = flight(Rows("a", "b"), outcomes)

    assert not made.land(lambda left: left <= 1)
    assert [one.row for one in settled] == ["a"], "what is known is written before it is left"
    assert made.land(lambda _: False)

    assert [one.row for one in settled] == ["a", "b"]


class Slow(Scripted):
    """Keeps one message of the first batch until it is told to go on."""

    window = 4
    go = Event()

    def send(self, messages, expired):
        first, *others = messages
        for message in others:
            Scripted.sent.append(message)
            yield message.reference, OK
        if first.collapse_key == "1":
            while not self.go.wait(0.01):
                yield PULSE
        Scripted.sent.append(first)
        yield first.reference, OK


@pytest.fixture
def dispatcher(sessions, clock, client_id, monkeypatch) -> Iterator[tuple[Dispatcher, int]]:
    monkeypatch.setitem(PROVIDERS, "slow", "tests.communications.test_flight:Slow")
    Scripted.sent = []
    Slow.go = Event()
    with write(sessions) as session:
        account = add_account(
            session, clock, VAULT, client_id=client_id, name="slow", adapter="slow", config={}
        )
        account_id = account.id
    made = Dispatcher(
        sessions, clock,
        owner="here:1:1", references=References(SIGNER), urls=None, vault=VAULT,
        ports=Ports(http=None), content=ContentStore(None, None),
    )  # fmt: skip
    monkeypatch.setattr(Dispatcher, "_message", _message)
    yield made, account_id
    Slow.go.set()
    assert made.landed(10)
    made.close()


def _message(self, session, lane, row):
    return OutgoingMessage(
        reference=References(SIGNER).make(row.id, row.token), to=row.to_address, skeleton=None,
        values=(), collapse_key=str(row.id),
    )  # fmt: skip


def test_one_slow_answer_holds_nobody_else_up(dispatcher, make_rows, statuses) -> None:
    sender, account_id = dispatcher
    make_rows(12, content="Hello", provider_account_id=account_id)

    steps = [sender.step(account_id) for _ in range(3)]

    assert steps == [4, 4, 4]
    assert statuses() == [Status.SENDING] + [Status.SENT] * 11
    assert not sender.landed(0)
    Slow.go.set()
    assert sender.landed(10)
    assert statuses() == [Status.SENT] * 12
    assert len(Scripted.sent) == 12


def test_what_was_left_is_waited_for_although_the_account_changed(
    dispatcher, make_rows, sessions, clock
) -> None:
    sender, account_id = dispatcher
    make_rows(8, content="Hello", provider_account_id=account_id)
    sender.step(account_id)
    clock.advance(seconds=1)
    with write(sessions) as session:
        session.get_one(ProviderAccount, account_id).updated_at = clock.now()

    sender.step(account_id)

    assert not sender.landed(0)
    Slow.go.set()
    assert sender.landed(10)
