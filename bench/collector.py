"""The collector: events a second in batches of 100, beside POST /api/v1/events, on PostgreSQL.

    python -m bench.collector [--database postgresql://…] [--batches 600] [--clients 40]

A real `echelonx web`, the load in another process over connections that stay open, as Segment's
Node library sends it. Each client may tell 1,000 events a second, so several tell at once. The
collector acknowledges what is stored, POST /api/v1/events what is applied: its share is measured
apart, as the events a second that a worker applies of what was collected.
"""

import base64
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory
from typing import Any

import click
from sqlalchemy import func, select

from accounts.client import create_client
from accounts.key import issue_key
from bench.process import usage
from bench.send import fresh_database
from bench.webhooks import Place, load, report, request_of, serving
from core.clock import SystemClock
from core.db import read, write
from core.settings import Settings
from echelonx import schema, wiring
from echelonx.server import free_port
from members.event import Event
from members.partition import make_months
from webhooks.collected import Collected
from webhooks.collecting import collecting

BATCH = 100
CLOCK = SystemClock()
MEMBERS = 2_000
"""Whose events they are, of each client."""
NAMES = ("Viewed", "Added", "Searched")


def event(number: int) -> dict[str, Any]:
    """One event as Segment's Node library sends it."""
    at = CLOCK.now() - timedelta(seconds=number % 600)
    return {
        "type": "track",
        "event": NAMES[number % len(NAMES)],
        "userId": f"u-{number * 7919 % MEMBERS}",
        "messageId": f"node-next-{number:020d}-8f0c1c52",
        "timestamp": at.isoformat().replace("+00:00", "Z"),
        "properties": {"sku": f"A-{number % 97}", "price": number % 200 / 4, "page": "/shoes"},
        "context": {"library": {"name": "@segment/analytics-node", "version": "3.1.0"}},
        "integrations": {},
        "_metadata": {"nodeVersion": "20.20.2", "jsRuntime": "node"},
    }


def collected(place: Place, keys: Sequence[str], number: int) -> bytes:
    """A batch for the collector."""
    events = [event(number * BATCH + i) for i in range(BATCH)]
    basic = base64.b64encode(f"{keys[number % len(keys)]}:".encode()).decode()
    return request_of(
        "POST",
        f"{place.environment['ECHELONX_PUBLIC_URL']}/v1/batch",
        json.dumps({"batch": events, "sentAt": CLOCK.now().isoformat()}).encode(),
        Content_Type="application/json",
        Authorization=f"Basic {basic}",
    )


def tracked(place: Place, keys: Sequence[str], number: int) -> bytes:
    """The same for POST /api/v1/events."""
    told = [event(-(number * BATCH + i) - 1) for i in range(BATCH)]
    events = [
        {
            "name": one["event"],
            "message_id": one["messageId"],
            "person": {"member_id": one["userId"]},
            "properties": one["properties"],
            "occurred_at": one["timestamp"],
        }
        for one in told
    ]
    return request_of(
        "POST",
        f"{place.environment['ECHELONX_PUBLIC_URL']}/api/v1/events",
        json.dumps({"events": events}).encode(),
        Content_Type="application/json",
        Authorization=f"Bearer {keys[number % len(keys)]}",
    )


def prepare(
    environment: dict[str, str], port: int, clients: int, folder: Path
) -> tuple[Place, list[str]]:
    """Make clients with a key each in an empty database."""
    services = wiring.build(Settings.from_environment(environment))
    schema.migrate(services.engine)
    keys = []
    with write(services.sessions) as session:
        make_months(session, CLOCK)
        for number in range(clients):
            client = create_client(session, CLOCK, name=f"Bench {number}", country="US")
            scopes = ("events:write", "members:write")
            keys.append(issue_key(session, CLOCK, client_id=client.id, name="b", scopes=scopes)[1])
    return Place(services, environment, [port], {}, {}, folder), keys


def apply_all(place: Place, count: int) -> float:
    """Apply in a worker what was collected; return events a second, its start left out."""
    log = (place.folder / "worker.log").open("w")
    worker = Popen(
        [sys.executable, "-m", "echelonx", "worker"],
        env={**os.environ, **place.environment},
        stderr=log,
    )
    first: tuple[float, int] | None = None
    try:
        while True:
            time.sleep(0.1)
            with read(place.services.sessions) as session:
                left = session.scalar(select(func.sum(Collected.events))) or 0
            if first is None and left < count:
                first = (time.perf_counter(), left)
            if not left:
                break
        used = usage(worker.pid)
    finally:
        worker.terminate()
        worker.wait(60)
    assert first is not None  # noqa: S101  (something was collected)
    rate = first[1] / max(time.perf_counter() - first[0], 1e-9)
    print(
        f"  applied by a worker: {rate:,.0f} events/s, {used.cpu_seconds / count * 1e6:.0f} µs each"
    )
    return rate


def measure(place: Place, name: str, made: Iterator[bytes], connections: int, pid: int) -> float:
    """Send requests and report; return events a second."""
    before = usage(pid).cpu_seconds
    found = load(place, made, connections)
    report(name, found, [pid], before, BATCH)
    if set(found["statuses"]) != {"200"}:
        raise click.ClickException(f"not all were taken: {found['statuses']}")
    return float(found["requests"] * BATCH / found["seconds"])


def warm_up(place: Place, keys: Sequence[str], connections: int) -> None:
    """Make the members, and let PostgreSQL know its tables, as it does within a minute by itself.

    Until then it looks members up by the wrong index, six hundred times slower.
    """
    batches = (collected(place, keys, 10**6 + n) for n in range(len(keys)))
    load(place, batches, connections)
    steps = collecting(place.services)
    while steps.step():
        pass
    with place.services.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql("ANALYZE")


def command(port: int) -> list[str]:
    """Say how a web server is started."""
    return [sys.executable, "-m", "echelonx", "web", "--port", str(port)]


@click.command()
@click.option("--database", default="postgresql://postgres@127.0.0.1:5432/postgres")
@click.option("--batches", default=600)
@click.option("--clients", default=40)
@click.option("--connections", default=16)
def main(database: str, batches: int, clients: int, connections: int) -> None:
    """Measure the collector."""
    with TemporaryDirectory(prefix="echelonx-bench-") as folder:
        here, port = Path(folder), free_port()
        environment = {
            "ECHELONX_DATABASE_URL": fresh_database(database, "ex_bench_collector"),
            "ECHELONX_SECRET_KEY": "bench" * 8,
            "ECHELONX_LOG_LEVEL": "WARNING",
            "ECHELONX_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "ECHELONX_DATA_DIR": folder,
        }
        place, keys = prepare(environment, port, clients, here)
        with serving(place, command) as [pid]:
            warm_up(place, keys, connections)
            taken = measure(
                place, "collector", (collected(place, keys, n) for n in range(batches)),
                connections, pid,
            )  # fmt: skip
        applied = apply_all(place, batches * BATCH)
        with read(place.services.sessions) as session:
            stored = session.scalar(select(func.count()).select_from(Event))
        if stored != (batches + len(keys)) * BATCH:
            raise click.ClickException(f"{batches * BATCH} acknowledged, {stored} kept")
        few = max(batches // 10, 1)
        with serving(place, command) as [pid]:
            direct = measure(
                place, "POST /api/v1/events", (tracked(place, keys, n) for n in range(few)),
                connections, pid,
            )  # fmt: skip
        print(
            f"  {taken / direct:.1f} times POST /api/v1/events acknowledged,"
            f" {applied / direct:.1f} times applied"
        )
        place.services.close()


if __name__ == "__main__":
    main()
