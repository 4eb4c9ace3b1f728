"""Mirrors channels/providers/smtp.py."""

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from channels.channel import Channel
from channels.outcome import Accepted, Ambiguous, NotSent, Outcome, Rejected
from channels.settings import ConfigError
from tests.channels.conformance import SenderConformance, messages, never
from tests.channels.loopback import SmtpServer, running

PLAIN = ()
PIPELINING = ("PIPELINING", "8BITMIME")
both = pytest.mark.parametrize("extensions", [PLAIN, PIPELINING], ids=["one by one", "pipelined"])


class TestSending(SenderConformance):
    provider: ClassVar[str] = "smtp"

    def server(self) -> SmtpServer:
        return SmtpServer()

    def config(self, server: SmtpServer) -> dict[str, Any]:
        return {
            "host": "127.0.0.1",
            "port": server.port,
            "tls": "none",
            "from_email": "shop@example.com",
            "from_name": "Café Ünïcode",
            "reply_to": "desk@example.com",
        }

    def arrived(self, server: SmtpServer) -> int:
        return len(server.messages)

    def after(self, extensions: tuple[str, ...], **replies: bytes | None) -> Outcome:
        """Return the outcome when the server gives these replies for ever."""
        server = SmtpServer(extensions=extensions)
        for verb, reply in replies.items():
            server.replies["." if verb == "DOT" else verb] = [reply] * 9
        with running(server):
            return self.outcome(server)

    def test_what_arrives_is_the_message(self) -> None:
        headers = (
            ("List-Unsubscribe", "<https://example.com/u/abc>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        )
        [message] = messages(Channel.EMAIL)
        with running(self.server()) as server:
            adapter = self.build(server)
            found = list(adapter.send([replace(message, headers=headers)], never))
            adapter.close()
            commands, [raw] = server.commands, server.messages

        assert found == [("ref0", Accepted("4XyZ", "250"))]
        assert commands[:4] == [
            "ehlo example.com",
            "MAIL FROM:<shop@example.com>",
            "RCPT TO:<m0@example.com>",
            "DATA",
        ]
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        assert mail["From"] == "Café Ünïcode <shop@example.com>"
        assert mail["To"] == "m0@example.com"
        assert mail["Reply-To"] == "desk@example.com"
        assert mail["Subject"] == "Hello Ana0"
        assert mail["Message-ID"] == "<ref0@example.com>"
        assert mail["List-Unsubscribe"] == "<https://example.com/u/abc>"
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert mail["Date"].datetime == datetime(2026, 11, 21, 12, tzinfo=UTC)
        assert [part.get_content_type() for part in mail.iter_parts()] == [
            "text/plain",
            "text/html",
        ]
        texts = [part.get_content().replace("\r\n", "\n") for part in mail.iter_parts()]
        assert texts == ["Hi Ana0\n", "<p>Hi Ana0</p>"]
        assert mail.defects == []

    @both
    @pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
    @pytest.mark.parametrize("reply", [b"421 4.3.2 bye\r\n", b"451 4.7.1 later\r\n"])
    def test_a_4yz_is_safe_to_try_again(
        self, extensions: tuple[str, ...], verb: str, reply: bytes
    ) -> None:
        assert isinstance(self.after(extensions, **{verb: reply}), NotSent)

    @both
    @pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
    def test_a_5yz_is_a_refusal(self, extensions: tuple[str, ...], verb: str) -> None:
        found = self.after(extensions, **{verb: b"554-5.7.1 no\r\n554 5.7.1 never\r\n"})
        assert isinstance(found, Rejected)
        assert found.code == "5.7.1"
        assert not found.address_invalid
        assert found.account_fault is (verb == "MAIL")

    @both
    @pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
    @pytest.mark.parametrize("reply", [b"", b"what?\r\n", b"999 odd\r\n"])
    def test_a_line_that_breaks_before_the_dot_is_safe_to_try_again(
        self, extensions: tuple[str, ...], verb: str, reply: bytes
    ) -> None:
        assert isinstance(self.after(extensions, **{verb: reply}), NotSent)

    @both
    @pytest.mark.parametrize("reply", [b"", b"what?\r\n", b"999 odd\r\n", b"354 more\r\n"])
    def test_a_line_that_breaks_after_the_dot_is_ambiguous(
        self, extensions: tuple[str, ...], reply: bytes
    ) -> None:
        assert isinstance(self.after(extensions, DOT=reply), Ambiguous)

    @both
    def test_silence_after_the_dot_is_ambiguous(self, extensions: tuple[str, ...]) -> None:
        self.patience = 1.0
        assert isinstance(self.after(extensions, DOT=None), Ambiguous)

    @pytest.mark.parametrize(
        "greeting", [b"554 no\r\n", b"421 later\r\n", b"what?\r\n", b"220 hi\r\nEHLO?\r\n"]
    )
    def test_a_server_that_does_not_greet_is_safe_to_try_again(self, greeting: bytes) -> None:
        server = self.server()
        server.greeting = greeting
        with running(server):
            assert isinstance(self.outcome(server), NotSent)

    @pytest.mark.parametrize(
        ("text", "dead"),
        [
            ("550 5.1.1 no such user", True),
            ("550 5.1.2 no such host", True),
            ("553 5.1.3 bad address", True),
            ("550 5.1.6 moved", True),
            ("550 5.1.10 null MX", True),
            ("550 5.4.4 host unknown", True),
            ("550 5.2.1 mailbox disabled", True),
            ("550 5.2.1 slow down", False),
            ("552 5.2.2 mailbox full", False),
            ("550 5.7.1 blocked", False),
            ("550 no enhanced code", False),
        ],
    )
    def test_only_a_dead_address_is_called_dead(self, text: str, dead: bool) -> None:
        found = self.after(PIPELINING, RCPT=text.encode() + b"\r\n")
        assert isinstance(found, Rejected)
        assert found.address_invalid is dead

    def test_one_refused_recipient_does_not_spoil_the_next_message(self) -> None:
        for refusal in (b"354 Go on\r\n", b"503 5.5.1 no recipients\r\n"):
            server = self.server()
            server.replies = {"RCPT": [b"550 5.1.1 unknown\r\n"], "DATA": [refusal]}
            with running(server):
                adapter = self.build(server, connections=1)
                found = [outcome for _, outcome in adapter.send(messages(Channel.EMAIL, 3), never)]
                adapter.close()
                assert len(server.messages) == 2
            assert [type(outcome) for outcome in found] == [Rejected, Accepted, Accepted]

    def test_a_server_that_ends_the_session_is_asked_again_at_once(self) -> None:
        server = self.server()
        server.replies["MAIL"] = [SmtpServer.GOOD["MAIL"], b"421 too many messages\r\n"]
        with running(server):
            adapter = self.build(server, connections=1)
            found = [outcome for _, outcome in adapter.send(messages(Channel.EMAIL, 3), never)]
            adapter.close()
            assert len(server.messages) == 3
            assert server.connections == 2
        assert all(isinstance(outcome, Accepted) for outcome in found)

    def test_an_envelope_that_went_ahead_is_given_up_at_the_deadline(self) -> None:
        with running(self.server()) as server:
            adapter = self.build(server, connections=1)
            asked = iter([False, True])
            found = dict(adapter.send(messages(Channel.EMAIL, 3), lambda: next(asked, True)))
            after = dict(adapter.send(messages(Channel.EMAIL, 1), never))
            adapter.close()
            assert len(server.messages) == 2
        assert [type(found[f"ref{n}"]) for n in range(3)] == [Accepted, NotSent, NotSent]
        assert isinstance(after["ref0"], Accepted)

    @both
    def test_a_break_after_the_dot_spoils_one_message_only(
        self, extensions: tuple[str, ...]
    ) -> None:
        server = SmtpServer(extensions=extensions)
        server.replies["."] = [b""]
        with running(server):
            adapter = self.build(server, connections=1)
            found = [outcome for _, outcome in adapter.send(messages(Channel.EMAIL, 3), never)]
            adapter.close()
        assert [type(outcome) for outcome in found] == [Ambiguous, Accepted, Accepted]

    def test_connections_are_kept_between_batches(self) -> None:
        with running(self.server()) as server:
            adapter = self.build(server, connections=2)
            for _ in range(5):
                assert len(list(adapter.send(messages(Channel.EMAIL, 20), never))) == 20
            adapter.close()
            assert server.connections <= 2

    def test_an_idle_connection_is_not_trusted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("channels.transaction.IDLE_SECONDS", -1.0)
        with running(self.server()) as server:
            adapter = self.build(server)
            for _ in range(3):
                list(adapter.send(messages(Channel.EMAIL, 1), never))
            adapter.close()
            assert server.connections == 3

    def test_when_nothing_can_be_sent_every_message_may_be_tried_again(self) -> None:
        server = self.server()
        server.close()
        adapter = self.build(server)
        found = dict(adapter.send(messages(Channel.EMAIL, 50), never))
        adapter.close()
        assert len(found) == 50
        assert all(isinstance(outcome, NotSent) for outcome in found.values())

    def test_a_refused_login_is_the_accounts_fault(self) -> None:
        server = SmtpServer(extensions=("AUTH PLAIN",))
        server.replies["AUTH"] = [b"535 5.7.8 no\r\n"]
        with running(server):
            found = self.outcome(server, username="u", password="p")
        assert found == Rejected("535", "the server refused the login", account_fault=True)

    def test_a_login_that_cannot_be_checked_is_safe_to_try_again(self) -> None:
        server = SmtpServer(extensions=("AUTH PLAIN",))
        server.replies["AUTH"] = [b"454 4.7.0 later\r\n"]
        with running(server):
            assert isinstance(self.outcome(server, username="u", password="p"), NotSent)

    def test_a_server_without_starttls_is_not_spoken_to_in_clear(self) -> None:
        with running(self.server()) as server:
            found = self.outcome(server, tls="starttls")
            assert server.messages == []
        assert isinstance(found, Rejected)
        assert found.account_fault

    def test_a_failed_tls_handshake_is_safe_to_try_again(self) -> None:
        with running(self.server()) as server:
            assert isinstance(self.outcome(server, tls="tls"), NotSent)

    @pytest.mark.parametrize(
        "to",
        [
            "a@b.example>\r\nRCPT TO:<c@d.example",
            "a b@c.example",
            "<a@b.example>",
            "a",
            "a@b@c",
            "",
        ],
    )
    def test_an_address_cannot_carry_a_command(self, to: str) -> None:
        [message] = messages(Channel.EMAIL)
        with running(self.server()) as server:
            adapter = self.build(server)
            found = dict(adapter.send([replace(message, to=to)], never))
            adapter.close()
            assert server.messages == []
        assert isinstance(found["ref0"], Rejected)

    @pytest.mark.parametrize(
        ("extensions", "kind"), [((), Rejected), (("SMTPUTF8", "PIPELINING"), Accepted)]
    )
    def test_an_address_outside_of_ascii_needs_smtputf8(
        self, extensions: tuple[str, ...], kind: type[Outcome]
    ) -> None:
        [message] = messages(Channel.EMAIL)
        server = SmtpServer(extensions=extensions)
        with running(server):
            adapter = self.build(server)
            found = dict(adapter.send([replace(message, to="jörg@example.com")], never))
            adapter.close()
        assert isinstance(found["ref0"], kind)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("tls", "maybe"),
            ("port", 70_000),
            ("port", True),
            ("connections", 0),
            ("from_email", "shop"),
            ("from_email", "shop@example.com\r\nBcc: x@y.example"),
            ("reply_to", "desk@"),
            ("message_id_domain", "a b"),
        ],
    )
    def test_a_setting_that_cannot_be_is_named(self, field: str, value: Any) -> None:
        with running(self.server()) as server, pytest.raises(ConfigError) as caught:
            self.build(server, **{field: value})
        assert caught.value.field == field

    def test_a_password_does_not_travel_in_clear(self) -> None:
        with running(self.server()) as server, pytest.raises(ConfigError) as caught:
            self.build(server, host="relay.example.com", username="u", password="p")
        assert caught.value.field == "tls"
