"""Mirrors echelonx/mailer.py, against a mail server on this machine."""

from email import message_from_bytes
from email.policy import default
from threading import Event

import pytest

from accounts.mailer import Letter, letter_of
from core.clock import ManualClock
from echelonx.mailer import SmtpMailer
from tests.channels.loopback import SmtpServer, running
from tests.conftest import NOON

LINK = "https://mail.example.com/account/reset?token=abc"


def test_a_letter_is_handed_over_whole() -> None:
    with running(SmtpServer()) as server:
        mailer = SmtpMailer(
            f"smtp://127.0.0.1:{server.port}", "shop@example.com", ManualClock(NOON)
        )
        mailer.send(letter_of("reset", to="ana@example.com", link=LINK))
        mailer.close()
        (sent,) = server.messages

    letter = message_from_bytes(sent, policy=default)
    assert (letter["From"], letter["To"]) == ("shop@example.com", "ana@example.com")
    assert letter["Date"] == "Sat, 21 Nov 2026 12:00:00 -0000"
    assert LINK in letter.get_body().get_content().splitlines()  # type: ignore[union-attr]


def test_a_server_that_is_away_stops_nobody() -> None:
    with running(SmtpServer()) as server:
        port = server.port
    mailer = SmtpMailer(f"smtp://127.0.0.1:{port}", "shop@example.com", ManualClock(NOON))

    mailer.send(letter_of("verify", to="ana@example.com", link=LINK))
    mailer.close()


def test_what_a_client_calls_itself_writes_no_header() -> None:
    """B023."""
    letter = letter_of("invitation", to="a@b.de", link=LINK, client="A\r\nBcc: x@y.de", who="B\nC")

    assert letter.subject == "You are invited to A Bcc x y de"
    assert letter.text.startswith("You are invited by B C to work for A Bcc")
    unnamed = letter_of("invitation", to="a@b.de", link=LINK, client="A")
    assert unnamed.text.startswith("You are invited to work for A in")


def test_what_a_client_calls_itself_is_no_link() -> None:
    name = "Win at https://evil.example/x or www.evil.example, Co. KG"
    letter = letter_of("invitation", to="a@b.de", link=LINK, client=name, who="evil.example")

    assert (
        letter.subject
        == "You are invited to Win at https evil example x or www evil example, Co. KG"
    )
    assert "evil.example" not in letter.text


def test_letters_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echelonx.mailer.MAX_WAITING", 2)
    held, sent = Event(), list[Letter]()

    def slow(self: SmtpMailer, letter: Letter) -> None:
        held.wait(30)
        sent.append(letter)

    monkeypatch.setattr(SmtpMailer, "_deliver", slow)
    mailer = SmtpMailer("smtp://127.0.0.1:1", "shop@example.com", ManualClock(NOON))
    for _ in range(5):
        mailer.send(letter_of("verify", to="ana@example.com", link=LINK))
    held.set()
    mailer.close()

    assert len(sent) == 2
