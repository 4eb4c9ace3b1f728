"""The database crashes while providers post: what was acknowledged stays (F23, O6)."""

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Thread

import pytest
from sqlalchemy import select

from accounts.client import create_client
from channels.simulators.config import Keys, config
from communications.account import add_account
from core.clock import SystemClock
from core.db import read, write
from core.settings import Settings
from echelonx import schema, wiring
from tests.e2e.processes import PATIENCE, echelonx, free_port, running, until
from tests.faults.conftest import LONG, note
from tests.faults.postgres import cluster
from tests.webhooks.providers import signed
from webhooks.inbox import InboxItem, opened

CLIENTS, BATCH = 8, 10
ENOUGH = 2600 if LONG else 60
"""Batches acknowledged between one crash and the next."""
CRASHES = 3
KEYS = Keys.of_seed(23)

pytestmark = pytest.mark.e2e


class Providers:
    """Eight connections of a provider that comes again until it is told 2xx."""

    def __init__(self, port: int, path: str) -> None:
        self.acked: set[str] = set()
        self.answers: Counter[int | None] = Counter()
        self._port, self._path = port, path
        self._changed = Condition()
        self._ended = False

    @contextmanager
    def posting(self) -> Iterator[None]:
        threads = [Thread(target=self._post_all, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended = True
            for thread in threads:
                thread.join()

    def wait_for(self, status: int, times: int) -> None:
        """Wait until that many more posts were answered so."""
        with self._changed:
            wanted = self.answers[status] + times
            assert self._changed.wait_for(lambda: self.answers[status] >= wanted, PATIENCE), (
                f"{self.answers}"
            )

    def _post_all(self, client: int) -> None:
        batch, line = 0, self._line()
        while not self._ended:
            names = [f"{client}-{batch}-{number}" for number in range(BATCH)]
            status = self._post(line, names)
            if status is None:
                line.close()
                line = self._line()
            with self._changed:
                if status == 204:
                    self.acked.update(names)
                    batch += 1
                self.answers[status] += 1
                self._changed.notify_all()
        line.close()

    def _line(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)

    def _post(self, line: http.client.HTTPConnection, names: list[str]) -> int | None:
        events = [
            {"event": "delivered", "sg_event_id": name, "timestamp": 1795262400, "email": "a@b.cc"}
            for name in names
        ]
        body = json.dumps(events).encode() + b"\r\n"
        try:
            line.request("POST", self._path, body, signed(KEYS.sendgrid_key, body))
            reply = line.getresponse()
            reply.read()
        except (OSError, http.client.HTTPException):
            return None
        return reply.status


def test_f23_nothing_acknowledged_is_lost_when_postgresql_crashes(tmp_path: Path) -> None:
    with cluster(tmp_path) as database:
        environment = {
            "ECHELONX_DATABASE_URL": database.url,
            "ECHELONX_SECRET_KEY": "a key for a test of crashes, 40 letters!",
            "ECHELONX_DATA_DIR": str(tmp_path),
            "ECHELONX_LOG_LEVEL": "ERROR",
        }
        services = wiring.build(Settings.from_environment(environment))
        path, port = installed(services), free_port()
        web = echelonx(
            "web", "--port", str(port), environment=environment, output=tmp_path / "web.log"
        )
        with running(web):
            until(lambda: "listening" in (tmp_path / "web.log").read_text(), "listening")
            providers = Providers(port, path)
            with providers.posting():
                for crash in range(CRASHES):
                    providers.wait_for(204, ENOUGH)
                    if crash < CRASHES - 1:
                        database.restart_immediately()
                        continue
                    database.stop("immediate")
                    providers.wait_for(503, 2 * CLIENTS)
                    database.start()
                providers.wait_for(204, ENOUGH)
        services.engine.dispose()

        missing = providers.acked - stored(services)
        note("F23", acked=len(providers.acked), missing=len(missing), away=providers.answers[503])
        assert len(providers.acked) >= 4 * ENOUGH * BATCH
        assert missing == set()
        assert set(providers.answers) <= {204, 503}, providers.answers
        services.close()


def installed(services: wiring.Services) -> str:
    """Make the tables and one SendGrid account; return its webhook's path."""
    schema.migrate(services.engine)
    with write(services.sessions) as session:
        client = create_client(session, services.clock, name="Crashes", address="1 Main Street")
        account = add_account(
            session,
            SystemClock(),
            services.vault,
            client_id=client.id,
            name="sendgrid",
            adapter="sendgrid",
            config=config({"http": 9, "smtp": 9}, KEYS)["sendgrid"],
        )
        return f"/webhooks/sendgrid/{account.token}"


def stored(services: wiring.Services) -> set[str]:
    """The events in the inbox, by their names."""
    with read(services.sessions) as session:
        return {
            event["sg_event_id"]
            for item in session.scalars(select(InboxItem))
            for event in json.loads(opened(services.vault, item).body)
        }
