"""The simulators as the real process they are, and somebody for them to post to."""

import http.client
import json
import smtplib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from channels.simulators.config import Keys, config
from core.clock import ticking
from tests.architecture.tree import ROOT

SEED = 7
LOOK_SECONDS = 0.05
PATIENCE = 120.0
"""Seconds until a test gives up; none waits that long when all is well."""


@dataclass(frozen=True)
class Hook:
    """One request that a simulator made."""

    method: str
    path: str
    """With its query string."""
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def events(self) -> list[dict[str, Any]]:
        """SendGrid's array, or the app's."""
        document = json.loads(self.body)
        return document if isinstance(document, list) else document["events"]


class Receiver:
    """Takes everything, and answers as told."""

    def __init__(self) -> None:
        self.hooks: list[Hook] = []
        self.refused: list[Hook] = []
        self.verdict: Callable[[Hook], int] = lambda _: 204
        self._arrived = threading.Condition()

    def take(self, hook: Hook) -> int:
        with self._arrived:
            status = self.verdict(hook)
            (self.hooks if status < 300 else self.refused).append(hook)
            self._arrived.notify_all()
            return status

    def wait(self, enough: Callable[[], object]) -> None:
        """Wait until it is so; not all that is waited for comes with a hook."""
        give_up = ticking() + PATIENCE
        with self._arrived:
            while not enough():
                assert ticking() < give_up, f"only {len(self.hooks)} arrived"
                self._arrived.wait(LOOK_SECONDS)

    def at(self, path: str) -> list[Hook]:
        return [hook for hook in self.hooks if hook.path.startswith(path)]


@contextmanager
def receiving() -> Iterator[tuple[Receiver, str]]:
    """Yield a receiver and its base URL."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receiver.take(Hook(self.command, self.path, headers, body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815  (http.server's names)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Simulators:
    """One running process."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, seed: int) -> None:
        assert process.stdout is not None
        self.process = process
        self.ports: dict[str, int] = json.loads(process.stdout.readline())
        self.keys = Keys.of_seed(seed)
        self.config = config(self.ports, self.keys)
        self.base = self.config["twilio"]["base_url"]
        self._log = log
        self._marked = 0

    def mark(self) -> None:
        """Count accepted messages from here on."""
        self._marked = sum("provider" in line for line in self.lines())

    def ask(self, method: str, path: str, document: object = None) -> Any:
        line = http.client.HTTPConnection("127.0.0.1", self.ports["http"], timeout=PATIENCE)
        try:
            line.request(method, path, json.dumps(document).encode())
            return json.loads(line.getresponse().read())
        finally:
            line.close()

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", "/_sim/state")
        return found

    def settled(self, receiver: Receiver) -> dict[str, Any]:
        """Wait until nothing is owed any more."""
        receiver.wait(lambda: self.state()["owed"] == 0)
        return self.state()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def until(self, enough: Callable[[], object]) -> None:
        """Wait until it is so, whoever has given up on an answer."""
        give_up = ticking() + PATIENCE
        while not enough():
            assert ticking() < give_up, "it did not come about"
            time.sleep(LOOK_SECONDS)

    def accepts(self, provider: str | None = None) -> list[dict[str, Any]]:
        rows = [line for line in self.lines() if "provider" in line][self._marked :]
        return [row for row in rows if provider in (None, row["provider"])]


@contextmanager
def simulating(
    log: Path,
    *,
    seed: int = SEED,
    hooks: str | None = None,
    script: object = None,
    delay: float = 0.2,
    killed: bool = False,
) -> Iterator[Simulators]:
    """Run the process until the end of the block; `hooks` is the base URL of a receiver."""
    arguments = [sys.executable, "-m", "channels.simulators", "--log", str(log)]
    arguments += ["--seed", str(seed), "--delay", str(delay), "--script", json.dumps(script or {})]
    if hooks:
        paths = {"sendgrid": "/sg", "fcm": "/fcm", "twilio_inbound": "/in?n=1"}
        arguments += ["--webhook-base", hooks, "--webhooks", json.dumps(paths)]
    process = subprocess.Popen(arguments, stdin=-1, stdout=-1, cwd=ROOT)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Simulators(process, log, seed)
    finally:
        if killed:
            process.kill()
        process.stdin.close()
        code = process.wait(PATIENCE)
        process.stdout.close()
    assert code == (-9 if killed else 0)


def left_hanging(sim: Simulators, ref: str) -> None:
    """Hand a letter to the relay, and give up on what it says to its final dot."""
    with smtplib.SMTP("127.0.0.1", sim.ports["smtp"], "b.example", timeout=PATIENCE) as relay:
        relay.helo()
        relay.mail("a@b.example")
        relay.rcpt("m@x.example")
        assert relay.docmd("DATA")[0] == 354
        relay.send(f"Message-ID: <{ref}@b.example>\r\n\r\nHi\r\n.\r\n")
        assert relay.sock is not None
        relay.sock.settimeout(0.2)
        with pytest.raises((smtplib.SMTPServerDisconnected, TimeoutError)):
            relay.getreply()
        relay.close()
