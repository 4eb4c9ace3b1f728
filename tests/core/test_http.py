"""Mirrors core/http.py."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from channels.adapter import HttpClient, HttpReply
from core.http import Egress, is_public
from tests.core.loopback import OK, drip, hang_up, reset, say, serving

REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"
FORBIDDEN = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://[::1]:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://2130706433:{port}/",
    "http://0177.1:{port}/",
    "http://0x7f.1:{port}/",
    "http://127.1:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://127.0.0.1/",
    "http://localhost/",
    "http://[::1]/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://[fc00::1]/",
    "http://[fe80::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://2130706433/",
    "http://0177.1/",
    "http://127.1/",
    "http://user:pass@example.com/",
    "http://example.com:22/",
    "http://example.com:6379/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "unix:///run/docker.sock",
    "//127.0.0.1:{port}/",
    "http://",
    "http://[",
    "",
]


@pytest.mark.parametrize("url", FORBIDDEN)
def test_the_guard_opens_no_connection(url: str) -> None:
    """B050."""
    with serving(say(OK)) as server:
        egress = Egress(allow_private=False, resolve=no_names)

        reply = egress.request("GET", url.format(port=server.port))

        assert (reply.status, reply.sent, reply.refused) == (None, False, True)
        assert reply.error
        assert server.connections == 0


def test_a_name_with_one_private_answer_is_refused_whole() -> None:
    with serving(say(OK)) as server:
        egress = Egress(
            allow_private=False, resolve=answers(("93.184.215.14", 80), ("127.0.0.1", server.port))
        )

        reply = egress.request("GET", "http://rebinding.example/")

        assert not reply.sent
        assert reply.refused
        assert reply.error == "the host has a private address"
        assert server.connections == 0


def test_a_name_is_resolved_once_and_that_answer_is_connected_to() -> None:
    with serving(say(OK)) as server:
        asked: list[str] = []

        def resolve(host: str, port: int, **_: Any) -> list[Any]:
            asked.append(host)
            return answers(("127.0.0.1", server.port))(host, port)

        reply = Egress(allow_private=True, resolve=resolve).request("GET", "http://shop.example/")

        assert reply.status == 200
        assert asked == ["shop.example"]
        assert b"Host: shop.example\r\n" in server.requests[0]


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_the_open_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address", ["224.0.0.1", "255.255.255.255", "fec0::1", "2002:7f00:1::", "2001:db8::1", "name"]
)
def test_what_is_not_the_open_internet_is_not(address: str) -> None:
    assert not is_public(address)


def test_an_answer_comes_back_whole(egress: Egress) -> None:
    with serving(say(OK)) as server:
        reply = egress.request("POST", server.url + "v3?a=b", headers={"X-A": "1"}, body=b"body")

    assert (reply.status, reply.body, reply.sent, reply.error) == (200, b"ok", True, None)
    assert reply.headers["x-seen"] == "Yes"
    assert server.requests[0].startswith(b"POST /v3?a=b HTTP/1.1\r\n")
    assert server.requests[0].endswith(b"\r\n\r\nbody")


def test_a_connection_is_used_again(egress: Egress) -> None:
    with serving(say(OK)) as server:
        for _ in range(3):
            assert egress.request("GET", server.url).status == 200

    assert server.connections == 1


def test_an_idle_connection_is_not_trusted(egress: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.http.MAX_IDLE", 0.0)
    with serving(say(OK)) as server:
        for _ in range(2):
            assert egress.request("GET", server.url).status == 200

    assert server.connections == 2


def test_a_connection_the_server_closed_is_replaced_before_anything_is_sent(egress: Egress) -> None:
    with serving(hang_up(OK)) as server:
        replies = []
        for number in range(3):
            replies.append(egress.request("POST", server.url, body=b"x"))
            while server.ended <= number:
                time.sleep(0.01)
            time.sleep(0.1)  # nothing here can see when the other side's FIN has arrived

    assert [reply.status for reply in replies] == [200, 200, 200]
    assert len(server.requests) == 3


def test_a_redirect_is_an_answer_and_is_not_followed(egress: Egress) -> None:
    with serving(say(REDIRECT)) as server:
        reply = egress.request("GET", server.url)

    assert (reply.status, reply.headers["location"]) == (302, "http://127.0.0.1:9/")
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_asked_once(egress: Egress, status: int) -> None:
    answer = f"HTTP/1.1 {status} No\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n".encode()
    with serving(say(answer)) as server:
        reply = egress.request("GET", server.url)

    assert reply.status == status
    assert len(server.requests) == 1


def test_a_refused_connection_sent_nothing(egress: Egress) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    reply = egress.request("GET", f"http://127.0.0.1:{port}/")

    assert (reply.status, reply.sent) == (None, False)
    assert reply.error == "the connection was refused"
    assert not reply.refused


def test_a_name_nobody_knows_sent_nothing() -> None:
    reply = Egress(allow_private=True, resolve=no_names).request("GET", "http://nobody.example/")

    assert (reply.status, reply.sent) == (None, False)
    assert reply.error == "the host name cannot be resolved"


def test_a_connection_that_never_opens_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        egress = Egress(allow_private=True, connect_timeout=0.1)

        reply = egress.request("GET", f"http://127.0.0.1:{full.getsockname()[1]}/")

        for each in waiting:
            each.close()
    assert (reply.status, reply.sent) == (None, False)
    assert reply.error == "no connection in time"


def test_a_header_that_cannot_be_written_sent_nothing(egress: Egress) -> None:
    with serving(say(OK)) as server:
        reply = egress.request("GET", server.url, headers={"X-A": "a\r\nX-B: b"})

    assert (reply.status, reply.sent) == (None, False)
    assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (hang_up(), "the connection broke off"),
        (reset(), "the connection broke off"),
        (reset(b"H"), "the connection broke off"),
        (reset(OK[:-1]), "the connection broke off"),
        (hang_up(OK[:-1]), "the connection broke off"),
        (hang_up(b"this is not HTTP\r\n\r\n"), "the connection broke off"),
        (say(b""), "no answer in time"),
        (say(OK[:-1]), "no answer in time"),
    ],
)
def test_whatever_breaks_after_the_first_byte_may_have_been_sent(answer: Any, error: str) -> None:
    egress = Egress(allow_private=True, read_timeout=1.0 if error == "no answer in time" else 60.0)
    with serving(answer) as server:
        reply = egress.request("POST", server.url, body=b"message")

        assert len(server.requests) == 1
    assert (reply.status, reply.sent, reply.error) == (None, True, error)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_that_drips_is_cut_at_the_total_timeout(head: bytes) -> None:
    """B052: a slow loris."""
    egress = Egress(allow_private=True, read_timeout=60, total_timeout=1.0)
    with serving(drip(head, 0.02)) as server:
        reply = egress.request("GET", server.url)

    assert (reply.status, reply.sent, reply.error) == (None, True, "no answer in time")


@pytest.mark.parametrize("framing", [b"Content-Length: 100000\r\n", b""])
def test_a_big_body_is_cut_and_its_connection_dropped(framing: bytes) -> None:
    """B052: as it would ten gigabytes."""
    egress = Egress(allow_private=True, max_body=1000)
    with serving(hang_up(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n" + b"x" * 100_000)) as server:
        reply = egress.request("GET", server.url)
        again = egress.request("GET", server.url)

    assert (reply.status, reply.body) == (200, b"x" * 1000)
    assert again.status == 200
    assert server.connections == 2


def test_a_body_of_exactly_the_cap_is_whole() -> None:
    with serving(say(OK)) as server:
        assert Egress(allow_private=True, max_body=2).request("GET", server.url).body == b"ok"


def test_chunked_bodies_are_read(egress: Egress) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    with serving(say(chunked)) as server:
        replies = [egress.request("GET", server.url) for _ in range(2)]

    assert [reply.body for reply in replies] == [b"ok", b"ok"]
    assert server.connections == 1


def test_threads_share_one_egress(egress: Egress) -> None:
    statuses: list[int | None] = []
    with serving(say(OK)) as server:

        def ask() -> None:
            statuses.extend(egress.request("GET", server.url).status for _ in range(20))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert statuses == [200] * 160
    assert server.connections <= 8


def test_a_certificate_nobody_vouches_for_sent_nothing(egress: Egress, certificate: Path) -> None:
    with serving(say(OK), tls_server(certificate)) as server:
        reply = egress.request("GET", server.url)

    assert (reply.status, reply.sent) == (None, False)
    assert reply.error == "the TLS handshake failed"
    assert server.requests == []


def test_a_server_that_speaks_no_tls_sent_nothing(egress: Egress) -> None:
    with serving(hang_up(b"220 mail ready\r\n")) as server:
        reply = egress.request("GET", server.url.replace("http:", "https:"))

    assert (reply.status, reply.sent) == (None, False)


def test_a_certificate_is_checked_against_the_name_not_the_address(certificate: Path) -> None:
    with serving(say(OK), tls_server(certificate)) as server:
        trust = ssl.create_default_context(cafile=certificate)
        egress = Egress(allow_private=True, tls=trust, resolve=answers(("127.0.0.1", server.port)))

        good = egress.request("GET", f"https://shop.example:{server.port}/")
        bad = egress.request("GET", f"https://other.example:{server.port}/")
        egress.close()

    assert good.status == 200
    assert (bad.status, bad.sent) == (None, False)


def test_a_tls_connection_lost_after_the_request_may_have_sent_it(certificate: Path) -> None:
    with serving(reset(b"HTTP/1.1 "), tls_server(certificate)) as server:
        trust = ssl.create_default_context(cafile=certificate)
        egress = Egress(allow_private=True, tls=trust)

        reply = egress.request("POST", server.url, body=b"x")
        egress.close()

    assert (reply.status, reply.sent) == (None, True)


def test_no_error_repeats_the_url(egress: Egress) -> None:
    reply = egress.request("GET", "http://127.0.0.1:1/hunter2")

    assert "hunter2" not in repr(reply)
    assert "127" not in repr(reply)


def test_it_is_the_client_adapters_ask_for(egress: Egress) -> None:
    client: HttpClient = egress
    with serving(say(OK)) as server:
        reply: HttpReply = client.request("GET", server.url)

    assert reply.status == 200


@pytest.fixture
def egress() -> Iterator[Egress]:
    made = Egress(allow_private=True)
    yield made
    made.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of shop.example and 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example")])
    names = [x509.DNSName("shop.example"), x509.IPAddress(ip_address("127.0.0.1"))]
    now = datetime.now(UTC)  # certificates are checked against the real clock
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def tls_server(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def answers(*addresses: tuple[str, int]) -> Any:
    """A resolver that gives these addresses for any name."""
    return lambda host, port, **_: [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses
    ]


def no_names(host: str, port: int, **kwargs: Any) -> list[Any]:
    """The real resolver for addresses in any notation; knows no name but localhost."""
    if host != "localhost" and any(letter not in "0123456789abcdefx.:%" for letter in host):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")
    return socket.getaddrinfo(host, port, **kwargs)
