"""Mirrors echelonx/server.py."""

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
    line = HTTPConnection("127.0.0.1", server.port, timeout=5)

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


def hello() -> Flask:
    app = Flask("hello", static_folder=None)
    app.add_url_rule("/", view_func=lambda: "hello")
    app.add_url_rule("/nothing", "nothing", view_func=lambda: ("", 204))
    return app
