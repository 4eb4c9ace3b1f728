"""Mirrors communications/breaker.py, and how dispatch keeps a rest."""

from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import event

from channels.adapter import Ports
from channels.outcome import DEADLINE_PASSED, Accepted, Ambiguous, NotSent, Rejected
from channels.registry import PROVIDERS
from communications.account import ProviderAccount, add_account
from communications.breaker import FAILURES, PERIOD_SECONDS, REST_SECONDS, Breaker
from communications.content import ContentStore
from communications.dispatch import Dispatcher
from communications.reference import References
from communications.rest import rest_account, rested
from communications.status import Status
from communications.urls import Urls
from core.db import read, write
from core.secret import Vault
from core.token import Signer
from tests.communications.scripted import Scripted

SIGNER = Signer(b"s" * 32)
VAULT = Vault(b"v" * 32)
URLS = Urls("https://m.example", SIGNER)

DOWN = NotSent("the connection was refused")


def fed(breaker: Breaker, outcomes, at: float = 0.0):
    """Feed outcomes; return the rests they called for."""
    return [rest for outcome in outcomes if (rest := breaker.note(outcome, at)) is not None]


@pytest.fixture
def breaker() -> Breaker:
    breaker = Breaker(window=8)
    assert breaker.begin(0, rested=False) == 8
    return breaker


def test_ten_failures_open_it_and_nine_do_not(breaker) -> None:
    assert not fed(breaker, [DOWN] * (FAILURES - 1))

    (rest,) = fed(breaker, [Ambiguous("no answer in time")])

    assert (rest.seconds, rest.strike) == (REST_SECONDS, True)


def test_failures_far_apart_or_among_answers_do_not_open_it(breaker) -> None:
    assert not fed(breaker, [DOWN] * 9)
    assert not fed(breaker, [DOWN] * 9, at=PERIOD_SECONDS + 1)
    assert not fed(breaker, [DOWN, Accepted("id"), Accepted("id")] * 100, at=100.0)


def test_an_outage_is_noticed_at_once_however_much_went_well_before(breaker) -> None:
    assert not fed(breaker, [Accepted("id")] * 10_000)

    assert fed(breaker, [DOWN] * FAILURES)


def test_a_provider_that_refuses_is_not_down(breaker) -> None:
    assert not fed(breaker, [Rejected("400", "bad number")] * 100)
    assert not fed(breaker, [DEADLINE_PASSED] * 100)


def test_what_the_provider_asks_for_is_kept_without_a_strike(breaker) -> None:
    (rest,) = fed(breaker, [NotSent("HTTP 429", 7.0)])

    assert (rest.seconds, rest.strike) == (7.0, False)


@pytest.mark.parametrize("strikes", [0, 1], ids=["asked for", "an outage"])
def test_after_a_rest_it_doubles_while_it_is_answered(breaker, strikes) -> None:
    sizes, over = [breaker.begin(strikes, rested=True)], []
    for _ in range(4):
        over.append(breaker.end(answered=True))
        sizes.append(breaker.begin(strikes, rested=False))

    assert sizes == [1, 2, 4, 8, 8]
    assert over == [True, False, False, False]


def test_a_first_message_that_fails_opens_it_again_at_once(breaker) -> None:
    breaker.begin(1, rested=True)
    fed(breaker, [])

    assert fed(breaker, [DOWN])
    assert not breaker.end(answered=False)
    assert breaker.begin(2, rested=True) == 1


def test_a_worker_that_starts_during_an_outage_begins_with_one() -> None:
    assert Breaker(window=8).begin(3, rested=True) == 1


def test_a_rest_is_kept_by_all_and_the_longer_one_wins(sessions, clock, account_id) -> None:
    def rest(seconds: float, *, strike: bool) -> None:
        with write(sessions) as session:
            rest_account(
                session, clock, account_id=account_id, seconds=seconds, reason="down", strike=strike
            )

    def account() -> ProviderAccount:
        with read(sessions) as session:
            return session.get_one(ProviderAccount, account_id)

    rest(30, strike=True)
    rest(30, strike=True)
    rest(7, strike=False)
    assert account().rest_until == clock.now() + timedelta(seconds=30)
    assert account().strikes == 1, "several workers notice one outage"

    with write(sessions) as session:
        rested(session, clock, account_id=account_id)
    assert account().rest_until is not None, "it still runs"
    clock.advance(seconds=31)
    rest(30, strike=True)
    assert account().strikes == 2
    clock.advance(seconds=31)
    with write(sessions) as session:
        rested(session, clock, account_id=account_id)
    assert account().rest_until is None


def test_a_rest_is_not_over_before_an_answer(breaker) -> None:
    breaker.begin(0, rested=True)

    assert not breaker.end(answered=False)
    assert breaker.begin(0, rested=True) == 1
    assert breaker.end(answered=True)


