"""Servers on loopback that misbehave to order: real sockets, so that outcomes are real."""

import contextlib
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


Act = Callable[[socket.socket, Request], None]
"""Answers, or does not."""


def answer(status: int, body: bytes = b"", **headers: str) -> Act:
    """Answer with this status; header names are written with _ for -."""

    def act(connection: socket.socket, request: Request) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    return act


def garbage(connection: socket.socket, request: Request) -> None:
    """Answer with something that is not HTTP."""
    connection.sendall(b"what? \x00\xff\r\n\r\n")
    hang_up(connection, request)


def hang_up(connection: socket.socket, request: Request) -> None:
    """Close after having read the request."""
    connection.shutdown(socket.SHUT_RDWR)


def reset(connection: socket.socket, request: Request) -> None:
    """Reset the connection after having read the request."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    os.close(connection.detach())  # close() would wait for the file made of it


def silence(connection: socket.socket, request: Request) -> None:
    """Say nothing until the other side gives up."""
    with contextlib.suppress(OSError):
        connection.recv(1)


class Server:
    """A listening socket with a thread per connection; subclasses say how one is served."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.connections = 0
        self._start(self._accept)

    def close(self) -> None:
        self._listener.close()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.1):
            pass
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def serve(self, connection: socket.socket, stream: BinaryIO) -> None:
        raise NotImplementedError

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._open.append(connection)
            self._start(self._guarded, connection)

    def _guarded(self, connection: socket.socket) -> None:
        with (
            contextlib.suppress(OSError, ValueError),
            connection,
            connection.makefile("rb") as stream,
        ):
            self.serve(connection, stream)


class HttpServer(Server):
    """Answers each request with the next act of its script; the last one goes on for ever."""

    def __init__(self, *script: Act) -> None:
        self.script = list(script) or [answer(200)]
        self.routes: dict[str, Act] = {}
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        super().__init__()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket, stream: BinaryIO) -> None:
        while line := stream.readline():
            method, path, _ = line.decode().split()
            headers = {}
            while (header := stream.readline().decode().strip()) != "":
                name, _, value = header.partition(":")
                headers[name.strip().lower()] = value.strip()
            body = stream.read(int(headers.get("content-length", "0")))
            request = Request(method, path, headers, body)
            self._act(request)(connection, request)

    def _act(self, request: Request) -> Act:
        with self._lock:
            if request.path in self.routes:
                return self.routes[request.path]
            self.requests.append(request)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]


class SmtpServer(Server):
    """A mail server that takes what it is given, except where `replies` says otherwise."""

    GOOD: ClassVar = {
        "MAIL": b"250 2.1.0 Ok\r\n",
        "RCPT": b"250 2.1.5 Ok\r\n",
        "DATA": b"354 Go on\r\n",
        ".": b"250 2.0.0 Ok: queued as 4XyZ\r\n",
        "RSET": b"250 2.0.0 Ok\r\n",
    }

    def __init__(self, *, extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME")) -> None:
        self.extensions = extensions
        self.greeting = b"220 sink\r\n"
        self.replies: dict[str, list[bytes | None]] = {}
        """Verb or `.`: its next replies; b"" hangs up, None says nothing."""
        self.messages: list[bytes] = []
        self.commands: list[str] = []
        super().__init__()

    def serve(self, connection: socket.socket, stream: BinaryIO) -> None:
        connection.sendall(self.greeting)
        while line := stream.readline():
            verb = line.decode().split(None, 1)[0].upper()
            self.commands.append(line.decode().strip())
            if verb == "EHLO":
                said = ["sink", *self.extensions]
                marks = ["-"] * (len(said) - 1) + [" "]
                reply: bytes | None = "".join(
                    f"250{mark}{text}\r\n" for mark, text in zip(marks, said, strict=True)
                ).encode()
            else:
                reply = self._reply(verb)
            if not self._say(connection, reply):
                return
            if verb == "DATA" and reply is not None and reply.startswith(b"354"):
                lines = []
                while (part := stream.readline()) != b".\r\n":
                    if not part:
                        return  # the other side hung up: no message
                    lines.append(part)
                self.messages.append(b"".join(lines))
                if not self._say(connection, self._reply(".")):
                    return

    def _reply(self, verb: str) -> bytes | None:
        waiting = self.replies.get(verb)
        return waiting.pop(0) if waiting else self.GOOD.get(verb, b"250 Ok\r\n")

    def _say(self, connection: socket.socket, reply: bytes | None) -> bool:
        if reply is None:
            connection.recv(1)
            return False
        if reply == b"":
            connection.shutdown(socket.SHUT_RDWR)
            return False
        connection.sendall(reply)
        return True


@contextlib.contextmanager
def running(server: Any) -> Iterator[Any]:
    """Close the server at the end."""
    try:
        yield server
    finally:
        server.close()
