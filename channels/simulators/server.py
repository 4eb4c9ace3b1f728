"""Server: as much of HTTP/1.1 as provider SDKs speak, with answers that can be late or missing.

Handlers are plain functions from a Request to an Answer; connections stay open between requests.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl

MAX_HEAD = 64 * 1024
MAX_BODY = 32 * 1024 * 1024
"""Bytes; SendGrid takes 30 MB."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request."""

    method: str
    path: str
    """Without the query string."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    query: str = ""
    """Still encoded."""

    def asked(self) -> dict[str, str]:
        """Return the query's parameters, the last of each name."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def form(self) -> dict[str, str]:
        """Return form fields, the last of each name."""
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said to a request."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    """Seconds before it is said."""
    cut: bool = False
    """Nothing is said; the connection ends."""
    hang: bool = False
    """Nothing is said, ever; the connection stays."""

    def encode(self) -> bytes:
        """Return the bytes on the wire."""
        head = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        head.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(head).encode() + self.body


Handler = Callable[[Request], Answer]
CUT = Answer(0, cut=True)
HANG = Answer(0, hang=True)


class Conversation(asyncio.Protocol):
    """One connection."""

    def __init__(self, handle: Handler) -> None:
        self._handle = handle
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._wanted = 0
        self._waiting = False
        self._last = False
        """The connection ends with the next answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  (asyncio's promise to TCP)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget whom to answer."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        if not self._waiting and len(self._buffer) >= self._wanted:
            self._advance()

    def hang_up(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()

    def _advance(self) -> None:
        self._waiting = False
        while (request := self._next()) is not None:
            answer = request if isinstance(request, Answer) else self._handle(request)
            if answer.hang:
                self._waiting = True
                return
            if answer.wait:
                self._waiting = True
                loop = asyncio.get_running_loop()
                loop.call_later(answer.wait, self._resume, answer)
                return
            self._say(answer)

    def _resume(self, answer: Answer) -> None:
        self._say(answer)
        self._advance()

    def _say(self, answer: Answer) -> None:
        if self._transport is None:
            return
        if answer.cut:
            self._transport.abort()
            self._buffer.clear()
            return
        self._transport.write(answer.encode())
        if self._last:
            self._transport.close()

    def _next(self) -> Request | Answer | None:
        """Take the first request out of the buffer; None while it is incomplete."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return self._refuse(431) if len(self._buffer) > MAX_HEAD else None
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        length = headers.get("content-length", "0")
        words = first.split(" ")
        if len(words) != 3 or not length.isdecimal() or "transfer-encoding" in headers:
            return self._refuse(411 if "transfer-encoding" in headers else 400)
        if int(length) > MAX_BODY:
            return self._refuse(413)
        self._wanted = end + 4 + int(length)
        if len(self._buffer) < self._wanted:
            return None
        body = bytes(self._buffer[end + 4 : self._wanted])
        del self._buffer[: self._wanted]
        self._wanted = 0
        self._last = headers.get("connection", "").lower() == "close"
        path, _, query = words[1].partition("?")
        return Request(words[0], path, headers, body, query)

    def _refuse(self, status: int) -> Answer:
        """Answer what cannot be read, and read no further."""
        self._buffer.clear()
        self._last = True
        return Answer(status, headers={"Connection": "close"})
