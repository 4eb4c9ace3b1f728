"""The API at a million members and five million messages: p50, p95 and the slowest of each kind.

`python -m bench.api [--requests 200] [--only statistics] [--explain]`

The real application over WSGI in this process, one request after the other with an API key, on the
database of bench/million.py, which is made where it is missing. Every kind asks with a spread of
parameters. CPU is that of this process and of the database's own for it, a request; helpers that
PostgreSQL starts for one query are not in it. With `--explain`, the plan of the slowest statement
of each kind that misses its target is printed, with the server's own time.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import event, select, text

from accounts.key import issue_key
from bench.api_kinds import KINDS, Kind, Spread
from bench.million import DATABASE, NOW, SERVER, postgresql
from core.clock import ManualClock
from core.db import read, write
from core.settings import Settings
from echelonx import wiring
from echelonx.factory import create_app
from echelonx.figures import next_figures
from members.segment import Segment, create_segment

WARM_UP = 10
TICK = os.sysconf("SC_CLK_TCK")
SEGMENT = 'tier = "premium" and attributes.city = "Lisbon"'


@dataclass(slots=True)
class Measured:
    """What requests of one kind took."""

    seconds: list[float]
    here: float
    """CPU seconds of this process."""
    server: float
    """CPU seconds of the connections' processes."""

    def at(self, share: float) -> float:
        """Return the milliseconds that this share of the requests stayed within."""
        ordered = sorted(self.seconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1e3


class Caller:
    """Sends requests with a key, and tells what they cost."""

    def __init__(self, services: wiring.Services, key: str) -> None:
        self._services = services
        self._client: FlaskClient = create_app(services).test_client()
        self._headers = {"Authorization": f"Bearer {key}"}

    def get(self, path: str) -> Any:
        """Return what an address answers."""
        answer = self._client.get(f"/api/v1{path}", headers=self._headers)
        if answer.status_code != 200:
            raise SystemExit(
                f"{path} answered {answer.status_code}: {answer.get_data(as_text=True)}"
            )
        return answer

    def measure(self, paths: Iterator[str], requests: int) -> Measured:
        """Ask for so many, after a warm-up."""
        for path in islice(paths, WARM_UP):
            self.get(path)
        seconds, here, server = [], process_time(), self._server()
        for path in islice(paths, requests):
            started = perf_counter()
            self.get(path)
            seconds.append(perf_counter() - started)
        return Measured(seconds, process_time() - here, self._server() - server)

    def _server(self) -> float:
        query = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        with self._services.engine.connect() as connection:
            pids = connection.execute(query).scalars().all()
        return sum(_cpu(pid) for pid in pids)


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


class Watch:
    """Remembers the statements of the slowest request, to explain them."""

    def __init__(self, services: wiring.Services) -> None:
        self._engine = services.engine
        self._told: list[tuple[float, str, Any]] = []
        event.listen(self._engine, "before_cursor_execute", self._before)
        event.listen(self._engine, "after_cursor_execute", self._after)

    def _before(self, connection: Any, *_: object) -> None:
        connection.info["started"] = perf_counter()

    def _after(self, connection: Any, cursor: Any, statement: str, given: Any, *_: object) -> None:
        del cursor
        self._told.append((perf_counter() - connection.info["started"], statement, given))

    def explain(self, caller: Caller, path: str) -> None:
        """Ask once more, and print the plan of what took longest."""
        self._told.clear()
        caller.get(path)
        took, statement, given = max(self._told, key=lambda one: one[0])
        print(f"    {path}\n    {len(self._told)} statements; the slowest {took * 1e3:.0f} ms:")
        with self._engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", given)
            for line in plan.scalars():
                print(f"      {line}")


def prepare(services: wiring.Services) -> tuple[str, Spread]:
    """Make a key and a segment; return the key and what requests may ask for."""
    with write(services.sessions) as session:
        _, key = issue_key(session, services.clock, client_id=1, name="bench.api")
        segment = session.scalar(select(Segment.id).where(Segment.name == "bench.api"))
        if segment is None:
            made = create_segment(
                session, services.clock, client_id=1, name="bench.api", rule=SEGMENT
            )
            segment = made.id
    while True:
        with write(services.sessions) as session:  # as workers do
            if not next_figures(session, services.clock):
                break
    with read(services.sessions) as session:
        counted = {
            name: session.scalar(text(f"SELECT max(id) FROM {name}")) or 0  # noqa: S608  (ours)
            for name in ("members", "communications", "users", "audit_log", "campaigns", "consents")
        }
    return key, Spread(segment=segment, now=NOW, **counted)


def line(kind: Kind, found: Measured) -> str:
    """Return one row of the table."""
    many = len(found.seconds)
    missed = "  MISSED" if found.at(0.95) > kind.target else ""
    return (
        f"{kind.name:<52}{kind.target:>6}{found.at(0.5):>8.1f}{found.at(0.95):>8.1f}"
        f"{found.at(1):>8.1f}{found.here / many * 1e3:>9.1f}{found.server / many * 1e3:>8.1f}"
        f"{missed}"
    )


def main() -> None:
    """Measure every kind, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--only", default="")
    parser.add_argument("--explain", action="store_true")
    given = parser.parse_args()
    postgresql(1_000_000).dispose()
    with TemporaryDirectory(prefix="echelonx-bench-") as folder:
        environment = {
            "ECHELONX_DATABASE_URL": f"{SERVER.rpartition('/')[0]}/{DATABASE}",
            "ECHELONX_SECRET_KEY": "bench" * 8,
            "ECHELONX_LOG_LEVEL": "WARNING",
            "ECHELONX_RATE_LIMIT": "0",
            "ECHELONX_DATA_DIR": folder,
        }
        services = wiring.build(Settings.from_environment(environment), ManualClock(NOW))
        key, spread = prepare(services)
        caller, watch = Caller(services, key), Watch(services)
        print(f"{'ms':<52}{'target':>6}{'p50':>8}{'p95':>8}{'max':>8}{'CPU here':>9}{'server':>8}")
        for kind in KINDS:
            if given.only not in kind.name:
                continue
            found = caller.measure(kind.paths(spread), given.requests)
            print(line(kind, found), flush=True)
            if given.explain and found.at(0.95) > kind.target:
                at = max(range(len(found.seconds)), key=found.seconds.__getitem__)
                slowest = next(islice(kind.paths(spread), WARM_UP + at, None))
                watch.explain(caller, slowest)
        services.close()


if __name__ == "__main__":
    main()
