"""What every provider must do. A provider's test inherits these and adds its own wire facts."""

import contextlib
import socket
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.adapter import (
    EventType,
    MalformedWebhookError,
    OutgoingMessage,
    Ports,
    RawWebhook,
    Receiver,
    Sender,
)
from channels.channel import Channel
from channels.outcome import Accepted, Ambiguous, NotSent, Outcome, Rejected
from channels.registry import receiver, sender
from channels.settings import ConfigError
from channels.skeleton import Face, Skeleton
from core.clock import ManualClock
from core.http import Egress
from tests.channels.loopback import (
    Act,
    HttpServer,
    answer,
    garbage,
    hang_up,
    reset,
    running,
    silence,
)
from tests.conftest import NOON

FACES = {
    Channel.EMAIL: (
        Face("subject", ("Hello ", "")),
        Face("html", ("<p>Hi ", "</p>")),
        Face("text", ("Hi ", "\n")),
    ),
    Channel.PUSH: (Face("title", ("Hello",)), Face("body", ("Hi ", ""))),
    Channel.SMS: (Face("body", ("Hi ", "")),),
}
TO = {
    Channel.EMAIL: "m{}@example.com",
    Channel.SMS: "+1500555{:04}",
    Channel.PUSH: "token-{}",
}


def messages(channel: Channel, count: int = 1) -> list[OutgoingMessage]:
    """Return messages of one skeleton to as many addresses."""
    skeleton = Skeleton(channel, FACES[channel])
    holes = sum(face.holes for face in skeleton.faces)
    return [
        OutgoingMessage(
            reference=f"ref{number}",
            to=TO[channel].format(number),
            skeleton=skeleton,
            values=(f"Ana{number}",) * holes,
            status_url=f"https://hooks.example.com/webhooks/x/t?a=ref{number}",
            collapse_key=str(number),
        )
        for number in range(count)
    ]


PATIENCE = 60.0
"""Seconds for an answer that comes; a busy machine may take some."""


def never() -> bool:
    return False


