"""WebServer: waitress in a thread, for `run`, `web` and the demo."""

import logging
import socket
import sys
from threading import Event, Thread
from typing import Any

from flask import Flask
from waitress import create_server, wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import WSGITask

from core.errors import ConflictError

BACKLOG = 1024
MAX_HEADER = 32 * 1024
"""Bytes of a request's line and headers; 431 beyond."""
LOOK_SECONDS = 0.5
SWITCH_SECONDS = 0.0005
"""A request waits for the disk and for sockets some ten times, in microseconds, and each time may
then wait for the interpreter for as long as this; Python's own 5 ms halve the rate (measured)."""

# It warns of every request that waits for a thread; that is what the queue is for.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)


class PortTakenError(ConflictError):
    """Something else listens there."""

    code = "port_taken"


class _Task(WSGITask):  # type: ignore[misc]  # waitress has no types
    """An answer that leaves the connection open where it may.

    waitress hangs up after every 204, for want of a Content-Length; a provider would connect anew
    for each of thousands of webhooks.
    """

    def set_close_on_finish(self) -> None:
        """Hang up, unless a 204 without a body is all there is to say."""
        asked = self.request.headers.get("CONNECTION", "").lower() == "close"
        if asked or self.version != "1.1" or not self.status.startswith("204"):
            super().set_close_on_finish()


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses a request whose end a proxy before us could see elsewhere than we do (B096).

    Waitress reads one with both a length and chunks by its chunks, and leaves the connection open.
    """

    def parse_header(self, header_plus: bytes) -> None:
        """Read the headers. Raises ParsingError (400)."""
        super().parse_header(header_plus)
        both = self.chunked and "CONTENT_LENGTH" in self.headers
        unread = "TRANSFER_ENCODING" in self.headers  # a version that knows no chunks
        if both or unread or self.version not in ("1.0", "1.1"):
            raise ParsingError("nobody can tell where this request ends")


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Parser
    task_class = _Task


class WebServer:
    """Serves one application on one address."""

    def __init__(self, app: Flask, *, host: str, port: int, threads: int) -> None:
        """Bind the address; port 0 takes a free one. Raises PortTakenError."""
        listening = _bound(host, port)
        self.port: int = listening.getsockname()[1]
        self._sockets: dict[int, Any] = {}
        self._server = create_server(
            app,
            map=self._sockets,
            sockets=[listening],
            threads=threads,
            ident=None,
            max_request_header_size=MAX_HEADER,
            clear_untrusted_proxy_headers=False,  # the application knows whom to believe
        )
        self._server.channel_class = _Channel
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Start serving."""
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_SECONDS))
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it is serving."""
        return self._thread.is_alive()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop listening; requests in progress get `timeout` seconds to end."""
        self._stopping.set()
        self._server.pull_trigger()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self._server.task_dispatcher.shutdown(timeout=timeout)
        wasyncore.close_all(self._sockets, ignore_all=True)

    def _run(self) -> None:
        # waitress's own loop ends only when every kept-alive connection has.
        while not self._stopping.is_set():
            wasyncore.loop(timeout=LOOK_SECONDS, map=self._sockets, count=1)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise PortTakenError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}",
            field="port",
            remedy="choose another with --port, or ECHELONX_PORT; 0 takes a free one",
        ) from None


def free_port(preferred: int = 0) -> int:
    """Return `preferred` if nothing listens there on loopback, else a port that is free."""
    for port in (preferred, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as probe:
                bound: int = probe.getsockname()[1]
                return bound
        except OSError:
            continue
    raise PortTakenError("this machine has no free port", remedy="close something")
