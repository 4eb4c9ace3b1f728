"""A private Redis for tests that break it: nobody else's broker is disturbed.

    with redis(tmp_path) as broker:
        broker.restart()
        assert broker.call("PING") == "PONG"

It answers at the same port over restarts and keeps nothing on disk: what it forgets is gone.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import free_port

PATIENCE = 120.0
LOOK_SECONDS = 0.02


class Redis:
    """One server and its port."""

    def __init__(self, folder: Path, port: int, options: tuple[str, ...]) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(
            [*command, "--dir", str(self._folder), *self._options], stdout=subprocess.DEVNULL
        )
        give_up = time.monotonic() + PATIENCE
        while not self.answers():
            assert time.monotonic() < give_up, "redis-server did not start"
            time.sleep(LOOK_SECONDS)

    def answers(self) -> bool:
        """Whether somebody is there."""
        asked = subprocess.run(
            ["redis-cli", "-p", str(self.port), "PING"], capture_output=True, check=False
        )
        return asked.stdout.strip() == b"PONG"

    def stop(self) -> None:
        """End it in good order."""
        self._end(kill=False)

    def kill(self) -> None:
        """End it as a machine that loses its power does."""
        self._end(kill=True)

    def restart(self) -> None:
        """Kill it and start an empty one in its place."""
        self.kill()
        self.start()

    def call(self, *words: str) -> Any:
        """Send a command; return what it answers. Fails the test if it is an error."""
        asked = subprocess.run(
            ["redis-cli", "--json", "-e", "-p", str(self.port), *words],
            capture_output=True, check=False, text=True,
        )  # fmt: skip
        assert asked.returncode == 0, asked.stderr or asked.stdout
        return json.loads(asked.stdout)

    def config(self, name: str, value: str) -> None:
        """Change a setting while it runs."""
        self.call("CONFIG", "SET", name, value)

    def flush(self) -> None:
        """Forget everything."""
        self.call("FLUSHALL")

    def disconnect(self) -> None:
        """Cut every client's connection, subscribers' too."""
        for kind in ("normal", "pubsub"):
            self.call("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    def listeners(self) -> int:
        """How many queues of workers hang on the exchange of rings."""
        return len(self.call("SMEMBERS", "_kombu.binding.echelonx.rings"))

    def waiting(self) -> dict[str, int]:
        """What lies in it and is not taken yet: messages by key."""
        found: dict[str, int] = {}
        for key in self.call("KEYS", "*"):
            kind = self.call("TYPE", key)
            if kind == "list":
                found[key] = self.call("LLEN", key)
            elif kind in ("zset", "hash") and key.startswith("unacked"):
                found[key] = self.call("ZCARD" if kind == "zset" else "HLEN", key)
        return found

    def _end(self, *, kill: bool) -> None:
        if self._process is not None:
            self._process.kill() if kill else self._process.terminate()
            self._process.wait()
            self._process = None


@contextmanager
def redis(tmp_path: Path, *options: str) -> Iterator[Redis]:
    """A running server of this test's own; skips the test where Redis is not installed."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    server = Redis(tmp_path, free_port(), options)
    server.start()
    try:
        yield server
    finally:
        server.kill()