class Together(Scripted):
    """Answers a whole batch at once, as SendGrid does."""

    def send(self, messages, expired):
        outcome = type(self).script(messages[0])
        for message in messages:
            yield message.reference, outcome


class TestDispatch:
    """How lanes keep a rest, with an adapter that answers as told."""

    @pytest.fixture(autouse=True)
    def scripted(self, monkeypatch):
        monkeypatch.setitem(PROVIDERS, "scripted", "tests.communications.scripted:Scripted")
        Scripted.sent = []
        yield
        Scripted.script = lambda _: Accepted("id")

    @pytest.fixture
    def account_id(self, sessions, clock, client_id) -> int:
        with write(sessions) as session:
            return add_account(
                session, clock, VAULT,
                client_id=client_id, name="scripted", adapter="scripted", config={}, window=8,
            ).id  # fmt: skip

    @pytest.fixture
    def worker(self, sessions, clock):
        numbers = count(1)

        def make() -> Dispatcher:
            return Dispatcher(
                sessions, clock,
                owner=f"here:{next(numbers)}:1", references=References(SIGNER), urls=URLS,
                vault=VAULT, ports=Ports(http=None), content=ContentStore(None, URLS),
            )  # fmt: skip

        return make

    def test_after_a_429_nobody_sends_before_its_time(
        self, worker, make_rows, account_id, clock, statuses
    ) -> None:
        make_rows(20, content="Hello")
        one, other = worker(), worker()
        Scripted.script = lambda _: NotSent("HTTP 429", 7.0)

        one.step(account_id)
        assert len(Scripted.sent) == 1, "the rest of the batch stays"
        clock.advance(seconds=6.9)
        assert one.step(account_id) == other.step(account_id) == 0

        Scripted.script = lambda _: Accepted("id")
        clock.advance(seconds=0.2)
        assert other.step(account_id) == 1, "it begins with one"
        clock.advance(minutes=2)
        while one.step(account_id) or other.step(account_id):
            pass
        assert statuses() == [Status.SENT] * 20

    def test_after_a_rest_everybody_begins_with_one_and_it_is_forgotten(
        self, worker, make_rows, account_id, clock, sessions
    ) -> None:
        make_rows(60, content="Hello")
        one, other = worker(), worker()
        other.step(account_id)
        Scripted.script = lambda _: NotSent("HTTP 429", 7.0)
        one.step(account_id)
        assert other.step(account_id) == 0
        Scripted.script = lambda _: Accepted("id")
        clock.advance(seconds=8)

        sizes = [lanes.step(account_id) for lanes in (one, other, one, other, one)]

        assert sizes == [1, 1, 2, 2, 4]
        with read(sessions) as session:
            account = session.get_one(ProviderAccount, account_id)
            assert (account.rest_until, account.rest_reason) == (None, None)

    def test_one_answer_about_many_messages_is_one_rest(
        self, worker, make_rows, account_id, sessions, monkeypatch
    ) -> None:
        monkeypatch.setitem(PROVIDERS, "scripted", "tests.communications.test_breaker:Together")
        monkeypatch.setattr(Together, "script", lambda _: NotSent("HTTP 429", 7.0))
        make_rows(8, content="Hello")
        written: list[str] = []

        def note(connection, cursor, statement, *rest) -> None:
            written.append(statement)

        event.listen(sessions.kw["bind"], "before_cursor_execute", note)
        worker().step(account_id)
        event.remove(sessions.kw["bind"], "before_cursor_execute", note)

        assert sum(one.startswith("UPDATE providers") for one in written) == 1

    def test_an_outage_ends_without_a_wave(self, worker, make_rows, account_id, clock) -> None:
        make_rows(100, content="Hello")
        lanes = worker()
        Scripted.script = lambda _: NotSent("the connection was refused")
        while lanes.step(account_id):
            pass
        down = len(Scripted.sent)
        clock.advance(seconds=REST_SECONDS + 1)
        assert lanes.step(account_id) == 1
        assert len(Scripted.sent) == down + 1, "still down: one message asked"
        assert lanes.step(account_id) == 0

        Scripted.script = lambda _: Accepted("id")
        clock.advance(minutes=5)
        sizes = [lanes.step(account_id) for _ in range(6)]

        assert down < 30, "an outage is noticed"
        assert sizes == [1, 2, 4, 8, 8, 8]

    def test_refused_credentials_are_asked_once(
        self, worker, make_rows, account_id, statuses
    ) -> None:
        make_rows(8, content="Hello")
        Scripted.script = lambda _: Rejected("401", "no", account_fault=True)

        worker().step(account_id)

        assert len(Scripted.sent) == 1
        assert statuses() == [Status.QUEUED] * 8
