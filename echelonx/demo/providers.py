"""Providers: the simulators' process, and how to ask it what it still owes."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from channels.simulators.config import Keys, config
from core.errors import UnavailableError
from core.http import Egress

WAIT_SECONDS = 10.0


class Providers:
    """SendGrid, Twilio, FCM and an SMTP relay on loopback; they end when this process does."""

    def __init__(self, log: str, seed: int, public_url: str) -> None:
        """Start the process; it gets ready while its parent does other things."""
        self._seed = seed
        self._process = subprocess.Popen(  # noqa: S603  (our own module)
            [
                sys.executable,
                "-m",
                "channels.simulators",
                *("--log", log, "--seed", str(seed), "--webhook-base", public_url),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._ports: dict[str, int] = {}

    def ports(self) -> Mapping[str, int]:
        """Wait until they listen; return their ports. Raises UnavailableError."""
        if not self._ports and self._process.stdout is not None:
            line = self._process.stdout.readline()
            if not line:
                raise UnavailableError(
                    "the simulated providers did not start", remedy="echelonx simulator --help"
                )
            self._ports = json.loads(line)
        return self._ports

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return the account settings that go with them, by adapter."""
        return config(self.ports(), Keys.of_seed(self._seed))

    def post_to(self, http: Egress, urls: Mapping[str, str]) -> None:
        """Set the webhook addresses; what is owed is posted from now on."""
        self._ask(http, "POST", "/_sim/webhooks", json.dumps(urls).encode())

    def owed(self, http: Egress) -> int:
        """Return how many events were not acknowledged yet."""
        return int(self._ask(http, "GET", "/_sim/state")["owed"])

    def stop(self) -> None:
        """End them."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _ask(self, http: Egress, method: str, path: str, body: bytes = b"") -> Any:
        url = f"http://127.0.0.1:{self.ports()['http']}{path}"
        reply = http.request(method, url, body=body or None)
        if reply.status != 200:
            raise UnavailableError(
                f"the simulated providers do not answer: {reply.error or reply.status}",
                remedy="run the demo again: it goes on where it stopped",
            )
        return json.loads(reply.body)
