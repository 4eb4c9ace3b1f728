"""Load: sends requests made beforehand over connections that stay open; prints what came of it.

    python -m bench.load FILE --ports 8000,8001 --connections 64

In a process of its own, so that measuring does not take turns with what is measured. FILE holds
whole HTTP requests, each behind its length in four bytes.
"""

import asyncio
import json
import time
from collections import Counter, deque
from functools import partial
from pathlib import Path

import click


class Connection(asyncio.Protocol):
    """One keep-alive connection: a request, its answer, the next request."""

    def __init__(self, waiting: deque[bytes], done: asyncio.Future[None], seen: "Seen") -> None:
        self._waiting, self._done, self._seen = waiting, done, seen
        self._buffer = b""
        self._started = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  (asyncio's promise to TCP)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found or len(rest) < _length(head):
            return
        self._buffer = b""
        self._seen.statuses[head[9:12].decode()] += 1
        self._seen.seconds.append(time.perf_counter() - self._started)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._seen.statuses["hung up"] += 1
            self._done.set_result(None)

    def _next(self) -> None:
        if not self._waiting or time.perf_counter() > self._seen.until:
            if not self._done.done():
                self._done.set_result(None)
            self._transport.close()
            return
        self._started = time.perf_counter()
        self._transport.write(self._waiting.popleft())


class Seen:
    """What came back."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.statuses: Counter[str] = Counter()
        self.seconds: list[float] = []


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


def requests(path: Path) -> deque[bytes]:
    """Read the file."""
    data = path.read_bytes()
    found: deque[bytes] = deque()
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


async def _run(waiting: deque[bytes], ports: list[int], connections: int, limit: float) -> Seen:
    seen = Seen(time.perf_counter() + limit)
    ends = []
    for number in range(connections):
        ends.append(_converse(waiting, ports[number % len(ports)], seen))
    await asyncio.gather(*ends)
    return seen


async def _converse(waiting: deque[bytes], port: int, seen: Seen) -> None:
    """Keep one connection busy; connect again when the server hangs up."""
    loop = asyncio.get_running_loop()
    while waiting and time.perf_counter() < seen.until:
        end: asyncio.Future[None] = loop.create_future()
        await loop.create_connection(partial(Connection, waiting, end, seen), "127.0.0.1", port)
        await end


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--ports", required=True)
@click.option("--connections", default=64)
@click.option("--limit", default=600.0, help="seconds")
def main(file: Path, ports: str, connections: int, limit: float) -> None:
    """Send all of FILE and print one JSON line."""
    waiting = requests(file)
    started = time.perf_counter()
    seen = asyncio.run(_run(waiting, [int(p) for p in ports.split(",")], connections, limit))
    took = time.perf_counter() - started
    times = sorted(seen.seconds)
    found = {
        "requests": len(times),
        "seconds": took,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[int(len(times) * 0.99)] * 1000,
        "statuses": dict(seen.statuses),
    }
    click.echo(json.dumps(found))


if __name__ == "__main__":
    main()
