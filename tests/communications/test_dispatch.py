"""Mirrors communications/dispatch.py."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import InterfaceError

from channels.adapter import Ports
from channels.channel import Channel
from channels.outcome import Accepted, NotSent, Rejected
from channels.registry import PROVIDERS
from communications import dispatch as module
from communications.account import (
    AccountStatus,
    ProviderAccount,
    add_account,
    change_account,
    resume_account,
    seal,
)
from communications.communication import Communication, MessageType, Reason
from communications.content import ContentStore, VersionContent
from communications.dispatch import Dispatcher
from communications.ledger import hold_run
from communications.reaper import reap
from communications.reference import References
from communications.status import Status
from communications.urls import Urls
from core.db import write
from core.http import Egress
from core.secret import Vault
from core.token import Signer
from members.suppression import Suppression
from tests.channels.simulated import simulating
from tests.communications.scripted import Scripted
from tests.conftest import NOON

SIGNER = Signer(b"s" * 32)
REFERENCES = References(SIGNER)
URLS = Urls("https://m.example", SIGNER)
VAULT = Vault(b"v" * 32)
CONTENT = VersionContent(
    client_id=1,
    channel=Channel.EMAIL,
    subject="Hello {{ member.first_name }}",
    html='<p>Hi {{ member.first_name }} <a href="{{ unsubscribe_url }}">stop</a></p>',
    text="Hi {{ member.first_name }} {{ unsubscribe_url }}",
)
BROKEN = 13


def load(session, version_id: int) -> VersionContent:
    del session
    if version_id == BROKEN:
        return VersionContent(1, Channel.EMAIL, "{{ 'a' | ", "<p></p>", "x")
    return CONTENT


@pytest.fixture(autouse=True)
def scripted(monkeypatch) -> Iterator[None]:
    monkeypatch.setitem(PROVIDERS, "scripted", "tests.communications.scripted:Scripted")
    Scripted.sent, Scripted.opened = [], 0
    Scripted.script = lambda _: Accepted("id")
    yield
    Scripted.script = lambda _: Accepted("id")


@pytest.fixture
def account_id(sessions, clock, client_id) -> int:
    with write(sessions) as session:
        account = add_account(
            session,
            clock,
            VAULT,
            client_id=client_id,
            name="scripted",
            adapter="scripted",
            config={"key": "secret"},
        )
        return account.id


@pytest.fixture
def dispatcher(sessions, clock) -> Dispatcher:
    return Dispatcher(
        sessions,
        clock,
        owner="here:1:1",
        references=REFERENCES,
        urls=URLS,
        vault=VAULT,
        ports=Ports(http=None),
        content=ContentStore(load, URLS),
    )


def drain(dispatcher: Dispatcher, account_id: int) -> int:
    total = 0
    while taken := dispatcher.step(account_id):
        total += taken
    return total


def test_everything_due_is_sent_once_and_settled(
    dispatcher, account_id, make_rows, statuses
) -> None:
    make_rows(8, template_version_id=1, merge={"first_name": "Ana"})

    assert drain(dispatcher, account_id) == 8

    assert statuses() == [Status.SENT] * 8
    assert len({message.reference for message in Scripted.sent}) == 8


def test_a_message_says_what_its_row_says(dispatcher, account_id, make_rows) -> None:
    (sent,) = make_rows(1, template_version_id=1, merge={"first_name": "Ana"})

    dispatcher.step(account_id)

    (message,) = Scripted.sent
    faces = message.skeleton.fill(message.values)
    assert faces["subject"] == "Hello Ana"
    assert URLS.unsubscribe(sent) in faces["html"]
    assert REFERENCES.read(message.reference) == (sent, 1)
    assert message.to == "m0@example.com"
    assert message.headers == ()


def test_a_single_text_needs_no_template(dispatcher, account_id, make_rows) -> None:
    make_rows(1, subject="Receipt", content="Thank you {{ literally }}")

    dispatcher.step(account_id)

    (message,) = Scripted.sent
    assert message.skeleton.fill(message.values) == {
        "subject": "Receipt",
        "text": "Thank you {{ literally }}",
    }


def test_marketing_email_carries_one_click_unsubscribe(dispatcher, account_id, make_rows) -> None:
    (sent,) = make_rows(1, template_version_id=1, message_type=MessageType.MARKETING)

    dispatcher.step(account_id)

    (message,) = Scripted.sent
    assert dict(message.headers) == {
        "List-Unsubscribe": f"<{URLS.unsubscribe(sent)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def test_the_intent_is_durable_before_the_first_byte(
    dispatcher, account_id, make_rows, statuses
) -> None:
    make_rows(3, template_version_id=1)
    seen: list[list[Status]] = []
    Scripted.script = lambda _: seen.append(statuses()) or Accepted(None)

    dispatcher.step(account_id)

    assert seen[0] == [Status.SENDING] * 3


def test_a_bug_in_the_adapter_makes_the_rest_unknown_and_is_never_a_second_send(
    dispatcher, account_id, make_rows, statuses, clock
) -> None:
    make_rows(3, template_version_id=1)
    answers = iter([Accepted("a"), RuntimeError("bug")])
    Scripted.script = lambda _: next(answers)

    drain(dispatcher, account_id)
    clock.advance(days=1)
    drain(dispatcher, account_id)

    assert statuses() == [Status.SENT, Status.UNKNOWN, Status.UNKNOWN]
    assert len(Scripted.sent) == 2


def test_a_message_the_adapter_forgets_is_unknown(
    dispatcher, account_id, make_rows, statuses
) -> None:
    make_rows(2, template_version_id=1)
    answers = iter([None, Accepted("b")])
    Scripted.script = lambda _: next(answers)

    drain(dispatcher, account_id)

    assert statuses() == [Status.UNKNOWN, Status.SENT]


def test_after_the_deadline_nothing_is_written_and_the_rows_wait(
    dispatcher, account_id, make_rows, statuses, monkeypatch
) -> None:
    make_rows(2, template_version_id=1)
    prepared = [0.0] * 3  # the claim, the intent, the first byte
    times = itertools.chain(prepared, itertools.repeat(1000.0))
    monkeypatch.setattr(module, "ticking", lambda: next(times))

    dispatcher.step(account_id)

    assert Scripted.sent == []
    assert statuses() == [Status.QUEUED] * 2


def test_a_message_that_does_not_render_harms_no_other(
    dispatcher, account_id, make_rows, statuses, row
) -> None:
    (broken,) = make_rows(1, template_version_id=BROKEN)
    make_rows(2, template_version_id=1)

    drain(dispatcher, account_id)

    assert statuses() == [Status.SKIPPED, Status.SENT, Status.SENT]
    assert row(broken).reason is Reason.RENDER_FAILED


def test_a_run_paused_between_claim_and_intent_sends_nothing(
    dispatcher, account_id, make_rows, statuses, sessions, monkeypatch
) -> None:
    make_rows(2, template_version_id=1, run_id=5, address_hash=None)
    headers = Dispatcher._headers

    def pause_while_rendering(self, row):
        with write(sessions) as session:
            hold_run(session, 5)
        return headers(self, row)

    monkeypatch.setattr(Dispatcher, "_headers", pause_while_rendering)

    dispatcher.step(account_id)

    assert Scripted.sent == []
    assert statuses() == [Status.QUEUED] * 2


def test_an_account_that_must_rest_meanwhile_sends_nothing(
    dispatcher, account_id, make_rows, statuses, sessions, monkeypatch
) -> None:
    make_rows(2, template_version_id=1)
    render = Dispatcher._message

    def rest_while_rendering(self, *given):
        with write(sessions) as session:
            account = session.get_one(ProviderAccount, account_id)
            account.rest_until = NOON + timedelta(seconds=7)
        return render(self, *given)

    monkeypatch.setattr(Dispatcher, "_message", rest_while_rendering)

    dispatcher.step(account_id)

    assert Scripted.sent == []
    assert statuses() == [Status.QUEUED] * 2


def test_an_account_the_provider_refuses_is_paused_and_its_rows_wait(
    dispatcher, account_id, make_rows, statuses, sessions
) -> None:
    make_rows(5, template_version_id=1)
    Scripted.script = lambda _: Rejected("401", "bad key", account_fault=True)

    drain(dispatcher, account_id)

    assert statuses() == [Status.QUEUED] * 5
    assert len(Scripted.sent) == 1, "one answer speaks for the account"
    with sessions() as session:
        account = session.get_one(ProviderAccount, account_id)
        assert account.status is AccountStatus.PAUSED
        assert account.status_reason == "401: bad key"


def test_a_refusal_of_settings_that_were_mended_meanwhile_pauses_nothing(
    dispatcher, account_id, make_rows, statuses, sessions, clock
) -> None:
    make_rows(1, template_version_id=1)

    def mend(_) -> Rejected:
        clock.advance(seconds=1)
        with write(sessions) as session:
            session.get_one(ProviderAccount, account_id).updated_at = clock.now()
        return Rejected("401", "bad key", account_fault=True)

    Scripted.script = mend

    assert dispatcher.step(account_id) == 1

    assert statuses() == [Status.QUEUED]
    with sessions() as session:
        assert session.get_one(ProviderAccount, account_id).status is AccountStatus.ACTIVE


def test_an_account_whose_settings_do_not_open_is_paused_with_the_reason(
    dispatcher, account_id, make_rows, statuses, sessions
) -> None:
    make_rows(2, template_version_id=1)
    with write(sessions) as session:
        session.get_one(ProviderAccount, account_id).config = b"sealed with another key"

    assert dispatcher.step(account_id) == 0

    assert statuses() == [Status.QUEUED] * 2
    with sessions() as session:
        account = session.get_one(ProviderAccount, account_id)
        assert account.status is AccountStatus.PAUSED
        assert "settings" in str(account.status_reason)


def test_a_paused_account_sends_nothing(dispatcher, account_id, make_rows, sessions) -> None:
    make_rows(1, template_version_id=1)
    with write(sessions) as session:
        session.execute(update(ProviderAccount).values(status=AccountStatus.PAUSED))

    assert dispatcher.step(account_id) == 0


def test_the_adapter_is_built_once_and_anew_when_the_account_changes(
    dispatcher, account_id, make_rows, sessions, clock
) -> None:
    make_rows(6, template_version_id=1)
    built = Scripted.opened
    drain(dispatcher, account_id)
    assert Scripted.opened == built + 1

    clock.advance(seconds=1)
    with write(sessions) as session:
        account = session.get_one(ProviderAccount, account_id)
        account.config = seal(VAULT, account.token, {"key": "new"})
        account.updated_at = clock.now()
    dispatcher.step(account_id)

    assert Scripted.opened == built + 2


def test_settings_changed_while_a_window_is_on_the_wire_are_for_the_next(
    dispatcher, account_id, make_rows, statuses, sessions, clock, client_id, monkeypatch
) -> None:
    make_rows(6, template_version_id=1)
    read: list[str] = []
    opened = Scripted.from_config.__func__
    monkeypatch.setattr(
        Scripted,
        "from_config",
        classmethod(
            lambda cls, config, ports: read.append(config["key"]) or opened(cls, {}, ports)
        ),
    )

    def change(_) -> Accepted:
        if len(Scripted.sent) == 2:
            clock.advance(seconds=1)
            with write(sessions) as session:
                change_account(
                    session, clock, VAULT, client_id=client_id, account_id=account_id,
                    config={"key": "new"},
                )  # fmt: skip
        return Accepted("id")

    Scripted.script = change

    drain(dispatcher, account_id)

    assert statuses() == [Status.SENT] * 6
    assert read == ["secret", "new", "new"], "the lane, the change's own look, the next lane"
    assert len({message.reference for message in Scripted.sent}) == 6


def test_a_key_the_provider_revoked_is_replaced_and_nothing_is_lost_or_sent_twice(
    sessions, clock, client_id, make_rows, statuses, tmp_path
) -> None:
    """With SendGrid's own wire format: the simulator refuses a key that is not its account's."""
    with (
        simulating(tmp_path / "log") as simulators,
        contextlib.closing(Egress(allow_private=True)) as http,
    ):
        good = simulators.config["sendgrid"]
        with write(sessions) as session:
            added = add_account(
                session, clock, VAULT, client_id=client_id, name="sg", adapter="sendgrid",
                config={**good, "api_key": "SG.revoked"},
            )  # fmt: skip
            account_id = added.id
        make_rows(5, template_version_id=1, provider_account_id=account_id)
        dispatcher = Dispatcher(
            sessions, clock, owner="here:1:1", references=REFERENCES, urls=URLS, vault=VAULT,
            ports=Ports(http=http), content=ContentStore(load, URLS),
        )  # fmt: skip
        drain(dispatcher, account_id)
        assert statuses() == [Status.QUEUED] * 5

        clock.advance(seconds=1)
        with write(sessions) as session:
            change_account(
                session, clock, VAULT, client_id=client_id, account_id=account_id,
                config={"api_key": good["api_key"]},
            )  # fmt: skip
            assert resume_account(session, clock, account_id=account_id)
        drain(dispatcher, account_id)

        assert statuses() == [Status.SENT] * 5
        assert len(simulators.accepts("sendgrid")) == 5


def test_stopping_takes_up_nothing_new(dispatcher, account_id, make_rows) -> None:
    make_rows(1, template_version_id=1)
    dispatcher.stop()

    assert dispatcher.step(account_id) == 0


@pytest.mark.parametrize("crash_after", range(8))
def test_a_crash_at_any_commit_repeats_nothing_and_loses_nothing(
    crash_after, dispatcher, account_id, make_rows, sessions, clock, statuses, monkeypatch
) -> None:
    """Every transaction of the loop is cut once; the next worker goes on from the database."""
    make_rows(6, template_version_id=1)
    real, calls = module.write, iter(range(10_000))

    class PowerCutError(BaseException):
        pass

    def cut(target):
        if next(calls) == crash_after:
            raise PowerCutError
        return real(target)

    monkeypatch.setattr(module, "write", cut)
    with contextlib.suppress(PowerCutError):
        drain(dispatcher, account_id)
    monkeypatch.setattr(module, "write", real)
    clock.advance(seconds=121)
    with write(sessions) as session:
        reap(session, clock)
    drain(dispatcher, account_id)

    sent = [message.to + str(REFERENCES.read(message.reference)[0]) for message in Scripted.sent]
    assert len(sent) == len(set(sent))
    assert set(statuses()) <= {Status.SENT, Status.UNKNOWN}
    unknown = sum(status is Status.UNKNOWN for status in statuses())
    assert unknown <= Scripted.window


@pytest.fixture
def away(monkeypatch) -> Callable[[float], None]:
    """Let the database be away for so many seconds; whoever waits for it waits in no time."""
    now = [module.ticking()]
    real = module.write
    back = [0.0]

    @contextlib.contextmanager
    def write_if_there(target):
        if now[0] < back[0]:
            raise InterfaceError("UPDATE", None, Exception("connection already closed"))
        with real(target) as session:
            yield session

    monkeypatch.setattr(module, "ticking", lambda: now[0])
    monkeypatch.setattr(module, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(module, "write", write_if_there)
    return lambda seconds: back.__setitem__(0, now[0] + seconds)


def test_what_the_provider_said_outlasts_an_outage_as_long_as_the_lease(
    dispatcher, account_id, make_rows, statuses, away
) -> None:
    make_rows(1, template_version_id=1)

    def leave(_) -> Accepted:
        away(100)
        return Accepted("id")

    Scripted.script = leave

    assert dispatcher.step(account_id) == 1
    assert statuses() == [Status.SENT]


def test_an_outage_longer_than_the_lease_is_given_up(
    dispatcher, account_id, make_rows, statuses, away
) -> None:
    make_rows(1, template_version_id=1)

    def leave(_) -> Accepted:
        away(200)
        return Accepted("id")

    Scripted.script = leave

    with pytest.raises(InterfaceError):
        dispatcher.step(account_id)
    assert statuses() == [Status.SENDING]


def test_an_outage_before_the_intent_is_no_crash(
    dispatcher, account_id, make_rows, row, away, monkeypatch
) -> None:
    (only,) = make_rows(1, template_version_id=1)
    render = Dispatcher._message

    def leave_while_rendering(self, *given):
        away(30)
        return render(self, *given)

    monkeypatch.setattr(Dispatcher, "_message", leave_while_rendering)

    with pytest.raises(InterfaceError):
        dispatcher.step(account_id)

    found = row(only)
    assert (found.status, found.owner, found.lease_until) == (Status.QUEUED, None, None)
    assert (found.tries, found.crashes) == (0, 0)
    assert Scripted.sent == []


def test_what_was_not_sent_goes_again_with_a_new_reference(
    dispatcher, account_id, make_rows, clock, statuses
) -> None:
    (only,) = make_rows(1, template_version_id=1)
    answers: Callable = iter([NotSent("refused"), Accepted("x")]).__next__
    Scripted.script = lambda _: answers()

    drain(dispatcher, account_id)
    clock.advance(minutes=1)
    drain(dispatcher, account_id)

    tokens = [REFERENCES.read(message.reference) for message in Scripted.sent]
    assert tokens == [(only, 1), (only, 2)]
    assert statuses() == [Status.SENT]


def test_a_row_without_its_account_is_never_touched(dispatcher, make_rows) -> None:
    make_rows(1, template_version_id=1)

    assert dispatcher.step(999) == 0


def test_communications_of_other_accounts_stay(dispatcher, account_id, make_rows, sessions) -> None:
    (mine,) = make_rows(1, template_version_id=1)
    (other,) = make_rows(1, template_version_id=1, provider_account_id=account_id + 1)

    drain(dispatcher, account_id)

    with sessions() as session:
        assert session.get_one(Communication, mine).status is Status.SENT
        assert session.get_one(Communication, other).status is Status.QUEUED


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Rejected("550 5.1.1", "no such user", address_invalid=True), "invalid"),
        (Rejected("21610", "opted out", opted_out=True), "unsubscribed"),
    ],
)
def test_a_refusal_of_the_address_itself_stops_what_is_still_queued_to_it(
    refusal, reason, dispatcher, account_id, make_rows, sessions, row
) -> None:
    make_rows(1, template_version_id=1, message_type=MessageType.MARKETING)
    (later,) = make_rows(
        1, template_version_id=1, message_type=MessageType.MARKETING, priority=3, held="paused"
    )
    Scripted.script = lambda _: refusal

    drain(dispatcher, account_id)

    assert row(later).reason is Reason.SUPPRESSED
    with sessions() as session:
        assert session.scalars(select(Suppression.reason)).one().value == reason
