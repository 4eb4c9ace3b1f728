"""Mirrors echelonx/server.py."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest
from flask import Flask, request

from core.http import Egress
from echelonx.server import PortTakenError, WebServer, free_port


def test_it_serves_until_it_is_stopped() -> None:
    server = WebServer(hello(), host="127.0.0.1", port=0, threads=2)
    server.start()
    http = Egress(allow_private=True)

    reply = http.request("GET", f"http://127.0.0.1:{server.port}/")
    server.stop()

    assert (reply.status, reply.body) == (200, b"hello")
    assert not server.alive
    http.close()


def test_a_port_that_is_taken_is_an_error_with_a_remedy() -> None:
    first = WebServer(hello(), host="127.0.0.1", port=0, threads=1)
    first.start()

    with pytest.raises(PortTakenError) as raised:
        WebServer(hello(), host="127.0.0.1", port=first.port, threads=1)
    assert "--port" in str(raised.value.remedy)
    assert free_port(first.port) != first.port
    first.stop()


def test_an_answer_without_a_body_leaves_the_connection_open() -> None:
    server = WebServer(hello(), host="127.0.0.1", port=0, threads=1)
    server.start()
    line = HTTPConnection("127.0.0.1", server.port, timeout=60)

    ends = []
    for headers in ({}, {}, {"Connection": "close"}):
        line.request("GET", "/nothing", headers=headers)
        reply = line.getresponse()
        reply.read()
        ends.append((reply.status, reply.getheader("Connection"), line.sock is None))
    server.stop()

    assert ends == [(204, None, False), (204, None, False), (204, "close", True)]


def test_what_proxies_say_reaches_the_application() -> None:
    app = Flask("told", static_folder=None)
    app.add_url_rule("/", view_func=lambda: request.headers["X-Forwarded-For"])
    server = WebServer(app, host="127.0.0.1", port=0, threads=1)
    server.start()
    http = Egress(allow_private=True)

    told = {"X-Forwarded-For": "198.51.100.1"}
    reply = http.request("GET", f"http://127.0.0.1:{server.port}/", headers=told)
    server.stop()

    assert (reply.status, reply.body) == (200, b"198.51.100.1")
    http.close()


POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
INNER = b"GET /inner HTTP/1.1\r\nHost: a\r\n\r\n"
"""What would be a request of its own, were the one before it to end where an attacker says."""
ENDS_TWICE = {
    "length and chunks": CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n",
    "chunks and length": POST
    + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(INNER)),
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(INNER),
    "a list of lengths": POST + b"Content-Length: 0, 36\r\n\r\n",
    "a signed length": POST + b"Content-Length: +0\r\n\r\n",
    "a negative length": POST + b"Content-Length: -1\r\n\r\n",
    "a length in hex": POST + b"Content-Length: 0x0\r\n\r\n",
    "a length like Python's": POST + b"Content-Length: 0_0\r\n\r\n",
    "no name for a coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding after chunks": CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a hidden coding": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a space in a name": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "chunks in 1.0": CHUNKED.replace(b"/1.1", b"/1.0") + b"\r\n0\r\n\r\n",
    "another version": CHUNKED.replace(b"/1.1", b"/9.9") + b"\r\n0\r\n\r\n",
    "a lone CR": POST + b"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a NUL": POST + b"X: a\x00b\r\n\r\n",
    "no hex in a chunk": CHUNKED + b"\r\nzz\r\nabc\r\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"\r\n-1\r\nabc\r\n0\r\n\r\n",
    "a chunk like Python's": CHUNKED + b"\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk that goes on": CHUNKED + b"\r\n3\r\nabcXX\r\n0\r\n\r\n",
    "lines without CR": CHUNKED + b"\r\n3\nabc\n0\n\n",
    "64 kB of headers": POST + b"X: " + b"a" * 65_536 + b"\r\n\r\n",
    "64 kB of address": b"GET /" + b"a" * 65_536 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("name", ENDS_TWICE)
def test_b096_a_request_whose_end_is_in_doubt_ends_its_connection(name: str) -> None:
    seen: list[str] = []
    with serving(seen) as port:
        told = exchanged(port, ENDS_TWICE[name] + INNER)

    # Hanging up on what it did not read, it may cut off its own answer.
    assert re.findall(rb"HTTP/1\.[01] (\d+)", told) in ([b"400"], [b"431"], [b"501"], [])
    assert seen == []


def test_b096_a_request_that_ends_in_one_place_is_followed_by_the_next() -> None:
    seen: list[str] = []
    last = INNER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with serving(seen) as port:
        told = exchanged(port, CHUNKED + b"\r\n3\r\nabc\r\n0\r\n\r\n" + last)

    assert re.findall(rb"HTTP/1\.1 (\d+)", told) == [b"200", b"200"]
    assert seen == ["/ abc", "/inner "]


def exchanged(port: int, request: bytes) -> bytes:
    """Send bytes and return all that comes back until the server hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        told = b""
        try:
            line.sendall(request)
            while more := line.recv(65_536):
                told += more
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up on what it did not read
        return told


@contextmanager
def serving(seen: list[str]) -> Iterator[int]:
    """Serve an application that writes down what reaches it; gives its port."""
    app = Flask("seen", static_folder=None)

    def note(path: str = "") -> str:
        seen.append(f"/{path} {request.get_data(as_text=True)}")
        return "ok"

    app.add_url_rule("/", view_func=note, methods=["GET", "POST"])
    app.add_url_rule("/<path:path>", view_func=note, methods=["GET", "POST"])
    server = WebServer(app, host="127.0.0.1", port=0, threads=1)
    server.start()
    yield server.port
    server.stop()


def hello() -> Flask:
    app = Flask("hello", static_folder=None)
    app.add_url_rule("/", view_func=lambda: "hello")
    app.add_url_rule("/nothing", "nothing", view_func=lambda: ("", 204))
    return app