def refused_resolver(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
    """Know no name but loopback."""
    if host == "127.0.0.1":
        return socket.getaddrinfo(host, port, *args, **kwargs)
    raise socket.gaierror(-2, "Name or service not known")


def egress(read_timeout: float = PATIENCE) -> Egress:
    return Egress(allow_private=True, read_timeout=read_timeout, resolve=refused_resolver)


class NoHttp:
    """Reading a receipt sends nothing."""

    def request(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("nothing may be sent here")


class SenderConformance:
    """Subclasses give `provider`, `config`, `server` and `arrived`."""

    provider: ClassVar[str]
    http: Egress

    @pytest.fixture(autouse=True)
    def _egress(self) -> Iterator[None]:
        self.http = egress()
        yield
        self.http.close()

    def server(self) -> Any:
        """Return a server that accepts everything."""
        raise NotImplementedError

    def config(self, server: Any) -> dict[str, Any]:
        """Return a working configuration that leads to the server."""
        raise NotImplementedError

    def arrived(self, server: Any) -> int:
        """Return how many messages the server was given."""
        raise NotImplementedError

    patience: float = PATIENCE
    """Seconds that a relay has for an answer."""

    def build(self, server: Any, http: Egress | None = None, **changes: Any) -> Sender:
        clock = ManualClock(NOON)
        ports = Ports(http=http or self.http, clock=clock, answer_seconds=self.patience)
        return sender(self.provider).from_config(self.config(server) | changes, ports)

    def outcome(self, server: Any, http: Egress | None = None, **changes: Any) -> Outcome:
        """Send one message and return what became of it."""
        adapter = self.build(server, http, **changes)
        [message] = messages(adapter.channel)
        [(reference, found)] = list(adapter.send([message], never))
        adapter.close()
        assert reference == message.reference
        return found

    def test_its_name_is_the_one_it_is_registered_by(self) -> None:
        kind = sender(self.provider)
        assert kind.name == self.provider
        assert kind.channel in Channel
        assert 1 <= kind.window <= 1000

    @pytest.mark.parametrize("count", [0, 1, 2, 57])
    def test_every_message_is_sent_once_and_has_one_outcome(self, count: int) -> None:
        with running(self.server()) as server:
            adapter = self.build(server)
            batch = messages(adapter.channel, count)

            found = list(adapter.send(batch, never))
            adapter.close()

            assert sorted(ref for ref, _ in found) == sorted(m.reference for m in batch)
            assert all(isinstance(outcome, Accepted) for _, outcome in found)
            assert self.arrived(server) == count

    def test_after_the_deadline_nothing_is_written(self) -> None:
        with running(self.server()) as server:
            adapter = self.build(server)
            batch = messages(adapter.channel, 5)

            found = list(adapter.send(batch, lambda: True))
            adapter.close()

            assert sorted(ref for ref, _ in found) == sorted(m.reference for m in batch)
            assert all(isinstance(outcome, NotSent) for _, outcome in found)
            assert self.arrived(server) == 0

    def test_a_refused_connection_is_safe_to_try_again(self) -> None:
        server = self.server()
        server.close()
        assert isinstance(self.outcome(server), NotSent)

    def test_it_may_be_closed_twice_and_used_again(self) -> None:
        with running(self.server()) as server:
            adapter = self.build(server)
            batch = messages(adapter.channel, 3)
            assert len(list(adapter.send(batch, never))) == 3
            adapter.close()
            adapter.close()
            assert len(list(adapter.send(batch, never))) == 3
            adapter.close()

    def test_a_missing_setting_is_named(self) -> None:
        with pytest.raises(ConfigError) as caught:
            sender(self.provider).from_config({}, Ports(http=NoHttp()))
        assert caught.value.field
        assert caught.value.remedy

    def test_an_unknown_setting_is_named_with_its_nearest(self) -> None:
        with running(self.server()) as server:
            known = next(iter(self.config(server)))
            with pytest.raises(ConfigError) as caught:
                self.build(server, **{known + "x": "1"})
        assert caught.value.field == known + "x"
        assert known in str(caught.value.remedy)

    def test_a_setting_of_the_wrong_type_is_named_but_never_shown(self) -> None:
        with running(self.server()) as server:
            name = next(iter(self.config(server)))
            with pytest.raises(ConfigError) as caught:
                self.build(server, **{name: ["hunter2"]})
        assert caught.value.field == name
        assert "hunter2" not in str(caught.value)


HTTP_ROWS: list[tuple[str, Act, type[Outcome]]] = [
    ("200", answer(200, b"{}"), Accepted),
    ("201 without a body", answer(201), Accepted),
    ("202 without a body", answer(202), Accepted),
    ("200 with an odd body", answer(200, b"<html>\xff"), Accepted),
    ("200 with a list", answer(200, b"[1, null]"), Accepted),
    ("429", answer(429), NotSent),
    ("429 with Retry-After", answer(429, Retry_After="7"), NotSent),
    ("503 with Retry-After", answer(503, Retry_After="7"), NotSent),
    ("400", answer(400), Rejected),
    ("401", answer(401), Rejected),
    ("403", answer(403), Rejected),
    ("404", answer(404), Rejected),
    ("413", answer(413), Rejected),
    ("422", answer(422), Rejected),
    ("400 with an odd body", answer(400, b"[[[\xff"), Rejected),
    ("408", answer(408), Ambiguous),
    ("500", answer(500), Ambiguous),
    ("502", answer(502), Ambiguous),
    ("503 without Retry-After", answer(503), Ambiguous),
    ("504", answer(504), Ambiguous),
    ("599", answer(599), Ambiguous),
    ("301", answer(301, Location="http://127.0.0.1:9/"), Ambiguous),
    ("307", answer(307, Location="http://127.0.0.1:9/"), Ambiguous),
    ("418, listed nowhere", answer(418), Ambiguous),
    ("no status line", garbage, Ambiguous),
    ("end of file after the request", hang_up, Ambiguous),
    ("reset after the request", reset, Ambiguous),
]


class HttpSenderConformance(SenderConformance):
    """Every kind of answer, for providers spoken to over HTTP."""

    ok: ClassVar[Act] = staticmethod(answer(200, b"{}"))

    def server(self) -> HttpServer:
        return HttpServer(type(self).ok)

    def arrived(self, server: HttpServer) -> int:
        return len(server.requests)

    def script(self, *acts: Act) -> HttpServer:
        """Return the server with another script."""
        server = self.server()
        server.script = list(acts)
        return server

    @pytest.mark.parametrize(
        ("act", "expected"), [row[1:] for row in HTTP_ROWS], ids=[row[0] for row in HTTP_ROWS]
    )
    def test_each_answer_has_its_outcome(self, act: Act, expected: type[Outcome]) -> None:
        with running(self.script(act)) as server:
            assert type(self.outcome(server)) is expected

    def test_a_lost_answer_is_ambiguous(self) -> None:
        with running(self.script(silence)) as server:
            impatient = egress(read_timeout=0.2)
            found = self.outcome(server, impatient)
            impatient.close()
        assert isinstance(found, Ambiguous)

    def test_a_name_that_does_not_resolve_is_safe_to_try_again(self) -> None:
        with running(self.server()) as server:
            found = self.outcome(server, base_url="http://nowhere.invalid")
        assert isinstance(found, NotSent)

    def test_a_failed_tls_handshake_is_safe_to_try_again(self) -> None:
        with running(self.server()) as server:
            found = self.outcome(server, base_url=f"https://127.0.0.1:{server.port}")
        assert isinstance(found, NotSent)

    @pytest.mark.parametrize("status", [429, 503])
    def test_the_wait_asked_for_is_kept(self, status: int) -> None:
        with running(self.script(answer(status, Retry_After="1234"))) as server:
            found = self.outcome(server)
        assert isinstance(found, NotSent)
        assert found.retry_after == 1234

    @pytest.mark.parametrize("status", [401, 403])
    def test_refused_credentials_are_the_accounts_fault(self, status: int) -> None:
        with running(self.script(answer(status))) as server:
            found = self.outcome(server)
        assert isinstance(found, Rejected)
        assert found.account_fault

    def test_a_bad_request_is_not_the_accounts_fault(self) -> None:
        with running(self.script(answer(400))) as server:
            found = self.outcome(server)
        assert isinstance(found, Rejected)
        assert not found.account_fault
        assert not found.address_invalid

    def test_a_base_url_that_is_none_is_refused(self) -> None:
        with running(self.server()) as server, pytest.raises(ConfigError) as caught:
            self.build(server, base_url="ftp://example.com")
        assert caught.value.field == "base_url"


class ReceiverConformance:
    """Subclasses give `provider`, `receiver_config`, `signed` and `unknown`."""

    provider: ClassVar[str]

    def receiver_config(self) -> dict[str, Any]:
        raise NotImplementedError

    def signed(self, body: bytes) -> RawWebhook:
        """Return a request with this body as the provider would sign it."""
        raise NotImplementedError

    def known(self) -> bytes:
        """Return a body with one known event."""
        raise NotImplementedError

    def unknown(self) -> bytes:
        """Return a body with a status that exists tomorrow."""
        raise NotImplementedError

    def malformed(self) -> list[bytes]:
        """Return bodies that are not this provider's."""
        raise NotImplementedError

    def receiver(self) -> Receiver:
        return receiver(self.provider).from_config(self.receiver_config(), Ports(http=NoHttp()))

    def forged(self, headers: Mapping[str, str], body: bytes | None = None) -> RawWebhook:
        real = self.signed(self.known())
        return RawWebhook(real.url, headers, real.body if body is None else body, real.method)

    def test_a_genuine_request_is_believed(self) -> None:
        assert self.receiver().verify(self.signed(self.known()))

    def test_a_changed_body_is_not_believed(self) -> None:
        """B027."""
        real = self.signed(self.known())
        assert not self.receiver().verify(self.forged(real.headers, real.body + b"x"))

    def test_an_unsigned_request_is_not_believed(self) -> None:
        """B025."""
        assert not self.receiver().verify(self.forged({}))

    @pytest.mark.parametrize("text", ["", "x", "====", "é", "MEUCIQ==", "a" * 5000])
    def test_a_broken_signature_is_not_believed(self, text: str) -> None:
        """B025."""
        real = self.signed(self.known())
        headers = {
            name: text if "signature" in name else value for name, value in real.headers.items()
        }
        assert not self.receiver().verify(self.forged(headers))

    def test_an_unknown_status_is_kept_but_means_nothing(self) -> None:
        [event] = self.receiver().parse(self.signed(self.unknown()))
        assert event.type is EventType.UNRECOGNISED
        assert event.provider_status
        assert event.raw

    def test_a_repeated_delivery_has_the_same_keys(self) -> None:
        receiver = self.receiver()
        first = receiver.parse(self.signed(self.known()))
        again = receiver.parse(self.signed(self.known()))
        assert [event.dedup_key for event in first] == [event.dedup_key for event in again]

    def test_a_body_of_another_shape_is_refused(self) -> None:
        for body in self.malformed():
            with pytest.raises(MalformedWebhookError):
                self.receiver().parse(self.signed(body))

    def test_any_bytes_are_refused_or_read(self) -> None:
        receiver = self.receiver()

        @given(body=st.binary(max_size=200))
        def read(body: bytes) -> None:
            request = self.forged({"x-signature": "x"}, body)
            assert not receiver.verify(request)
            with contextlib.suppress(MalformedWebhookError):
                receiver.parse(request)

        read()
