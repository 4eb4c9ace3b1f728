"""Client: posts webhooks over connections that stay open. It reaches loopback only, see hooks.py.

The engine's own way out (core.http) is not used: this is the world outside.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TIMEOUT = 15.0
"""Seconds until an answer is given up; Twilio's (11200)."""
IDLE = 4.0
"""Seconds after which a connection is not used again."""
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Post:
    """One request to make."""

    url: str
    """Where to connect: http, on loopback."""
    host: str
    """Whom to ask for."""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


class Client:
    """One connection per place, one request at a time."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[Streams, float]] = {}

    async def send(self, post: Post) -> int | None:
        """Make one request and return the answer's status; None when there was none."""
        parts = urlsplit(post.url)
        try:
            async with asyncio.timeout(TIMEOUT):
                streams = await self._streams(parts.netloc, parts.hostname or "", parts.port or 80)
                return await self._exchange(streams, parts.netloc, _encode(post))
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return None

    def close(self) -> None:
        """Hang up."""
        for (_, writer), _ in self._open.values():
            writer.close()
        self._open.clear()

    async def _streams(self, place: str, host: str, port: int) -> Streams:
        """Take a connection out of the open ones, or make one."""
        streams, used_at = self._open.pop(place, (None, 0.0))
        if streams is not None:
            fresh = asyncio.get_running_loop().time() - used_at < IDLE
            if fresh and not streams[0].at_eof():
                return streams
            streams[1].close()
        return await asyncio.open_connection(host, port)

    async def _exchange(self, streams: Streams, place: str, data: bytes) -> int:
        reader, writer = streams
        kept = False
        try:
            writer.write(data)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = _length(head)
            if length is not None:
                await reader.readexactly(length)
                kept = "connection: close" not in head
            return int(head.split(" ", 2)[1])
        finally:
            if kept:
                self._open[place] = streams, asyncio.get_running_loop().time()
            else:
                writer.close()


def _length(head: str) -> int | None:
    """Return the body's length; None when only the end of the connection tells."""
    for line in head.split("\r\n"):
        if line.startswith("content-length:"):
            return int(line.partition(":")[2])
    return 0 if head.split(" ", 2)[1] in ("204", "304") else None


def _encode(post: Post) -> bytes:
    parts = urlsplit(post.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{post.method} {target} HTTP/1.1", f"Host: {post.host}"]
    lines += [f"{name}: {value}" for name, value in post.headers.items()]
    if post.method != "GET":
        lines.append(f"Content-Length: {len(post.body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + post.body
