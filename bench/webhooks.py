"""What comes back: signed webhooks, batches of events, clicks and opens, over loopback.

A real `echelonx web` (or granian) in its own process, the load in another (bench/load.py), requests
signed beforehand, connections kept alive. Both take turns on the same cores.

    python -m bench.webhooks --database sqlite
    python -m bench.webhooks --database postgresql://postgres@127.0.0.1:5432/postgres
"""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode, urlsplit

import click
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, insert, select

from accounts.client import create_client
from bench.process import usage
from bench.send import fresh_database
from campaigns.template import TemplateVersion, create_template
from channels.channel import Channel
from channels.simulators.config import Keys, config
from channels.simulators.twilio import signature
from communications.account import add_account
from communications.communication import Communication
from communications.link import Link
from communications.status import Rank, Status
from core.clock import SystemClock
from core.db import read, write
from core.settings import Settings
from echelonx import schema, wiring
from echelonx.server import free_port
from webhooks.inbox import InboxItem, InboxState

KEYS = Keys.of_seed(1)
BATCH = 100
STAGES = ("processed", "delivered", "open")
POSITION = 7
"""Of the link that is clicked."""
CASES = ("sendgrid", "twilio", "batches", "clicks")


@dataclass(frozen=True, slots=True)
class Place:
    """What is measured: the product's services over its database, and where it listens."""

    services: wiring.Services
    environment: dict[str, str]
    ports: list[int]
    tokens: dict[str, str]
    messages: dict[Channel, list[int]]
    folder: Path


def request_of(method: str, url: str, body: bytes = b"", **headers: str) -> bytes:
    """Write a request as it travels."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def _event(place: Place, number: int) -> dict[str, Any]:
    """One event of SendGrid's: the stages of one message after those of the other."""
    message = place.messages[Channel.EMAIL][number % len(place.messages[Channel.EMAIL])]
    stage = STAGES[number // len(place.messages[Channel.EMAIL]) % len(STAGES)]
    return {
        "event": stage,
        "email": f"m{message}@people.example",
        "timestamp": int(time.time()),
        "sg_event_id": f"bench-{number}",
        "sg_message_id": f"bench.{message}",
        "smtp-id": f"<bench-{message}@geopod-ismtpd-1>",
        "ex_ref": place.services.references.make(message, 1),
    }


def sendgrid(place: Place, events: Sequence[dict[str, Any]]) -> bytes:
    """A signed post of SendGrid's."""
    body = json.dumps(events).encode() + b"\r\n"
    stamp = str(int(time.time()))
    made = KEYS.sendgrid_key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return request_of(
        "POST",
        place.services.urls.receipts("sendgrid", place.tokens["sendgrid"]),
        body,
        Content_Type="application/json",
        User_Agent="SendGrid Event API",
        X_Twilio_Email_Event_Webhook_Signature=base64.b64encode(made).decode(),
        X_Twilio_Email_Event_Webhook_Timestamp=stamp,
    )


def twilio(place: Place, number: int) -> bytes:
    """A signed status callback of Twilio's."""
    messages = place.messages[Channel.SMS]
    message = messages[number % len(messages)]
    url = place.services.urls.receipts("twilio", place.tokens["twilio"])
    url += f"?a={place.services.references.make(message, 1)}"
    form = {
        "AccountSid": KEYS.account_sid,
        "From": "+15005550006",
        "To": "+15005551234",
        "MessageSid": f"SM{number:032d}",
        "MessageStatus": "delivered",
        "SmsSid": f"SM{number:032d}",
        "SmsStatus": "delivered",
        "ApiVersion": "2010-04-01",
    }
    return request_of(
        "POST",
        url,
        urlencode(form).encode(),
        Content_Type="application/x-www-form-urlencoded; charset=UTF-8",
        X_Twilio_Signature=signature(KEYS.auth_token, url, form),
    )


def visit(place: Place, number: int) -> bytes:
    """A click or an open, in turns."""
    messages = place.messages[Channel.EMAIL]
    message = messages[number // 2 % len(messages)]
    base, signer = place.environment["ECHELONX_PUBLIC_URL"], place.services.signer
    path = (
        f"/c/{signer.sign('click', message, POSITION)}"
        if number % 2
        else f"/o/{signer.sign('open', message)}.gif"
    )
    return request_of("GET", base + path, User_Agent="Mozilla/5.0 (X11; Linux) Firefox/140.0")


def load(place: Place, made: Iterator[bytes], connections: int) -> dict[str, Any]:
    """Send all of them from another process."""
    path = place.folder / "requests"
    with path.open("wb") as file:
        for one in made:
            file.write(len(one).to_bytes(4) + one)
    command = [sys.executable, "-m", "bench.load", str(path), "--connections", str(connections)]
    ports = ",".join(map(str, place.ports))
    said = subprocess.run([*command, "--ports", ports], capture_output=True, check=True).stdout
    found: dict[str, Any] = json.loads(said)
    return found


@contextmanager
def serving(place: Place, command: Callable[[int], list[str]]) -> Iterator[list[int]]:
    """Run the web servers; gives their process ids."""
    running = [
        subprocess.Popen(
            command(port),
            env={**os.environ, **place.environment},
            stdout=subprocess.DEVNULL,
            stderr=(place.folder / f"web-{port}.log").open("w"),
        )
        for port in place.ports
    ]
    try:
        for port in place.ports:
            _wait_ready(port, place.folder / f"web-{port}.log")
        yield [process.pid for process in running]
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(60)


def _wait_ready(port: int, log: Path) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise click.ClickException(f"no web server came up: {log.read_text()}")


def prepare(environment: dict[str, str], ports: list[int], count: int, folder: Path) -> Place:
    """Fill an empty database with messages that were sent."""
    services = wiring.build(Settings.from_environment(environment))
    schema.migrate(services.engine)
    settings = config({"http": 9, "smtp": 9}, KEYS)
    clock = SystemClock()
    tokens, messages = {}, {}
    with write(services.sessions) as session:
        client = create_client(session, clock, name="Bench", address="1 Bench Street")
        template = create_template(
            session,
            clock,
            client_id=client.id,
            name="Bench",
            channel="email",
            subject="Hi",
            html='<a href="https://shop.example/sale">Sale</a> {{ unsubscribe_url }}',
            text="Hi {{ unsubscribe_url }}",
        )
        session.flush()
        version = session.scalar(
            select(TemplateVersion.id).where(TemplateVersion.template_id == template.id)
        )
        session.add(
            Link(
                client_id=client.id,
                template_version_id=version,
                position=POSITION,
                url="https://shop.example/sale",
            )
        )
        for adapter, channel in (("sendgrid", Channel.EMAIL), ("twilio", Channel.SMS)):
            account = add_account(
                session,
                clock,
                services.vault,
                client_id=client.id,
                name=adapter,
                adapter=adapter,
                config=settings[adapter],
            )
            tokens[adapter] = account.token
            row = {
                "client_id": client.id,
                "channel": channel,
                "provider_account_id": account.id,
                "template_version_id": version,
                "status": Status.SENT,
                "rank": Rank.SENT,
                "sent_at": clock.now(),
                "not_before": clock.now(),
                "created_at": clock.now(),
                "updated_at": clock.now(),
            }
            session.execute(insert(Communication), [row] * count)
            query = select(Communication.id).where(Communication.channel == channel)
            messages[channel] = list(session.scalars(query))
    return Place(services, environment, ports, tokens, messages, folder)


def applied(place: Place) -> tuple[float, int]:
    """Start a worker on what is stored; return events a second from the first to the last."""
    environment = {**os.environ, **place.environment}
    started = time.perf_counter()
    log = (place.folder / "worker.log").open("w")
    worker = subprocess.Popen(
        [sys.executable, "-m", "echelonx", "worker"], env=environment, stderr=log
    )
    first = None
    try:
        while True:
            time.sleep(0.05)
            done, waiting = _counts(place)
            if first is None and done:
                first = (time.perf_counter(), done)
            if not waiting:
                break
        ended, used = time.perf_counter(), usage(worker.pid)
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    assert first is not None  # noqa: S101  (something was stored)
    rate = (done - first[1]) / max(ended - first[0], 1e-9)
    print(
        f"  applied {done:,} events, {rate:,.0f}/s from the first set on,"
        f" {used.cpu_seconds / done * 1e6:.0f} µs CPU each, peak {used.peak_mb:.0f} MB"
        f" ({ended - started:.1f} s with the worker's start)"
    )
    return rate, done


def _counts(place: Place) -> tuple[int, int]:
    with read(place.services.sessions) as session:
        done = session.scalar(
            select(func.sum(InboxItem.events)).where(InboxItem.state == InboxState.APPLIED)
        )
        waiting = session.scalar(
            select(func.count()).select_from(InboxItem).where(InboxItem.state == InboxState.NEW)
        )
    return done or 0, waiting or 0


def _stored(place: Place) -> int:
    with read(place.services.sessions) as session:
        return session.scalar(select(func.count()).select_from(InboxItem)) or 0


def report(name: str, found: dict[str, Any], pids: Sequence[int], before: float, each: int) -> None:
    """Print one line."""
    rate = found["requests"] / found["seconds"]
    cpu = sum(usage(pid).cpu_seconds for pid in pids) - before
    batched = f" = {rate * each:8,.0f} events/s" if each > 1 else ""
    print(
        f"{name:22} {found['requests']:>7,} requests, {rate:7,.0f}/s{batched}"
        f"   p50 {found['p50_ms']:5.1f} ms   p99 {found['p99_ms']:6.1f} ms"
        f"   {cpu / found['requests'] * 1e6:5.0f} µs CPU each   {found['statuses']}",
        flush=True,
    )


def measure(
    place: Place, case: str, count: int, connections: int, pids: Sequence[int], first: int = 0
) -> float:
    """Send one case's requests, from number `first` on, and report; return requests a second."""
    kept = _stored(place)
    before = sum(usage(pid).cpu_seconds for pid in pids)
    each = BATCH if case == "batches" else 1
    numbers = range(first, first + count)
    made = {
        "sendgrid": lambda: (sendgrid(place, [_event(place, n)]) for n in numbers),
        "twilio": lambda: (twilio(place, n) for n in numbers),
        "batches": lambda: (
            sendgrid(place, [_event(place, 10**7 + n * BATCH + i) for i in range(BATCH)])
            for n in numbers
        ),
        "clicks": lambda: (visit(place, n) for n in numbers),
    }[case]()
    found = load(place, made, connections)
    report(case, found, pids, before, each)
    good = sum(n for status, n in found["statuses"].items() if status in ("200", "204", "302"))
    if case != "clicks" and _stored(place) - kept != good:
        raise click.ClickException(f"{good} acknowledged, {_stored(place) - kept} stored")
    rate: float = found["requests"] / found["seconds"]
    return rate


def _command(server: str, threads: int, workers: int) -> Callable[[int], list[str]]:
    python = Path(sys.executable).parent
    if server == "granian":
        fixed = ["--interface", "wsgi", "--no-ws", "--workers", str(workers)]
        fixed += ["--blocking-threads", str(threads), "--factory"]
        app = "echelonx.factory:from_environment"
        return lambda port: [str(python / "granian"), *fixed, "--port", str(port), app]
    return lambda port: [sys.executable, "-m", server, "web", "--port", str(port)]


@click.command()
@click.option("--database", default="sqlite", help="sqlite, or a PostgreSQL to make one in")
@click.option("--server", default="echelonx", help="echelonx or granian")
@click.option("--processes", default=1, help="web servers side by side")
@click.option("--workers", default=1, help="of granian")
@click.option("--threads", default=8)
@click.option("--connections", default=64)
@click.option("--messages", default=20_000)
@click.option("--requests", "count", default=20_000)
@click.option("--case", "cases", multiple=True, default=CASES, type=click.Choice(CASES))
def main(
    database: str,
    server: str,
    processes: int,
    workers: int,
    threads: int,
    connections: int,
    messages: int,
    count: int,
    cases: Sequence[str],
) -> None:
    """Measure what comes back."""
    with TemporaryDirectory(prefix="echelonx-bench-") as folder:
        here = Path(folder)
        sqlite = database == "sqlite"
        url = f"sqlite:///{here}/bench.db" if sqlite else fresh_database(database, "ex_bench_hooks")
        ports = [free_port() for _ in range(processes)]
        environment = {
            "ECHELONX_DATABASE_URL": url,
            "ECHELONX_SECRET_KEY": "bench" * 8,
            "ECHELONX_LOG_LEVEL": "WARNING",
            "ECHELONX_PUBLIC_URL": f"http://127.0.0.1:{ports[0]}",
            "ECHELONX_THREADS": str(threads),
            "ECHELONX_DATA_DIR": str(here),
        }
        place = prepare(environment, ports, messages, here)
        print(
            f"{'SQLite' if sqlite else 'PostgreSQL'}, {processes} of {server}, {threads} threads, "
            f"{connections} connections"
        )
        for case in cases:
            total = max(count // 20, 1) if case == "batches" else count
            with serving(place, _command(server, threads, workers)) as pids:
                rate = measure(place, case, total, connections, pids)
            with serving(place, _command("bench.naive", threads, workers)) as pids:
                alone = measure(place, case, total, connections, pids, first=total)
            print(f"  {rate / alone:.2f} times one commit for each request (the second line)")
            if case == "batches":
                applied(place)
        place.services.close()


if __name__ == "__main__":
    main()
